//! Lines of versions: how names and labels become object names.

use chunk_index::Word;

/// Extension of index files.
pub const EXTENSION: &str = "cidx";

/// A line, or one version of it, as a file name without directory says it: `NAME` or `NAME@LABEL`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// The line.
    pub name: Word,
    /// The version; none means the newest.
    pub label: Option<Word>,
}

impl Version {
    /// Reads `NAME.cidx` or `NAME@LABEL.cidx`; none if the file name is something else.
    pub fn from_file_name(file: &str) -> Option<Self> {
        let stem = file.strip_suffix(EXTENSION)?.strip_suffix('.')?;
        let (name, label) = match stem.split_once('@') {
            Some((name, label)) => (name, Some(label)),
            None => (stem, None),
        };
        Some(Self { name: Word::new(name).ok()?, label: label.map(Word::new).transpose().ok()? })
    }

    /// The index's file name.
    pub fn file_name(&self) -> String {
        match &self.label {
            Some(label) => format!("{}@{label}.{EXTENSION}", self.name),
            None => format!("{}.{EXTENSION}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_read_as_they_are_written() {
        for (name, label) in [("image.ext4", None), ("a", Some("1.0-rc+3")), ("x_y", Some("7"))] {
            let label = label.map(|label| Word::new(label).unwrap());
            let version = Version { name: Word::new(name).unwrap(), label };
            assert_eq!(Version::from_file_name(&version.file_name()), Some(version));
        }
    }

    #[test]
    fn names_that_could_leave_the_store_or_hide_are_refused() {
        for text in
            ["", ".", "..", "../x", "a/b", ".hidden", "-n", "a b", "a@b@c", "ä", "a\n", &"x".repeat(129)]
        {
            assert_eq!(Version::from_file_name(&format!("{text}.cidx")), None, "{text:?}");
        }
        for file in ["a", "a.cidx.tmp", ".cidx", "@1.cidx", "a@.cidx", "a@b@c.cidx", "a.CIDX"] {
            assert_eq!(Version::from_file_name(file), None, "{file}");
        }
    }
}
