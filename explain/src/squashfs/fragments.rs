//! The table of fragments: blocks that hold the ends of several files.

use std::io;

use crate::read::{Fields as _, Volume};

use super::superblock::Superblock;
use super::table::{BLOCK, block};

const ENTRY: usize = 16;
/// A block with this bit in its length is not compressed.
const STORED: u32 = 1 << 24;
/// Most fragments that are kept.
const MOST: usize = 1 << 20;

/// A block of file content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) start: u64,
    /// Bytes it takes.
    pub(super) stored: u64,
    pub(super) compressed: bool,
}

impl Block {
    /// The block at `start` with a length as it stands in lists of blocks.
    pub(super) fn new(start: u64, size: u32) -> Self {
        let stored = u64::from(size & (STORED - 1));
        Self { start, stored, compressed: size & STORED == 0 }
    }
}

/// All fragments that the table has, up to the first that cannot be read.
pub(super) fn read(volume: &mut Volume<'_, '_>, superblock: &Superblock) -> io::Result<Vec<Block>> {
    let mut fragments = Vec::new();
    let Some(list) = superblock.fragments else { return Ok(fragments) };
    let count = usize::try_from(superblock.fragment_count).unwrap_or(MOST).min(MOST);
    let mut at = list;
    while fragments.len() < count {
        let Some(start) = volume.get(at, 8)?.and_then(|bytes| bytes.u64(0)) else { break };
        let Some((entries, _)) = block(volume, start, superblock.form)? else { break };
        for entry in entries.chunks_exact(ENTRY) {
            if let (Some(start), Some(size)) = (entry.u64(0), entry.u32(8)) {
                fragments.push(Block::new(start, size));
            }
        }
        if entries.len() != BLOCK {
            break;
        }
        at = at.saturating_add(8);
    }
    fragments.truncate(count);
    Ok(fragments)
}
