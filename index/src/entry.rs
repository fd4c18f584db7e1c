//! One line of the chunk list: a chunk, or a run of equal chunks that follow each other.

use std::fmt;
use std::ops::Range;

use chunk_chunker::Name;

use crate::location::Location;

/// The first 48 bits of a chunk's name: enough to find a chunk, never enough to vouch for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortName([u8; ShortName::LEN]);

impl ShortName {
    /// Bytes of a short name in a list.
    pub const LEN: usize = 6;
    /// The short name of every chunk of nothing but zero bytes.
    pub const ZERO: Self = Self([0; Self::LEN]);

    /// The short name of a chunk that is not all zero bytes.
    pub fn of(name: &Name) -> Self {
        match Self(*name.as_bytes().first_chunk().expect("a name is longer")) {
            // The integer 1: zero would stand for zero bytes.
            Self::ZERO => Self([1, 0, 0, 0, 0, 0]),
            short => short,
        }
    }

    /// The short name that a list writes so.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// What a list writes.
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        self.0
    }

    /// Whether this stands for zero bytes.
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl fmt::Display for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A chunk and how often it is repeated at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Selects the chunk.
    pub short: ShortName,
    /// Bytes of one such chunk.
    pub len: u32,
    /// How often the chunk follows itself: 0 for a single chunk.
    pub repeats: u64,
}

impl Entry {
    /// Whether this entry, put before `next`, would have to take it in as a repeat.
    pub(crate) fn is_same_chunk(&self, next: &Self) -> bool {
        self.short == next.short && self.len == next.len
    }

    /// Number of chunks, unless that leaves 64 bits.
    pub(crate) fn chunks(&self) -> Option<u64> {
        self.repeats.checked_add(1)
    }

    /// Image bytes of all its chunks, unless that leaves 64 bits.
    pub(crate) fn image_len(&self) -> Option<u64> {
        self.chunks()?.checked_mul(u64::from(self.len))
    }
}

/// An entry with its place in the image and in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The image bytes of all its chunks.
    pub image: Range<u64>,
    /// The entry.
    pub entry: Entry,
    /// Where the chunk lies; `None` exactly for zero chunks, which are nowhere stored.
    pub location: Option<Location>,
}
