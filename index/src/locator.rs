//! The locator: which packs hold a version's bytes, and which patches lead to it. It is no part of what the version
//! is (FORMAT 4.5).

use std::error::Error;
use std::fmt;

use crate::cursor::{Cursor, FIXED, at_most};
use crate::digest::Digest;
use crate::error::DecodeError;
use crate::ways::{PATCH_LEN, Row, Ways};

/// Longest encoded locator, in bytes.
pub(crate) const LOCATOR_LIMIT: u32 = 1 << 24;
/// Longest pack, in bytes (FORMAT 5).
const PACK_LIMIT: u64 = 64 << 20;
/// Bytes of one encoded pack.
const PACK_LEN: u64 = 40;
/// Bytes of the counts before the packs and before the patches.
const COUNTS_LEN: u64 = 16;

/// One pack that a map refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackRef {
    /// BLAKE3 of the pack.
    pub name: Digest,
    /// Bytes of the pack, at most 64 MiB.
    pub len: u32,
}

/// The packs that the maps of one index refer to by number, and the patches that lead to its image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Locator {
    packs: Vec<PackRef>,
    ways: Ways,
}

impl Locator {
    /// A locator of these packs: each at most 64 MiB, and no more than fit 16 MiB of locator with its patches.
    pub fn new(packs: Vec<PackRef>) -> Result<Self, LocatorError> {
        if let Some(pack) = packs.iter().find(|pack| u64::from(pack.len) > PACK_LIMIT) {
            return Err(LocatorError::PackTooLong { len: pack.len });
        }
        let taken = COUNTS_LEN.saturating_add(PATCH_LEN.saturating_mul(Ways::MOST));
        let limit = u64::from(LOCATOR_LIMIT).saturating_sub(taken) / PACK_LEN;
        let found = u64::try_from(packs.len()).unwrap_or(u64::MAX);
        if found > limit {
            return Err(LocatorError::TooManyPacks { limit, found });
        }
        Ok(Self { packs, ways: Ways::default() })
    }

    /// The same packs, and these patches.
    #[must_use]
    pub fn with_ways(self, ways: Ways) -> Self {
        Self { ways, ..self }
    }

    /// The patches that lead to the version.
    pub fn ways(&self) -> &Ways {
        &self.ways
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
        let patches: Vec<Row> = self.ways.rows();
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
        let ways = Ways::decode(&mut cursor)?;
        cursor.finish()?;
        Ok(Self { packs, ways })
    }
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
        }
    }
}

impl Error for LocatorError {}
