//! The superblock: sizes, features, and what changes from build to build.

use std::io;

use crate::layout::Fact;
use crate::read::{Fields as _, Volume};

const AT: u64 = 1024;
const LEN: u64 = 1024;
const MAGIC: u16 = 0xef53;

const INCOMPAT_META_BG: u32 = 0x10;
const INCOMPAT_64BIT: u32 = 0x80;
const RO_COMPAT_SPARSE_SUPER: u32 = 0x1;
const RO_COMPAT_GDT_CSUM: u32 = 0x10;
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;
const COMPAT_SPARSE_SUPER2: u32 = 0x200;

/// Fields that the time and place of a build decide, with their offsets and lengths.
const FACTS: [(&str, usize, usize); 10] = [
    ("UUID", 0x68, 16),
    ("hash seed", 0xec, 16),
    ("creation time", 0x108, 4),
    ("write time", 0x30, 4),
    ("mount time", 0x2c, 4),
    ("check time", 0x40, 4),
    ("mount count", 0x34, 2),
    ("last mount point", 0x88, 64),
    ("bytes written", 0x178, 8),
    ("label", 0x78, 16),
];

/// What a superblock says, checked as far as the readers rely on it.
#[derive(Debug)]
pub(super) struct Superblock {
    bytes: Vec<u8>,
    pub(super) block_size: u64,
    pub(super) blocks: u64,
    pub(super) first_block: u64,
    pub(super) blocks_per_group: u64,
    pub(super) inodes_per_group: u64,
    pub(super) inode_size: u64,
    pub(super) descriptor_size: u64,
    pub(super) reserved_descriptors: u64,
    /// First group of those that keep their descriptors themselves; none do without that feature.
    pub(super) first_meta_group: Option<u64>,
    /// Inode of the journal, 0 if there is none.
    pub(super) journal: u64,
    /// Whether the count of inodes that were never used can be believed.
    pub(super) counts_unused: bool,
}

impl Superblock {
    /// Reads it; `None` if there is none, or none that can be true.
    pub(super) fn read(volume: &mut Volume<'_, '_>) -> io::Result<Option<Self>> {
        let len = volume.len();
        Ok(volume.get(AT, LEN)?.and_then(|bytes| Self::decode(bytes, len)))
    }

    fn decode(bytes: Vec<u8>, volume_len: u64) -> Option<Self> {
        let number = |at| bytes.u32(at).map(u64::from);
        if bytes.u16(0x38)? != MAGIC {
            return None;
        }
        let shift = bytes.u32(0x18).filter(|shift| *shift <= 6)?;
        let block_size = 1024_u64.checked_shl(shift)?;
        let incompat = bytes.u32(0x60)?;
        let ro_compat = bytes.u32(0x64)?;
        let is_64bit = incompat & INCOMPAT_64BIT != 0;
        let high = if is_64bit { number(0x150)? } else { 0 };
        let blocks = number(0x4)? | high.checked_shl(32)?;
        // An image may be cut off behind its last used block.
        let blocks = blocks.min(volume_len.checked_div(block_size)?);
        let inode_size = if number(0x4c)? == 0 { 128 } else { u64::from(bytes.u16(0x58)?) };
        let descriptor_size = if is_64bit { u64::from(bytes.u16(0xfe)?) } else { 32 };
        let sane = (128..=block_size).contains(&inode_size) && (32..=block_size).contains(&descriptor_size);
        let blocks_per_group = number(0x20).filter(|count| *count > 0)?;
        let inodes_per_group = number(0x28).filter(|count| *count > 0 && sane)?;
        Some(Self {
            block_size,
            blocks,
            first_block: number(0x14)?,
            blocks_per_group,
            inodes_per_group,
            inode_size,
            descriptor_size,
            reserved_descriptors: u64::from(bytes.u16(0xce)?),
            first_meta_group: if incompat & INCOMPAT_META_BG != 0 { Some(number(0x104)?) } else { None },
            journal: number(0xe0)?,
            counts_unused: ro_compat & (RO_COMPAT_GDT_CSUM | RO_COMPAT_METADATA_CSUM) != 0,
            bytes,
        })
    }

    /// How many groups there are.
    pub(super) fn groups(&self) -> u64 {
        self.blocks.saturating_sub(self.first_block).div_ceil(self.blocks_per_group)
    }

    /// Whether a group has a copy of the superblock.
    pub(super) fn has_copy(&self, group: u64) -> bool {
        let flags = |at| self.bytes.u32(at).unwrap_or(0);
        if group == 0 {
            return true;
        }
        if flags(0x5c) & COMPAT_SPARSE_SUPER2 != 0 {
            return [0x24c, 0x250].iter().any(|at| u64::from(flags(*at)) == group);
        }
        flags(0x64) & RO_COMPAT_SPARSE_SUPER == 0
            || group == 1
            || [3, 5, 7].iter().any(|base| is_power(group, *base))
    }

    /// What builds may keep the same.
    pub(super) fn facts(&self, prefix: &str) -> impl Iterator<Item = Fact> {
        FACTS.iter().filter_map(move |(name, at, len)| {
            let value = self.bytes.get(*at..)?.get(..*len)?.to_vec();
            Some(Fact { name: format!("{prefix}{name}"), value })
        })
    }
}

fn is_power(mut number: u64, base: u64) -> bool {
    while number.checked_rem(base) == Some(0) && number > 0 {
        number = number.checked_div(base).unwrap_or(0);
    }
    number == 1
}
