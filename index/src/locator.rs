//! The locator: which packs hold a version's bytes, and which patches lead to it. It is no part of what the version
//! is (FORMAT 4.5).

use std::error::Error;
use std::fmt;

use crate::cursor::{Cursor, FIXED, at_most};
use crate::digest::Digest;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::record::IMAGE_LIMIT;

/// Longest encoded locator, in bytes.
pub(crate) const LOCATOR_LIMIT: u32 = 1 << 24;
/// Longest pack, in bytes (FORMAT 5).
const PACK_LIMIT: u64 = 64 << 20;
/// Bytes of one encoded pack.
const PACK_LEN: u64 = 40;
/// Bytes of the counts before the packs and before the patches.
const COUNTS_LEN: u64 = 16;
/// Longest patch, in bytes.
const PATCH_LIMIT: u64 = 1 << 40;
/// Most patches that lead to one version: what they add to a head stays below 4 KiB.
const MOST_PATCHES: u64 = 48;
/// Bytes of one encoded patch.
const PATCH_LEN: u64 = 80;

/// One pack that a map refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackRef {
    /// BLAKE3 of the pack.
    pub name: Digest,
    /// Bytes of the pack, at most 64 MiB.
    pub len: u32,
}

/// A patch that makes a version's image from another image.
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
}

/// The packs that the maps of one index refer to by number, and the patches that lead to its image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Locator {
    packs: Vec<PackRef>,
    /// Ascending by base.
    patches: Vec<PatchRef>,
}

impl Locator {
    /// A locator of these packs: each at most 64 MiB, and no more than fit 16 MiB of locator with its patches.
    pub fn new(packs: Vec<PackRef>) -> Result<Self, LocatorError> {
        if let Some(pack) = packs.iter().find(|pack| u64::from(pack.len) > PACK_LIMIT) {
            return Err(LocatorError::PackTooLong { len: pack.len });
        }
        let taken = COUNTS_LEN.saturating_add(MOST_PATCHES.saturating_mul(PATCH_LEN));
        let limit = u64::from(LOCATOR_LIMIT).saturating_sub(taken) / PACK_LEN;
        let found = u64::try_from(packs.len()).unwrap_or(u64::MAX);
        if found > limit {
            return Err(LocatorError::TooManyPacks { limit, found });
        }
        Ok(Self { packs, patches: Vec::new() })
    }

    /// Adds a patch, in place of one from the same base.
    pub fn insert(&mut self, patch: PatchRef) -> Result<(), LocatorError> {
        if patch.base_len > IMAGE_LIMIT || patch.len > PATCH_LIMIT {
            return Err(LocatorError::PatchTooLong { base_len: patch.base_len, len: patch.len });
        }
        match self.patches.binary_search_by_key(&patch.base, |patch| patch.base) {
            Ok(place) => self.patches.splice(place..=place, [patch]).for_each(drop),
            Err(_) if u64::try_from(self.patches.len()).is_ok_and(|count| count >= MOST_PATCHES) => {
                return Err(LocatorError::TooManyPatches { limit: MOST_PATCHES });
            }
            Err(place) => self.patches.insert(place, patch),
        }
        Ok(())
    }

    /// All patches, ascending by base.
    pub fn patches(&self) -> &[PatchRef] {
        &self.patches
    }

    /// All packs, by number.
    pub fn packs(&self) -> &[PackRef] {
        &self.packs
    }

    /// The pack with this number.
    pub fn pack(&self, number: u32) -> Option<&PackRef> {
        usize::try_from(number).ok().and_then(|number| self.packs.get(number))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let packs: Vec<(Digest, u64)> =
            self.packs.iter().map(|pack| (pack.name, u64::from(pack.len))).collect();
        let patch = |patch: &PatchRef| (patch.base, patch.base_len, patch.name, patch.len);
        let patches: Vec<(Digest, u64, Digest, u64)> = self.patches.iter().map(patch).collect();
        bincode::encode_to_vec((packs, patches), FIXED).expect("encoding into memory meets no error")
    }

    pub(crate) fn decode(mut cursor: Cursor<'_>) -> Result<Self, DecodeError> {
        // Believed only if that many packs are there: nothing is allocated for a count alone.
        let most = cursor.remaining().saturating_sub(COUNTS_LEN) / PACK_LEN;
        let count = cursor.checked(at_most(most, "number of packs"))?;
        let mut packs = Vec::new();
        for _ in 0..count {
            let name = cursor.field()?;
            let len = cursor.checked(at_most(PACK_LIMIT, "length of a pack"))?;
            let len = u32::try_from(len).expect("it is at most 64 MiB");
            packs.push(PackRef { name, len });
        }
        let patches = decode_patches(&mut cursor)?;
        cursor.finish()?;
        Ok(Self { packs, patches })
    }
}

fn decode_patches(cursor: &mut Cursor<'_>) -> Result<Vec<PatchRef>, DecodeError> {
    let count = cursor.checked(at_most(MOST_PATCHES, "number of patches"))?;
    let mut patches: Vec<PatchRef> = Vec::new();
    for _ in 0..count {
        let last = patches.last().map(|patch| patch.base);
        let base = cursor.checked(|base: Digest| match last {
            Some(last) if last >= base => Err(DecodeErrorKind::PatchOrder),
            _ => Ok(base),
        })?;
        let base_len = cursor.checked(at_most(IMAGE_LIMIT, "length of a patch's base"))?;
        let name = cursor.field()?;
        let len = cursor.checked(at_most(PATCH_LIMIT, "length of a patch"))?;
        patches.push(PatchRef { base, base_len, name, len });
    }
    Ok(patches)
}

/// A locator that the format has no room for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocatorError {
    /// A pack is above its limit.
    PackTooLong {
        /// Its bytes.
        len: u32,
    },
    /// There are too many packs.
    TooManyPacks {
        /// Most packs allowed.
        limit: u64,
        /// Packs given.
        found: u64,
    },
    /// A patch or its base is above its limit.
    PatchTooLong {
        /// Bytes of the base.
        base_len: u64,
        /// Bytes of the patch.
        len: u64,
    },
    /// There are too many patches.
    TooManyPatches {
        /// Most patches allowed.
        limit: u64,
    },
}

impl fmt::Display for LocatorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PackTooLong { len } => {
                write!(f, "a pack has {len} bytes, at most {PACK_LIMIT} are allowed")
            }
            Self::TooManyPacks { limit, found } => {
                write!(f, "{found} packs, at most {limit} are allowed")
            }
            Self::PatchTooLong { base_len, len } => write!(
                f,
                "a patch of {len} bytes from an image of {base_len}, at most {PATCH_LIMIT} from {IMAGE_LIMIT} are allowed"
            ),
            Self::TooManyPatches { limit } => write!(f, "more than the {limit} patches allowed"),
        }
    }
}

impl Error for LocatorError {}
