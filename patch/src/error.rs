//! Why a patch cannot be decoded or made.

use std::fmt;
use std::io;

/// What is wrong with a patch, or with what it was given to work on.
#[derive(Debug)]
#[non_exhaustive]
pub enum DecodeError {
    /// A method this decoder does not know.
    Method {
        /// The first byte of the patch, where there is one.
        actual: Option<u8>,
    },
    /// Base or target are longer than the caller or the format allows.
    TooLong {
        /// What is too long.
        what: &'static str,
        /// The longest that is accepted.
        limit: u64,
        /// Its length.
        actual: u64,
    },
    /// The patch ends before its target is complete.
    Truncated,
    /// The target is complete and bytes of the patch are left.
    Trailing,
    /// A field of the patch's header or of its copy list breaks a rule.
    Rule {
        /// Which part of the patch.
        part: &'static str,
        /// The rule.
        rule: &'static str,
    },
    /// zstd found the content damaged.
    Damaged(io::Error),
    /// The base cannot be read.
    Base(io::Error),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method { actual: Some(method) } => write!(f, "patch of unknown method {method}"),
            Self::Method { actual: None } => f.write_str("patch without a method"),
            Self::TooLong { what, limit, actual } => {
                write!(f, "{what} of {actual} bytes is longer than the {limit} allowed")
            }
            Self::Truncated => f.write_str("patch ends before its target is complete"),
            Self::Trailing => f.write_str("patch goes on behind its target's end"),
            Self::Rule { part, rule } => write!(f, "{part} of the patch: {rule}"),
            Self::Damaged(_) => f.write_str("zstd content of the patch is damaged"),
            Self::Base(_) => f.write_str("base of the patch cannot be read"),
        }
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Damaged(cause) | Self::Base(cause) => Some(cause),
            _ => None,
        }
    }
}
