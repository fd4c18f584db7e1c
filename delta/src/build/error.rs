//! Why no patch could be made.

use std::fmt;
use std::io;

use chunk_patch::EncodeError;

/// Why no patch could be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The image that the patch starts from cannot be read.
    Base(io::Error),
    /// The image that the patch is to make cannot be read.
    Target(io::Error),
    /// A group could not be encoded.
    Encode(EncodeError),
    /// A part of the patch would be longer than the format allows.
    TooLong {
        /// Which part.
        what: &'static str,
        /// The longest that is allowed.
        limit: u64,
        /// How long it would be.
        found: u64,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base(_) => f.write_str("the old image cannot be read"),
            Self::Target(_) => f.write_str("the new image cannot be read"),
            Self::Encode(_) => f.write_str("a group cannot be encoded"),
            Self::TooLong { what, limit, found } => {
                write!(f, "{what} would have {found} bytes, at most {limit} are allowed")
            }
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Base(cause) | Self::Target(cause) => Some(cause),
            Self::Encode(cause) => Some(cause),
            Self::TooLong { .. } => None,
        }
    }
}
