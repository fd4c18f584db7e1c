//! Why a chunk list makes no index.

use std::error::Error;
use std::fmt;

use crate::location::LocationError;

/// What [`TreeBuilder`](crate::TreeBuilder) was given cannot be said in an index.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// A chunk has a length that no cutter with these parameters gives.
    ChunkLength {
        /// The length given.
        len: u32,
        /// The highest length allowed.
        max: u32,
    },
    /// No chunk was given, but a count of 0.
    NoChunk,
    /// A zero chunk came with a location: zeros are not stored.
    LocatedZero,
    /// A chunk that is not zero came without a location.
    Unlocated,
    /// A chunk's bytes lie where they cannot.
    Location(LocationError),
    /// The chunks add up to more than an image may have.
    ImageTooLong {
        /// Most bytes of an image.
        limit: u64,
    },
    /// The number of block hashes is not that of the blocks with a hash.
    Blocks {
        /// Blocks that are not silent.
        expected: u64,
        /// Hashes given.
        found: u64,
    },
    /// The annotations make the record too long.
    RecordTooLong {
        /// Most bytes of a record.
        limit: u32,
        /// Bytes it would have.
        found: usize,
    },
    /// There are more branches than the head can list.
    TreeTooLarge,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChunkLength { len, max } => write!(f, "a chunk has {len} bytes, not 1 to {max}"),
            Self::NoChunk => f.write_str("a chunk is given 0 times"),
            Self::LocatedZero => f.write_str("a zero chunk has a location"),
            Self::Unlocated => f.write_str("a chunk that is not zero has no location"),
            Self::Location(_) => f.write_str("a chunk lies where nothing can lie"),
            Self::ImageTooLong { limit } => write!(f, "the image has more than {limit} bytes"),
            Self::Blocks { expected, found } => write!(f, "{found} block hashes given, {expected} needed"),
            Self::RecordTooLong { limit, found } => {
                write!(f, "the record has {found} bytes, at most {limit} are allowed")
            }
            Self::TreeTooLarge => f.write_str("the head cannot list so many branches"),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Location(cause) => Some(cause),
            _ => None,
        }
    }
}
