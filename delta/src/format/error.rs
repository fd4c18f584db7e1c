//! Why bytes are no patch.

use std::fmt;
use std::io;

/// A patch, or the part of it that was given, was refused.
#[derive(Debug)]
#[non_exhaustive]
pub enum PatchError {
    /// The bytes given end before the head does, which has `needed` bytes: what the file says, of up to 8 GiB.
    Incomplete {
        /// Bytes from the file's start.
        needed: u64,
    },
    /// The file does not start as a patch does.
    Magic,
    /// A format version this crate does not read.
    Version {
        /// The version the file states.
        found: u16,
    },
    /// A reserved field is in use.
    Reserved,
    /// The file demands features that this crate does not know.
    UnknownFeatures {
        /// The unknown bits.
        bits: u32,
    },
    /// A check against damage does not match.
    Check,
    /// A number is above its limit.
    Limit {
        /// What is limited.
        of: &'static str,
        /// The highest number allowed.
        limit: u64,
        /// The number found.
        found: u64,
    },
    /// zstd found the script damaged.
    Damaged(io::Error),
    /// The script breaks a rule.
    Rule {
        /// The part of the script.
        part: &'static str,
        /// The rule.
        rule: &'static str,
    },
    /// A total is not what another part states.
    Sum {
        /// What is added up.
        of: &'static str,
        /// The total stated.
        stated: u64,
        /// The total found.
        found: u64,
    },
}

impl fmt::Display for PatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete { needed } => write!(f, "the head needs the first {needed} bytes of the patch"),
            Self::Magic => f.write_str("no patch"),
            Self::Version { found } => write!(f, "format version {found} is unknown"),
            Self::Reserved => f.write_str("a reserved field is in use"),
            Self::UnknownFeatures { bits } => write!(f, "features {bits:#x} are unknown"),
            Self::Check => f.write_str("the check of the head does not match"),
            Self::Limit { of, limit, found } => write!(f, "{of}: {found}, at most {limit} is allowed"),
            Self::Damaged(_) => f.write_str("zstd content of the script is damaged"),
            Self::Rule { part, rule } => write!(f, "{part} of the script: {rule}"),
            Self::Sum { of, stated, found } => write!(f, "{of} add up to {found}, not to {stated}"),
        }
    }
}

impl std::error::Error for PatchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Damaged(cause) => Some(cause),
            _ => None,
        }
    }
}

/// Refuses a number above its limit.
pub(crate) fn at_most(of: &'static str, limit: u64, found: u64) -> Result<u64, PatchError> {
    if found <= limit { Ok(found) } else { Err(PatchError::Limit { of, limit, found }) }
}
