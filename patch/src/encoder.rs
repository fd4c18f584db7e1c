//! Makes patches: tries methods and keeps the smallest that decodes to the target.

use std::fmt;

use crate::decoder::Decoder;
use crate::limits::{self, Limits};
use crate::method::Method;
use crate::prefixed;

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    level: u8,
}

impl Effort {
    /// An effort of `level` 1–22, the scale of zstd; a level beyond is taken as the nearest.
    pub fn new(level: u8) -> Self {
        Self { level: level.clamp(1, 22) }
    }
}

impl Default for Effort {
    /// Level 9: costs little more than reading base and target.
    fn default() -> Self {
        Self::new(9)
    }
}

/// Why no patch could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// Base and target are longer than any method takes.
    TooLong {
        /// Bytes of the base.
        base: usize,
        /// Bytes of the target.
        target: usize,
    },
    /// No method gave a patch that decodes to the target, which only a lack of memory explains.
    NoMethod,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { base, target } => {
                write!(f, "base of {base} and target of {target} bytes are too long for a group")
            }
            Self::NoMethod => f.write_str("no method gave a patch that decodes to its target"),
        }
    }
}

impl std::error::Error for EncodeError {}

/// Encodes `target` as a patch from `base`.
///
/// The patch has been decoded and compared with `target` before it is returned.
pub fn encode(base: &[u8], target: &[u8], effort: Effort) -> Result<Vec<u8>, EncodeError> {
    let too_long = EncodeError::TooLong { base: base.len(), target: target.len() };
    let longest = limits::MAX_GROUP as usize;
    if base.len() > longest || target.len() > longest {
        return Err(too_long);
    }
    let mut best: Option<Vec<u8>> = None;
    let mut offer = |patch: Vec<u8>| {
        if best.as_ref().is_none_or(|best| patch.len() < best.len()) && gives(&patch, base, target) {
            best = Some(patch);
        }
    };
    if base.len() + target.len() <= limits::MAX_PREFIXED as usize
        && let Some(packed) = prefixed::encode(base, target, i32::from(effort.level))
    {
        offer(with_method(Method::Prefixed, &packed));
    }
    best.ok_or(if base.len() + target.len() > limits::MAX_PREFIXED as usize {
        too_long
    } else {
        EncodeError::NoMethod
    })
}

fn with_method(method: Method, payload: &[u8]) -> Vec<u8> {
    let mut patch = Vec::with_capacity(1 + payload.len());
    patch.push(method.to_byte());
    patch.extend_from_slice(payload);
    patch
}

/// Whether `patch` decodes to `target`, by the decoder that everybody else has.
fn gives(patch: &[u8], base: &[u8], target: &[u8]) -> bool {
    let Ok(length) = u64::try_from(target.len()) else { return false };
    let Ok(mut decoder) = Decoder::new(patch, base, length, &Limits::default()) else { return false };
    let mut piece = vec![0; 1 << 16];
    let mut rest = target;
    loop {
        match decoder.read(&mut piece) {
            Ok(0) => return rest.is_empty(),
            Ok(count) => match rest.split_at_checked(count) {
                Some((expected, behind)) if piece.starts_with(expected) => rest = behind,
                _ => return false,
            },
            Err(_) => return false,
        }
    }
}
