//! Extent trees, and the block maps that came before them.

use std::io;

use crate::layout::{Metadata, Owner};
use crate::read::Fields as _;

use super::Reader;
use super::inode::Inode;

const MAGIC: u16 = 0xf30a;
/// Entries of extent trees, and their head, have this length.
const ENTRY: usize = 12;
/// Deepest tree that is followed; no file system needs more.
const DEEPEST: u16 = 5;
/// Blocks of an extent above this are allocated, not written.
const WRITTEN: u16 = 0x8000;
/// Most extents of one file.
const MOST: usize = 1 << 20;

/// Blocks that follow each other in a file and in the volume.
#[derive(Debug)]
pub(super) struct Extent {
    /// First block in the file.
    pub(super) logical: u64,
    /// First block in the volume.
    pub(super) at: u64,
    pub(super) blocks: u64,
    pub(super) written: bool,
}

impl Reader<'_, '_, '_> {
    /// The extents of an inode. The blocks that say so are claimed as `map`.
    pub(super) fn extents(&mut self, inode: &Inode, map: Option<Metadata>) -> io::Result<Vec<Extent>> {
        let mut found = Vec::new();
        if !inode.has_blocks {
            return Ok(found);
        }
        if inode.has_extents {
            self.tree(&inode.map, DEEPEST, map, &mut found)?;
            return Ok(found);
        }
        let mut logical = 0;
        for (slot, block) in inode.map.chunks_exact(4).enumerate() {
            let block = u64::from(block.u32(0).unwrap_or(0));
            self.mapped(block, slot.saturating_sub(11), map, &mut logical, &mut found)?;
        }
        Ok(found)
    }

    /// The next block of a tree or map, if it is there and may be read.
    fn step(&mut self, block: u64, map: Option<Metadata>) -> io::Result<Option<Vec<u8>>> {
        let Some(rest) = self.budget.checked_sub(1) else {
            self.layout.gap("ext4: more directories and extents than the volume has blocks");
            return Ok(None);
        };
        self.budget = rest;
        if let Some(map) = map {
            self.claim(block, 1, Owner::Metadata(map));
        }
        let size = self.superblock.block_size;
        self.volume.get(block.saturating_mul(size), size)
    }

    fn tree(
        &mut self,
        node: &[u8],
        deepest: u16,
        map: Option<Metadata>,
        found: &mut Vec<Extent>,
    ) -> io::Result<()> {
        let head = (node.u16(0), node.u16(2), node.u16(6));
        let (Some(MAGIC), Some(entries), Some(depth)) = head else {
            self.layout.gap("ext4: an extent tree that is none");
            return Ok(());
        };
        if depth > deepest {
            self.layout.gap("ext4: an extent tree that is too deep");
            return Ok(());
        }
        for entry in node.chunks_exact(ENTRY).skip(1).take(usize::from(entries)) {
            let block = |low: usize, high: usize| {
                Some(u64::from(entry.u32(low)?) | u64::from(entry.u16(high)?).checked_shl(32)?)
            };
            if found.len() >= MOST {
                return Ok(());
            }
            if depth == 0 {
                let (Some(logical), Some(at), Some(count)) = (entry.u32(0), block(8, 6), entry.u16(4)) else {
                    continue;
                };
                let written = count <= WRITTEN;
                let blocks = if written { count } else { count.saturating_sub(WRITTEN) };
                let logical = u64::from(logical);
                found.push(Extent { logical, at, blocks: u64::from(blocks), written });
            } else if let Some(child) = block(4, 8)
                && let Some(bytes) = self.step(child, map)?
            {
                self.tree(&bytes, depth.saturating_sub(1), map, found)?;
            }
        }
        Ok(())
    }

    /// Blocks that a block map leads to, `levels` of maps below.
    fn mapped(
        &mut self,
        block: u64,
        levels: usize,
        map: Option<Metadata>,
        logical: &mut u64,
        found: &mut Vec<Extent>,
    ) -> io::Result<()> {
        let each = self.superblock.block_size.checked_div(4).unwrap_or(1);
        let covered = (0..levels).fold(1_u64, |blocks, _| blocks.saturating_mul(each));
        if block == 0 || found.len() >= MOST {
            *logical = logical.saturating_add(covered);
            return Ok(());
        }
        let Some(below) = levels.checked_sub(1) else {
            match found.last_mut() {
                Some(last)
                    if last.logical.saturating_add(last.blocks) == *logical
                        && last.at.saturating_add(last.blocks) == block =>
                {
                    last.blocks = last.blocks.saturating_add(1);
                }
                _ => found.push(Extent { logical: *logical, at: block, blocks: 1, written: true }),
            }
            *logical = logical.saturating_add(1);
            return Ok(());
        };
        match self.step(block, map)? {
            Some(bytes) => {
                for entry in bytes.chunks_exact(4) {
                    self.mapped(u64::from(entry.u32(0).unwrap_or(0)), below, map, logical, found)?;
                }
            }
            None => *logical = logical.saturating_add(covered),
        }
        Ok(())
    }
}
