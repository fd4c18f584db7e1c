//! Lists of directories: runs of entries whose inodes are near each other.

use crate::read::Fields as _;

/// Bytes of the head of a run.
const RUN: usize = 12;
/// Bytes of an entry before its name.
const ENTRY: usize = 8;

/// Shows the inode number and name of each entry.
pub(super) fn read(list: &[u8], mut show: impl FnMut(u32, &[u8])) {
    let mut rest = list;
    while let (Some(count), Some(first)) = (rest.u32(0), rest.u32(8)) {
        rest = rest.get(RUN..).unwrap_or_default();
        // The count is one less than it says, as is the length of a name.
        for _ in 0..=count {
            let (Some(distance), Some(len)) = (rest.u16(2), rest.u16(6)) else { return };
            let end = ENTRY.saturating_add(usize::from(len)).saturating_add(1);
            let Some(name) = rest.get(ENTRY..end) else { return };
            show(first.wrapping_add_signed(i32::from(distance.cast_signed())), name);
            rest = rest.get(end..).unwrap_or_default();
        }
    }
}
