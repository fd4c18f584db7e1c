//! What a decoder says about bytes it refuses: where they stand in the file, and what is wrong with them.

use std::error::Error;
use std::fmt;

use chunk_chunker::ParamsError;

use crate::location::LocationError;
use crate::word::TextError;

/// An index, or a part of one, was refused (FORMAT 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// Offset in the file of what was refused: the field, or the node whose content does not add up.
    pub at: u64,
    /// Why it was refused.
    pub kind: DecodeErrorKind,
}

/// Why bytes are not an index, or not the one encoding of what they say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes end too early.
    Truncated {
        /// How many more were needed at least.
        missing: u64,
    },
    /// Bytes follow where none may.
    Surplus {
        /// How many there are.
        surplus: u64,
    },
    /// The file or the record does not start as one of its kind does.
    Magic,
    /// A format version this crate does not read.
    Version {
        /// The version the file states.
        found: u16,
    },
    /// A reserved field is in use.
    Reserved,
    /// The record demands features that this crate does not know.
    UnknownFeatures {
        /// The unknown bits.
        bits: u64,
    },
    /// The record names a way of cutting that this crate does not know.
    Cutter {
        /// The number the record states.
        found: u8,
    },
    /// No cutter has these parameters.
    Params(ParamsError),
    /// A check against damage does not match.
    Check,
    /// A part of the file does not have the BLAKE3 that vouches for it.
    Digest,
    /// A number is above its limit.
    Limit {
        /// What is limited.
        of: &'static str,
        /// The highest number allowed.
        limit: u64,
        /// The number found.
        found: u64,
    },
    /// A number that counts from one is zero.
    Zero {
        /// What is counted.
        of: &'static str,
    },
    /// A varint has a shorter form.
    VarintNotShortest,
    /// A varint does not fit 64 bits.
    VarintTooLong,
    /// An option starts with a byte other than 0 or 1.
    OptionTag,
    /// A text is not UTF-8.
    NotUtf8,
    /// A name, label or annotation is not what the format allows.
    Text(TextError),
    /// Annotation keys do not ascend.
    AnnotationOrder,
    /// A patch is not followed by one before it.
    PatchOrder,
    /// An entry equals the one before it, also in its place, so it should have been a repeat.
    UnmergedRepeat,
    /// A repeat belongs to an entry behind the leaf's end.
    RepeatOutsideLeaf,
    /// A leaf or branch goes on after a child that ends it.
    NodeEndsLate,
    /// A leaf or branch ends after a child that does not end it.
    NodeEndsEarly,
    /// A total is not what the parent or the record states.
    Sum {
        /// What is added up.
        of: &'static str,
        /// The total stated.
        stated: u64,
        /// The total found.
        found: u64,
    },
    /// A node does not lie where the node before it or its parent ends.
    Misplaced {
        /// The offset where it must lie.
        expected: u64,
        /// The offset stated.
        found: u64,
    },
    /// A leaf's runs cover another number of entries than the leaf stores.
    Coverage {
        /// Entries with bytes in a pack.
        stored: u64,
        /// Entries that the runs cover, as far as they were read.
        covered: u64,
    },
    /// A map's first run refers to a run before it.
    NoPreviousRun,
    /// A run does not use the form that the run before it calls for.
    RunNotShortest,
    /// A run's bytes lie where they cannot.
    Location(LocationError),
}

impl DecodeErrorKind {
    /// What bincode's error means for a field of a record or locator.
    pub(crate) fn from_bincode(cause: &bincode::error::DecodeError) -> Self {
        use bincode::error::DecodeError as Cause;
        match cause {
            Cause::Utf8 { .. } => Self::NotUtf8,
            Cause::UnexpectedVariant { .. } => Self::OptionTag,
            Cause::UnexpectedEnd { additional } => {
                Self::Truncated { missing: u64::try_from(*additional).unwrap_or(u64::MAX) }
            }
            // The limit is the longest record, so a length above it is a length behind the end.
            _ => Self::Truncated { missing: 1 },
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "index refused at byte {}: {}", self.at, self.kind)
    }
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { missing } => write!(f, "at least {missing} bytes are missing"),
            Self::Surplus { surplus } => write!(f, "{surplus} bytes too many"),
            Self::Magic => f.write_str("wrong magic"),
            Self::Version { found } => write!(f, "format version {found} is unknown"),
            Self::Reserved => f.write_str("a reserved field is in use"),
            Self::UnknownFeatures { bits } => write!(f, "unknown required features {bits:#x}"),
            Self::Cutter { found } => write!(f, "cutter {found} is unknown"),
            Self::Params(_) => f.write_str("impossible cutting parameters"),
            Self::Check => f.write_str("the check does not match: the bytes are damaged"),
            Self::Digest => f.write_str("the hash is not the one stated"),
            Self::Limit { of, limit, found } => {
                write!(f, "{of} is {found}, at most {limit} is allowed")
            }
            Self::Zero { of } => write!(f, "{of} is 0"),
            Self::VarintNotShortest => f.write_str("a varint is not in its shortest form"),
            Self::VarintTooLong => f.write_str("a varint exceeds 64 bits"),
            Self::OptionTag => f.write_str("an option starts with neither 0 nor 1"),
            Self::NotUtf8 => f.write_str("a text is not utf-8"),
            Self::Text(_) => f.write_str("a text is out of form"),
            Self::AnnotationOrder => f.write_str("annotation keys do not ascend"),
            Self::PatchOrder => f.write_str("a patch is not followed by one before it"),
            Self::UnmergedRepeat => f.write_str("an entry equals the one before it"),
            Self::RepeatOutsideLeaf => f.write_str("a repeat lies behind the leaf's last entry"),
            Self::NodeEndsLate => f.write_str("the node goes on where it should have ended"),
            Self::NodeEndsEarly => f.write_str("the node ends where it should have gone on"),
            Self::Sum { of, stated, found } => {
                write!(f, "{of} add up to {found}, {stated} are stated")
            }
            Self::Misplaced { expected, found } => {
                write!(f, "offset {found} is stated, only {expected} is possible")
            }
            Self::Coverage { stored, covered } => {
                write!(f, "runs cover {covered} entries of {stored}")
            }
            Self::NoPreviousRun => f.write_str("the first run refers to one before it"),
            Self::RunNotShortest => f.write_str("a run is not in its shortest form"),
            Self::Location(_) => f.write_str("a run lies where nothing can lie"),
        }
    }
}

impl Error for DecodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            DecodeErrorKind::Params(cause) => Some(cause),
            DecodeErrorKind::Text(cause) => Some(cause),
            DecodeErrorKind::Location(cause) => Some(cause),
            _ => None,
        }
    }
}
