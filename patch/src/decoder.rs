//! Rebuilds a target, piece by piece.

use std::fmt;

use crate::base::Base;
use crate::difference::Stream;
use crate::error::DecodeError;
use crate::limits::{self, Limits};
use crate::method::Method;
use crate::prefixed;

/// Turns a base and a patch into the target, front to back.
pub struct Decoder<'a, B: ?Sized> {
    source: Source<'a, B>,
    /// Bytes of the target that were made, and how many of them were given away.
    made: Vec<u8>,
    given: usize,
}

enum Source<'a, B: ?Sized> {
    /// All that there is was made at once.
    Done,
    Stream(Box<Stream<'a, B>>),
}

impl<B: ?Sized> fmt::Debug for Decoder<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("made", &self.made.len())
            .field("given", &self.given)
            .finish_non_exhaustive()
    }
}

impl<'a, B: Base + ?Sized> Decoder<'a, B> {
    /// A decoder of `patch`, which turns `base` into `target_len` bytes.
    pub fn new(patch: &'a [u8], base: &'a B, target_len: u64, limits: &Limits) -> Result<Self, DecodeError> {
        let (&first, payload) = patch.split_first().ok_or(DecodeError::Method { actual: None })?;
        let method = Method::from_byte(first).ok_or(DecodeError::Method { actual: Some(first) })?;
        let base_len = limits::within("base", limits.base, base.len())?;
        let target_len = limits::within("target", limits.target, target_len)?;
        let (source, made) = match method {
            Method::Prefixed => {
                let both = u64::from(base_len) + u64::from(target_len);
                limits::within("base with target", limits.prefixed, both)?;
                (Source::Done, prefixed::decode(payload, base, base_len, target_len)?)
            }
            Method::Difference | Method::Program => {
                (Source::Stream(Box::new(Stream::new(payload, base, base_len, target_len)?)), Vec::new())
            }
        };
        Ok(Self { source, made, given: 0 })
    }

    /// Writes the next bytes of the target to `out` and says how many; none only at the end, or if `out` is empty.
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize, DecodeError> {
        if self.given == self.made.len()
            && let Source::Stream(stream) = &mut self.source
        {
            self.made.clear();
            self.given = 0;
            stream.next(&mut self.made)?;
        }
        let rest = self.made.get(self.given..).unwrap_or_default();
        let count = rest.len().min(out.len());
        out.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.given += count;
        Ok(count)
    }
}
