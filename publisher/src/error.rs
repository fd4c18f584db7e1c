//! Why an image could not be published.

use std::fmt;
use std::io;
use std::num::NonZeroU64;

use chunk_index::DecodeError;
use chunk_store::Key;

/// Why an image could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum SourceError {
    /// Neither a regular file nor a block device.
    Kind,
    /// The file was written to while it was read.
    Changed,
    /// The file ends before its length did.
    Shrunk {
        /// Offset of the block that could not be read whole.
        at: u64,
    },
    /// Reading failed.
    Read {
        /// Offset of the block that could not be read.
        at: u64,
        /// The cause.
        error: io::Error,
    },
    /// Longer than any image may be.
    TooLong,
    /// It could not be opened.
    Open(io::Error),
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind => f.write_str("neither a file nor a block device"),
            Self::Changed => f.write_str("changed while it was read"),
            Self::Shrunk { at } => write!(f, "became shorter while it was read, at byte {at}"),
            Self::Read { at, .. } => write!(f, "cannot be read at byte {at}"),
            Self::TooLong => f.write_str("longer than 256 TiB"),
            Self::Open(_) => f.write_str("cannot be opened"),
        }
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { error, .. } | Self::Open(error) => Some(error),
            _ => None,
        }
    }
}

/// Why no version was published. The store is as whole as it was before.
#[derive(Debug)]
#[non_exhaustive]
pub enum MakeError {
    /// The image could not be read.
    Source(SourceError),
    /// The store could not be read or written.
    Store {
        /// What was done to it.
        what: &'static str,
        /// The cause.
        error: io::Error,
    },
    /// An index of the store is damaged.
    Index {
        /// Its place.
        key: Key,
        /// The damage.
        error: DecodeError,
    },
    /// The label belongs to another image already.
    LabelTaken {
        /// The index that has it.
        key: Key,
    },
    /// The release belongs to another version already.
    ReleaseTaken {
        /// The release.
        release: NonZeroU64,
        /// The index of the version that has it.
        key: Key,
    },
    /// The version seems to be an old one that was lost, and would become the newest.
    PerhapsLost {
        /// Where its index would be.
        key: Key,
        /// The release that it may have had: the line lacks it.
        missing: NonZeroU64,
    },
    /// Other publishers moved the line each time this one tried to.
    Contended {
        /// The line's newest index.
        key: Key,
    },
    /// A description that no record can hold.
    Description(String),
    /// The caller wished to stop.
    Cancelled,
    /// A worker thread panicked: a defect of this program.
    Panicked,
}

impl MakeError {
    /// Wraps an error of the store.
    pub(crate) fn store(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Store { what, error }
    }
}

impl fmt::Display for MakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(_) => f.write_str("the image cannot be published"),
            Self::Store { what, .. } => write!(f, "the store failed: {what}"),
            Self::Index { key, .. } => write!(f, "{key} is damaged"),
            Self::LabelTaken { key } => write!(f, "{key} exists and is another image; versions never change"),
            Self::ReleaseTaken { release, key } => write!(f, "release {release} is {key}"),
            Self::PerhapsLost { key, missing } => {
                write!(f, "{key} may be a lost version: the line lacks release {missing}")
            }
            Self::Contended { key } => write!(f, "other publishers keep moving {key}"),
            Self::Description(why) => f.write_str(why),
            Self::Cancelled => f.write_str("stopped"),
            Self::Panicked => f.write_str("a worker thread panicked"),
        }
    }
}

impl std::error::Error for MakeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Source(cause) => Some(cause),
            Self::Store { error, .. } => Some(error),
            Self::Index { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<SourceError> for MakeError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<crate::ordered::Panicked> for MakeError {
    fn from(_: crate::ordered::Panicked) -> Self {
        Self::Panicked
    }
}
