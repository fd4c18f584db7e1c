//! The patches that lead to a version: from some images in one step, from others through images of other versions
//! (FORMAT 4.5).

use std::error::Error;
use std::fmt;

use crate::cursor::{Cursor, at_most};
use crate::digest::Digest;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::record::IMAGE_LIMIT;

/// Longest patch, in bytes.
const PATCH_LIMIT: u64 = 1 << 40;
/// Bytes of one encoded patch.
pub(crate) const PATCH_LEN: u64 = 81;

/// A patch as it is encoded: base and its length, name and its length, what is next.
pub(crate) type Row = (Digest, u64, Digest, u64, u8);

/// A patch that makes a version's image from another image, or is a step on the way to it.
///
/// What it says is a hint: a reader that follows it checks what comes out against the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatchRef {
    /// BLAKE3 of the image that the patch starts from.
    pub base: Digest,
    /// Bytes of that image.
    pub base_len: u64,
    /// BLAKE3 of the patch.
    pub name: Digest,
    /// Bytes of the patch.
    pub len: u64,
    /// The number of the patch that starts from what this one makes; none if that is the version's image.
    pub next: Option<u8>,
}

/// Patches of which each leads, by itself or through patches before it, to the same image.
///
/// No circle can be said in it: a patch is followed by one with a lower number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ways(Vec<PatchRef>);

impl Ways {
    /// Most patches: what they add to a head stays below 4 KiB.
    pub const MOST: u64 = 48;

    /// Ways by `patches`, each of which is followed by one before it, or by none.
    pub fn new(patches: Vec<PatchRef>) -> Result<Self, WaysError> {
        if u64::try_from(patches.len()).is_ok_and(|count| count > Self::MOST) {
            return Err(WaysError::TooMany { limit: Self::MOST });
        }
        for (number, patch) in patches.iter().enumerate() {
            if patch.base_len > IMAGE_LIMIT || patch.len > PATCH_LIMIT {
                return Err(WaysError::TooLong { base_len: patch.base_len, len: patch.len });
            }
            if patch.next.is_some_and(|next| usize::from(next) >= number) {
                return Err(WaysError::Order);
            }
        }
        Ok(Self(patches))
    }

    /// All patches, by number.
    pub fn patches(&self) -> &[PatchRef] {
        &self.0
    }

    /// The patches that make the image, from number `first` on, each of what the one before makes.
    pub fn from(&self, first: usize) -> impl Iterator<Item = &PatchRef> {
        let get = |number: usize| self.0.get(number);
        std::iter::successors(get(first), move |patch| get(usize::from(patch.next?)))
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        let row = |patch: &PatchRef| {
            let next = patch.next.map_or(0, |next| next.saturating_add(1));
            (patch.base, patch.base_len, patch.name, patch.len, next)
        };
        self.0.iter().map(row).collect()
    }

    pub(crate) fn decode(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let count = cursor.checked(at_most(Self::MOST, "number of patches"))?;
        let mut patches: Vec<PatchRef> = Vec::new();
        for number in 0..count {
            let base = cursor.field()?;
            let base_len = cursor.checked(at_most(IMAGE_LIMIT, "length of a patch's base"))?;
            let name = cursor.field()?;
            let len = cursor.checked(at_most(PATCH_LIMIT, "length of a patch"))?;
            let next = cursor.checked(|next: u8| match u64::from(next) {
                next if next > number => Err(DecodeErrorKind::PatchOrder),
                _ => Ok(next.checked_sub(1)),
            })?;
            patches.push(PatchRef { base, base_len, name, len, next });
        }
        Ok(Self(patches))
    }
}

/// Ways that the format has no room for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaysError {
    /// A patch or its base is above its limit.
    TooLong {
        /// Bytes of the base.
        base_len: u64,
        /// Bytes of the patch.
        len: u64,
    },
    /// There are too many patches.
    TooMany {
        /// Most patches allowed.
        limit: u64,
    },
    /// A patch is not followed by one before it.
    Order,
}

impl fmt::Display for WaysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { base_len, len } => write!(
                f,
                "a patch of {len} bytes from an image of {base_len}, at most {PATCH_LIMIT} from {IMAGE_LIMIT} are allowed"
            ),
            Self::TooMany { limit } => write!(f, "more than the {limit} patches allowed"),
            Self::Order => f.write_str("a patch is not followed by one before it"),
        }
    }
}

impl Error for WaysError {}
