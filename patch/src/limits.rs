//! How much a decoder may be asked to do.

use crate::DecodeError;

/// Longest base and target of a group in any method.
pub const MAX_GROUP: u32 = 64 << 20;

/// Longest base and target together in method 0, whose decoder holds both.
pub const MAX_PREFIXED: u32 = 40 << 20;

/// The longest base and target that a caller wants to decode. The format's own limits hold in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the base.
    pub base: u32,
    /// Bytes of the target.
    pub target: u32,
    /// Bytes of base and target together where both are held in memory (method 0).
    pub prefixed: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { base: MAX_GROUP, target: MAX_GROUP, prefixed: MAX_PREFIXED }
    }
}

/// Gives `actual` as a `u32` if it is at most `limit`.
pub(crate) fn within(what: &'static str, limit: u32, actual: u64) -> Result<u32, DecodeError> {
    match u32::try_from(actual) {
        Ok(length) if length <= limit => Ok(length),
        _ => Err(DecodeError::TooLong { what, limit: u64::from(limit), actual }),
    }
}
