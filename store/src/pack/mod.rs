//! Packs: immutable files of frames, named by the BLAKE3 of their bytes (FORMAT 5).

mod table;
mod writer;

pub use table::{Chunk, Table, TableError};
pub(crate) use table::{Trailer, check_header};
pub use writer::{Sealed, Writer};

use std::fmt;
use std::str::FromStr;

use chunk_chunker::Name;

const MAGIC: &[u8; 8] = b"chunkpak";
const END: &[u8; 8] = b"chunkend";
const FORMAT: u16 = 1;
/// Feature bits this reader understands.
const KNOWN_FEATURES: u32 = 0;

/// Bytes before the first frame.
pub const HEADER_LEN: u32 = 16;
/// Bytes after the table.
pub const TRAILER_LEN: u32 = 48;
/// Longest pack, in bytes.
pub const MAX_PACK: u32 = 64 << 20;

/// The name of a pack: the BLAKE3 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackName([u8; 32]);

impl PackName {
    /// The name with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The name's bytes, as an index carries them.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Name::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for PackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackName({self})")
    }
}

impl FromStr for PackName {
    type Err = <Name as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Name::from_str(text).map(|name| Self(*name.as_bytes()))
    }
}
