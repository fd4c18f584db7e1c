//! Directory blocks: a list of entries. Those of a hash tree look like one with nothing in it.

use crate::read::Fields as _;

/// Bytes of an entry before its name.
const HEAD: usize = 8;

/// Shows the inode and name of each entry of a block.
pub(super) fn read(block: &[u8], mut show: impl FnMut(u32, &[u8])) {
    let mut at = 0_usize;
    while let Some(entry) = block.get(at..) {
        let (Some(inode), Some(len), Some(name_len)) = (entry.u32(0), entry.u16(4), entry.u8(6)) else {
            return;
        };
        let len = usize::from(len);
        let name = entry.get(HEAD..).and_then(|rest| rest.get(..usize::from(name_len)));
        if let Some(name) = name.filter(|_| inode != 0) {
            show(inode, name);
        }
        // Less than a head would lead nowhere, or back here.
        if len < HEAD {
            return;
        }
        at = at.saturating_add(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(inode: u32, len: u16, name: &[u8]) -> Vec<u8> {
        let mut bytes = inode.to_le_bytes().to_vec();
        bytes.extend(len.to_le_bytes());
        bytes.extend([u8::try_from(name.len()).unwrap(), 1]);
        bytes.extend(name);
        bytes.resize(usize::from(len).max(HEAD), 0);
        bytes
    }

    fn names(block: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let mut names = Vec::new();
        read(block, |inode, name| names.push((inode, name.to_vec())));
        names
    }

    #[test]
    fn entries_without_an_inode_are_passed_over() {
        let block = [entry(12, 12, b"a"), entry(0, 12, b"gone"), entry(13, 40, b"bc")].concat();
        assert_eq!(names(&block), [(12, b"a".to_vec()), (13, b"bc".to_vec())]);
    }

    #[test]
    fn an_entry_without_length_is_the_last() {
        let block = [entry(12, 0, b""), entry(13, 12, b"b")].concat();
        assert_eq!(names(&block), [(12, Vec::new())]);
    }
}
