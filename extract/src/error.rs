//! Why bytes of an image could not be had.

use std::fmt;
use std::io;
use std::ops::Range;

use chunk_fetch::FetchError;
use chunk_index::{DecodeError, HeadError};
use chunk_store::FrameError;

/// Why bytes of an image could not be had.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The store did not give them.
    Fetch(FetchError),
    /// The store gave a damaged frame.
    Frame {
        /// The pack.
        object: String,
        /// The frame's bytes in it.
        range: Range<u64>,
        /// The damage.
        error: FrameError,
    },
    /// The store gave a frame that does not hold the chunk that the index looks for in it.
    Chunk {
        /// The pack.
        object: String,
        /// The frame's bytes in it.
        range: Range<u64>,
        /// Where in the image the chunk belongs.
        image: Range<u64>,
    },
    /// All chunks are as the index says, and yet the block is not: the index contradicts itself.
    Block {
        /// The block's bytes in the image.
        image: Range<u64>,
    },
    /// A range that leaves the image.
    Outside {
        /// The range.
        range: Range<u64>,
        /// Length of the image.
        image_len: u64,
    },
    /// The reader of the bytes does not take them.
    Write(io::Error),
    /// No decoder could be made.
    Decoder(io::Error),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch(_) => f.write_str("a part of the store cannot be read"),
            Self::Frame { object, range, .. } => {
                write!(f, "bytes {} to {} of {object} are damaged", range.start, range.end)
            }
            Self::Chunk { object, range, image } => write!(
                f,
                "bytes {} to {} of {object} do not hold the chunk for bytes {} to {} of the image",
                range.start, range.end, image.start, image.end
            ),
            Self::Block { image } => {
                write!(
                    f,
                    "the index contradicts itself about bytes {} to {} of the image",
                    image.start, image.end
                )
            }
            Self::Outside { range, image_len } => {
                write!(f, "bytes {} to {} leave the image of {image_len} bytes", range.start, range.end)
            }
            Self::Write(_) => f.write_str("the output does not take the bytes"),
            Self::Decoder(_) => f.write_str("no decoder could be made"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Fetch(cause) => Some(cause),
            Self::Frame { error, .. } => Some(error),
            Self::Write(cause) | Self::Decoder(cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<FetchError> for ReadError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

/// Why there is no recipe.
#[derive(Debug)]
#[non_exhaustive]
pub enum IndexError {
    /// The store did not give the index.
    Fetch(FetchError),
    /// Its head is no head.
    Head(HeadError),
    /// Another part is not what the head says.
    Decode(DecodeError),
    /// What the store sends of it is damaged, however often it is asked for again.
    Damaged {
        /// Where it was last read from.
        location: String,
        /// The damage.
        error: DecodeError,
    },
    /// Its parts contradict each other about the blocks of the image.
    Blocks,
    /// The file cannot be read.
    Io(io::Error),
    /// The index, or the image it describes, is too large for this program.
    TooLarge {
        /// Bytes of the index; 0 if it is not the index.
        file_len: u64,
        /// Bytes of the image.
        image_len: u64,
    },
    /// The object has another length than its head states, or ends before that does.
    Length {
        /// What the head states, or the head's own length.
        stated: u64,
        /// What the object has.
        found: u64,
    },
}

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch(_) | Self::Io(_) => f.write_str("the index cannot be read"),
            Self::TooLarge { file_len, image_len } => {
                write!(
                    f,
                    "an index of {file_len} bytes for an image of {image_len} bytes is too large to be worked on"
                )
            }
            Self::Head(_) | Self::Decode(_) => f.write_str("the index is malformed"),
            Self::Damaged { location, .. } => {
                write!(f, "what comes of the index {location} is damaged, also when it is asked for again")
            }
            Self::Blocks => f.write_str("the index contradicts itself"),
            Self::Length { stated, found } => {
                write!(f, "the index has {found} bytes of {stated}")
            }
        }
    }
}

impl std::error::Error for IndexError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Fetch(cause) => Some(cause),
            Self::Io(cause) => Some(cause),
            Self::Head(cause) => Some(cause),
            Self::Decode(cause) | Self::Damaged { error: cause, .. } => Some(cause),
            _ => None,
        }
    }
}

impl From<FetchError> for IndexError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

impl From<DecodeError> for IndexError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}
