//! Makes patches: tries methods and keeps the smallest that decodes to the target, or a quicker one that is hardly
//! larger.

use std::fmt;
use std::sync::Arc;

use crate::decoder::Decoder;
use crate::difference;
use crate::layout::Layout;
use crate::limits::{self, Limits};
use crate::matching::{self, Index, Search, Seen};
use crate::method::Method;
use crate::prefixed;
use crate::programs;

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    level: u8,
}

/// From this level on, programs have their addresses mapped even if method 0 could do.
const MAPPED_FROM: u8 = 5;

/// From this level on, the longest of all matches are searched.
const SORTED_FROM: u8 = 16;

impl Effort {
    /// An effort of `level` 1–22, the scale of zstd; a level beyond is taken as the nearest.
    pub fn new(level: u8) -> Self {
        Self { level: level.clamp(1, 22) }
    }

    fn search(self) -> Search {
        match self.level {
            ..9 => Search::Sampled(1),
            9..12 => Search::Sampled(8),
            12..SORTED_FROM => Search::Sampled(32),
            SORTED_FROM.. => Search::Sorted,
        }
    }

    /// How often programs are aligned.
    fn rounds(self) -> usize {
        match self.level {
            ..SORTED_FROM => 2,
            _ => 3,
        }
    }
}

impl Default for Effort {
    /// Level 9.
    fn default() -> Self {
        Self::new(9)
    }
}

/// Why no patch could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// Base or target are longer than [`MAX_GROUP`](crate::MAX_GROUP).
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
    let longest = limits::MAX_GROUP as usize;
    if base.len() > longest || target.len() > longest {
        return Err(EncodeError::TooLong { base: base.len(), target: target.len() });
    }
    let can_be_prefixed = base.len() + target.len() <= limits::MAX_PREFIXED as usize;
    let mut patches = Vec::new();
    if can_be_prefixed && let Some(packed) = prefixed::encode(base, target, i32::from(effort.level)) {
        patches.push(with_method(Method::Prefixed, &packed));
    }
    let program =
        if effort.level >= MAPPED_FROM || !can_be_prefixed { program(base, target, effort) } else { None };
    match program {
        Some(payload) => patches.push(with_method(Method::Program, &payload)),
        None if effort.level >= SORTED_FROM || !can_be_prefixed => {
            let copies =
                matching::align(&Index::new(Seen::plain(base), effort.search()), Seen::plain(target));
            let none = (&Layout::default(), Arc::default());
            let payload = difference::encode(base, target, none, &copies);
            patches.extend(payload.map(|payload| with_method(Method::Difference, &payload)));
        }
        None => {}
    }
    patches.sort_by_key(|patch| cost(patch));
    patches.into_iter().find(|patch| gives(patch, base, target)).ok_or(EncodeError::NoMethod)
}

/// The payload of method 2, if base and target have programs, and so much in common that it is likely to be short.
fn program(base: &[u8], target: &[u8], effort: Effort) -> Option<Vec<u8>> {
    let (before, after) = (programs::find(base), programs::find(target));
    if before.is_empty() || after.is_empty() {
        return None;
    }
    let aligned = programs::align((base, &before), (target, &after), effort.search(), effort.rounds())?;
    difference::encode(base, target, (&aligned.layout, aligned.fields), &aligned.copies)
}

/// What a patch counts as in the choice: its length, and a little more if it takes long to decode.
///
/// Where methods 1 and 2 gain less than one part in 32, zstd's decoder, a hundred times as fast, is worth more.
fn cost(patch: &[u8]) -> usize {
    let is_quick = patch.first() == Some(&Method::Prefixed.to_byte());
    patch.len() + if is_quick { 0 } else { patch.len() / 32 }
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
