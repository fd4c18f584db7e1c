//! Lines of versions: how names and labels become object names.

use std::fmt;

/// Longest name or label, in bytes.
pub const MAX_LEN: usize = 128;
/// Extension of index files.
pub const EXTENSION: &str = "cidx";

/// A name or label outside of the alphabet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName(String);

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a name: 1 to {MAX_LEN} of A-Z a-z 0-9 . _ + -, the first one not . or -",
            self.0
        )
    }
}

impl std::error::Error for BadName {}

/// Checks a line's name or a version's label (FORMAT 4.2).
pub fn check(text: &str) -> Result<(), BadName> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
    let good = !text.is_empty()
        && text.len() <= MAX_LEN
        && text.bytes().all(allowed)
        && !text.starts_with(['.', '-']);
    if good { Ok(()) } else { Err(BadName(text.to_owned())) }
}

/// A line, or one version of it, as a file name without directory says it: `NAME` or `NAME@LABEL`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// The line.
    pub name: String,
    /// The version; none means the newest.
    pub label: Option<String>,
}

impl Version {
    /// Reads `NAME.cidx` or `NAME@LABEL.cidx`; none if the file name is something else.
    pub fn from_file_name(file: &str) -> Option<Self> {
        let stem = file.strip_suffix(EXTENSION)?.strip_suffix('.')?;
        let (name, label) = match stem.split_once('@') {
            Some((name, label)) => (name, Some(label)),
            None => (stem, None),
        };
        check(name).ok()?;
        label.map(check).transpose().ok()?;
        Some(Self { name: name.to_owned(), label: label.map(str::to_owned) })
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
            let version = Version { name: name.into(), label: label.map(Into::into) };
            assert_eq!(Version::from_file_name(&version.file_name()), Some(version));
        }
    }

    #[test]
    fn names_that_could_leave_the_store_or_hide_are_refused() {
        for text in ["", ".", "..", "../x", "a/b", ".hidden", "-n", "a b", "a@b", "ä", "a\n", &"x".repeat(129)] {
            assert!(check(text).is_err(), "{text:?}");
        }
        for file in ["a", "a.cidx.tmp", ".cidx", "@1.cidx", "a@.cidx", "a@b@c.cidx", "a.CIDX"] {
            assert_eq!(Version::from_file_name(file), None, "{file}");
        }
    }
}
