//! Makes patches: tries methods and keeps the smallest that decodes to the target.

use std::fmt;

use crate::copies::Copy;
use crate::decoder::Decoder;
use crate::difference;
use crate::layout::Layout;
use crate::limits::{self, Limits};
use crate::map::Map;
use crate::matching;
use crate::method::Method;
use crate::prefixed;
use crate::programs::{self, Pairing};

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
    match program(base, target) {
        Some(payload) => offer(with_method(Method::Program, &payload)),
        None => {
            let copies = matching::align(base, target);
            if let Some(payload) = difference::encode(base, target, &Layout::default(), &copies) {
                offer(with_method(Method::Difference, &payload));
            }
        }
    }
    best.ok_or(if base.len() + target.len() > limits::MAX_PREFIXED as usize {
        too_long
    } else {
        EncodeError::NoMethod
    })
}

/// The payload of method 2 if base and target have programs.
fn program(base: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    let (before, after) = (programs::find(base), programs::find(target));
    let pairs: Pairing = (0..before.len().min(after.len())).map(|at| (at, at)).collect();
    if pairs.is_empty() {
        return None;
    }
    let (forth, back) = programs::layouts(&before, &after, &pairs);
    let base_len = u32::try_from(base.len()).ok()?;
    let target_len = u32::try_from(target.len()).ok()?;
    let mut copies = Vec::new();
    for label in 0..3 {
        let base_view = matching::view(base, &forth, Map::new(&copies, base_len))?;
        // What the base's addresses are mapped to are the target's own.
        let covered: Vec<Copy> = copies.iter().map(|copy| Copy { base: copy.target, ..*copy }).collect();
        let target_view = matching::view(target, &own_layout(&back), Map::new(&covered, target_len))?;
        copies = matching::align(&base_view, &target_view);
    }
    difference::encode(base, target, &forth, &copies)
}

/// A layout in which every byte stays where it is.
fn own_layout(layout: &Layout) -> Layout {
    let mut own = layout.clone();
    for segment in own.modules.iter_mut().flat_map(|module| &mut module.segments) {
        segment.target = segment.base;
    }
    own
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
