//! The superblock: where the tables are, and how things are compressed.

use std::io;

use crate::layout::{Fact, Form};
use crate::read::{Fields as _, Volume};

use super::table::Table;

pub(super) const LEN: u64 = 96;
const MAGIC: u32 = 0x7371_7368;
/// A table that is not there.
const NONE: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Superblock {
    bytes: Vec<u8>,
    compressor: u16,
    pub(super) form: Form,
    pub(super) block_size: u64,
    root: u64,
    pub(super) inodes: u64,
    pub(super) directories: u64,
    pub(super) fragments: Option<u64>,
    pub(super) fragment_count: u32,
    /// Bytes in use.
    pub(super) end: u64,
}

impl Superblock {
    /// Reads it; `None` if there is none, or none that can be true.
    pub(super) fn read(volume: &mut Volume<'_, '_>) -> io::Result<Option<Self>> {
        let len = volume.len();
        Ok(volume.get(0, LEN)?.and_then(|bytes| Self::decode(bytes, len)))
    }

    fn decode(bytes: Vec<u8>, volume_len: u64) -> Option<Self> {
        if bytes.u32(0)? != MAGIC || bytes.u16(28)? != 4 {
            return None;
        }
        let compressor = bytes.u16(20)?;
        let superblock = Self {
            compressor,
            form: match compressor {
                1 => Form::Zlib,
                6 => Form::Zstd,
                _ => Form::Opaque,
            },
            block_size: u64::from(bytes.u32(12).filter(|size| (4096..=1 << 20).contains(size))?),
            root: bytes.u64(32)?,
            inodes: bytes.u64(64)?,
            directories: bytes.u64(72)?,
            fragments: Some(bytes.u64(80)?).filter(|at| *at != NONE),
            fragment_count: bytes.u32(16)?,
            end: bytes.u64(40)?,
            bytes,
        };
        let ordered = superblock.inodes <= superblock.directories && superblock.directories <= superblock.end;
        Some(superblock).filter(|superblock| ordered && superblock.end <= volume_len)
    }

    pub(super) fn compressor(&self) -> &'static str {
        match self.compressor {
            1 => "gzip",
            2 => "lzma",
            3 => "lzo",
            4 => "xz",
            5 => "lz4",
            6 => "zstd",
            _ => "an unknown compressor",
        }
    }

    /// Where the table behind that of directories begins: a list of its blocks says so.
    pub(super) fn end_of_directories(&self, volume: &mut Volume<'_, '_>) -> io::Result<u64> {
        let lists = [80, 88, 48].into_iter().filter_map(|at| self.bytes.u64(at)).filter(|at| *at != NONE);
        let mut end = self.end;
        for list in lists {
            let first = volume.get(list, 8)?.and_then(|bytes| bytes.u64(0)).unwrap_or(list);
            // A table without entries has a list without blocks.
            let first = if first < list { first } else { list };
            if first >= self.directories {
                end = end.min(first);
            }
        }
        Ok(end)
    }

    /// The number of the root directory's inode.
    pub(super) fn root_number(&self, inodes: &Table) -> Option<u64> {
        let offset = usize::try_from(self.root & 0xffff).ok()?;
        inodes.at(self.root.checked_shr(16)?, offset)?.u32(12).map(u64::from)
    }

    /// What builds may keep the same.
    pub(super) fn facts(&self, prefix: &str) -> impl Iterator<Item = Fact> {
        let facts = [
            ("creation time", 8_usize..12),
            ("compressor", 20..22),
            ("block size", 12..16),
            ("flags", 24..26),
        ];
        facts.into_iter().filter_map(move |(name, range)| {
            Some(Fact { name: format!("{prefix}{name}"), value: self.bytes.get(range)?.to_vec() })
        })
    }
}
