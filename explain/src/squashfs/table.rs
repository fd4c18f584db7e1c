//! Tables of metadata: blocks of at most 8 KiB, each with its length before it, most of them compressed.

use std::io;
use std::ops::Range;

use crate::layout::Form;
use crate::read::{Fields as _, Volume, in_memory};
use crate::unfold::unfold;

/// Bytes of every block of a table but the last.
pub(super) const BLOCK: usize = 8192;
/// A block with this bit in its length is not compressed.
const STORED: u16 = 0x8000;
/// Most bytes of a table in memory.
const MOST: usize = 128 << 20;

/// A table, unfolded.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) plain: Vec<u8>,
    /// Where each block starts in the image, from the table's start; in order.
    starts: Vec<u64>,
    /// Whether all of it could be read.
    pub(super) whole: bool,
}

impl Table {
    /// Reads the blocks in `range` until one cannot be read.
    pub(super) fn read(volume: &mut Volume<'_, '_>, range: Range<u64>, form: Form) -> io::Result<Self> {
        let mut table = Self::default();
        let mut at = range.start;
        while at < range.end && table.plain.len() < MOST {
            let Some((block, len)) = block(volume, at, form)? else { return Ok(table) };
            table.starts.push(at.saturating_sub(range.start));
            table.plain.extend_from_slice(&block);
            at = at.saturating_add(len);
            if block.len() != BLOCK {
                break;
            }
        }
        table.whole = at >= range.end;
        Ok(table)
    }

    /// What stands in the table from byte `offset` of the block on that starts at `start`.
    pub(super) fn at(&self, start: u64, offset: usize) -> Option<&[u8]> {
        let block = self.starts.binary_search(&start).ok()?;
        self.plain.get(block.checked_mul(BLOCK)?.checked_add(offset)?..)
    }
}

/// The block at `at`, and the bytes it takes in the image.
pub(super) fn block(volume: &mut Volume<'_, '_>, at: u64, form: Form) -> io::Result<Option<(Vec<u8>, u64)>> {
    let Some(head) = volume.get(at, 2)?.and_then(|bytes| bytes.u16(0)) else { return Ok(None) };
    let len = u64::from(head & !STORED);
    let Some(bytes) = volume.get(at.saturating_add(2), len)? else { return Ok(None) };
    if in_memory(len) > BLOCK {
        return Ok(None);
    }
    let plain = if head & STORED != 0 { Some(bytes) } else { unfold(form, bytes, BLOCK) };
    Ok(plain.map(|plain| (plain, len.saturating_add(2))))
}
