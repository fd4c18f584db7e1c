//! Paths, from what directories say of their entries.

use std::collections::HashMap;

/// Most entries that are kept.
const MOST: usize = 1 << 21;
/// Most bytes of names that are kept.
const MOST_BYTES: usize = 64 << 20;
/// Longest path that is put together, in bytes.
const LONGEST_PATH: usize = 4096;

/// Which name leads to each inode, and from which directory.
#[derive(Debug, Default)]
pub(crate) struct Names {
    parents: HashMap<u64, (u64, u32, u32)>,
    text: Vec<u8>,
    full: bool,
}

impl Names {
    /// Directory `parent` has `child` under this name. Of several names the first is kept.
    pub(crate) fn add(&mut self, parent: u64, child: u64, name: &[u8]) {
        if name.is_empty() || matches!(name, b"." | b"..") || self.parents.contains_key(&child) {
            return;
        }
        let end = self.text.len().saturating_add(name.len());
        let (Ok(start), Ok(stop)) = (u32::try_from(self.text.len()), u32::try_from(end)) else { return };
        if self.parents.len() >= MOST || end > MOST_BYTES {
            self.full = true;
            return;
        }
        self.text.extend_from_slice(name);
        self.parents.insert(child, (parent, start, stop));
    }

    /// Whether names were left out.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// The path from `root` to `inode`; `None` if the directories do not lead there.
    pub(crate) fn path(&self, root: u64, inode: u64) -> Option<String> {
        let mut parts: Vec<&[u8]> = Vec::new();
        let mut len = 0_usize;
        let mut at = inode;
        while at != root {
            let (parent, start, end) = *self.parents.get(&at)?;
            let name = self.text.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)?;
            len = len.saturating_add(name.len()).saturating_add(1);
            // Directories that contain themselves lead ever on.
            if len > LONGEST_PATH {
                return None;
            }
            parts.push(name);
            at = parent;
        }
        let path = parts.into_iter().rev().flat_map(|part| b"/".iter().chain(part)).copied().collect();
        Some(text(path))
    }
}

/// A name as text; bytes that are none are escaped.
pub(crate) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| error.as_bytes().escape_ascii().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_put_together_from_names() {
        let mut names = Names::default();
        names.add(2, 2, b".");
        names.add(2, 11, b"etc");
        names.add(11, 12, b"fstab");
        names.add(2, 12, b"second name");
        assert_eq!(names.path(2, 12).as_deref(), Some("/etc/fstab"));
        assert_eq!(names.path(2, 13), None);
    }

    #[test]
    fn a_directory_inside_of_itself_has_no_path() {
        let mut names = Names::default();
        names.add(12, 11, b"a");
        names.add(11, 12, b"b");
        assert_eq!(names.path(2, 11), None);
    }

    #[test]
    fn a_name_that_is_no_text_is_escaped() {
        let mut names = Names::default();
        names.add(2, 3, b"caf\xe9");
        assert_eq!(names.path(2, 3).as_deref(), Some("/caf\\xe9"));
    }
}
