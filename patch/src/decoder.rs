//! Rebuilds a target, piece by piece.

use std::fmt;

use crate::base::Base;
use crate::error::DecodeError;
use crate::limits::{self, Limits};
use crate::method::Method;
use crate::prefixed;

/// Turns a base and a patch into the target, front to back.
pub struct Decoder {
    whole: Vec<u8>,
    given: usize,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("given", &self.given).finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder of `patch`, which turns `base` into `target_len` bytes.
    pub fn new<B: Base + ?Sized>(
        patch: &[u8],
        base: &B,
        target_len: u64,
        limits: &Limits,
    ) -> Result<Self, DecodeError> {
        let (&first, payload) = patch.split_first().ok_or(DecodeError::Method { actual: None })?;
        let method = Method::from_byte(first).ok_or(DecodeError::Method { actual: Some(first) })?;
        let base_len = limits::within("base", limits.base, base.len())?;
        let target_len = limits::within("target", limits.target, target_len)?;
        match method {
            Method::Prefixed => {
                let both = u64::from(base_len) + u64::from(target_len);
                limits::within("base with target", limits.prefixed, both)?;
                Ok(Self { whole: prefixed::decode(payload, base, base_len, target_len)?, given: 0 })
            }
        }
    }

    /// Writes the next bytes of the target to `out` and says how many; none only at the end, or if `out` is empty.
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize, DecodeError> {
        let rest = self.whole.get(self.given..).unwrap_or_default();
        let count = rest.len().min(out.len());
        out.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.given += count;
        Ok(count)
    }
}
