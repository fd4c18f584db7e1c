//! The first bytes of a patch: from what to what, and how long its parts are.

#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use chunk_chunker::image::Blocks;

use super::error::{PatchError, at_most};
use super::{IMAGE_LIMIT, SCRIPT_LIMIT};

const MAGIC: [u8; 8] = *b"chunkpch";
const FORMAT: u16 = 1;
/// Feature bits that this reader understands.
const KNOWN_FEATURES: u32 = 0;
/// Bytes before the check.
const CHECKED_LEN: usize = 112;
/// Bytes of the header.
pub(super) const HEADER_LEN: usize = 120;
/// Bytes of a block hash.
pub(super) const HASH_LEN: u64 = 32;

/// What a patch leads from and to, and the lengths of its script and hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) base_len: u64,
    pub(crate) base: [u8; 32],
    pub(crate) target_len: u64,
    pub(crate) target: [u8; 32],
    /// Bytes of the script as stored.
    pub(crate) script: u32,
    /// Bytes of the script.
    pub(crate) plain: u32,
    /// Number of block hashes.
    pub(crate) hashes: u32,
}

impl Header {
    /// The header before `rest`, which is script and hashes.
    pub(crate) fn encode(&self, rest: &[u8]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(FORMAT.to_le_bytes());
        out.extend([0; 2]);
        out.extend(KNOWN_FEATURES.to_le_bytes());
        out.extend(self.base_len.to_le_bytes());
        out.extend(self.base);
        out.extend(self.target_len.to_le_bytes());
        out.extend(self.target);
        for number in [self.script, self.plain, self.hashes, 0] {
            out.extend(number.to_le_bytes());
        }
        let check = check(&out, rest);
        out.extend(check);
        out
    }

    /// Reads the header off the front of `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, PatchError> {
        let incomplete = || PatchError::Incomplete { needed: u64::try_from(HEADER_LEN).unwrap_or(u64::MAX) };
        let mut fields = Fields(bytes.get(..HEADER_LEN).ok_or_else(incomplete)?);
        if fields.take() != MAGIC {
            return Err(PatchError::Magic);
        }
        let found = u16::from_le_bytes(fields.take());
        if found != FORMAT {
            return Err(PatchError::Version { found });
        }
        if fields.take() != [0; 2] {
            return Err(PatchError::Reserved);
        }
        let bits = u32::from_le_bytes(fields.take()) & !KNOWN_FEATURES;
        if bits != 0 {
            return Err(PatchError::UnknownFeatures { bits });
        }
        let base_len = at_most("length of the base", IMAGE_LIMIT, u64::from_le_bytes(fields.take()))?;
        let base = fields.take();
        let target_len = at_most("length of the target", IMAGE_LIMIT, u64::from_le_bytes(fields.take()))?;
        let target = fields.take();
        let [script, plain, hashes, reserved] = [(); 4].map(|()| u32::from_le_bytes(fields.take()));
        at_most("length of the script", u64::from(SCRIPT_LIMIT), u64::from(script.max(plain)))?;
        at_most("number of block hashes", Blocks::of_len(target_len).count(), u64::from(hashes))?;
        if reserved != 0 {
            return Err(PatchError::Reserved);
        }
        Ok(Self { base_len, base, target_len, target, script, plain, hashes })
    }

    /// Bytes of the head: header, script and hashes.
    pub(crate) fn head_len(&self) -> u64 {
        let header = u64::try_from(HEADER_LEN).unwrap_or(u64::MAX);
        let hashes = u64::from(self.hashes).saturating_mul(HASH_LEN);
        header.saturating_add(u64::from(self.script)).saturating_add(hashes)
    }
}

/// Refuses a head whose check is not that of its other bytes. `head` has a header.
pub(super) fn expect_check(head: &[u8]) -> Result<(), PatchError> {
    let (before, rest) = head.split_at_checked(CHECKED_LEN).unwrap_or((head, &[]));
    let (found, after) = rest.split_at_checked(8).unwrap_or((rest, &[]));
    if found == check(before, after) { Ok(()) } else { Err(PatchError::Check) }
}

/// The first 8 bytes of the BLAKE3 of the head around the check.
fn check(before: &[u8], after: &[u8]) -> [u8; 8] {
    let hash = blake3::Hasher::new().update(before).update(after).finalize();
    *hash.as_bytes().first_chunk().expect("a hash is longer")
}

/// The fields of a header that is there as a whole.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("the header has all its fields");
        self.0 = rest;
        *field
    }
}
