//! The hashes and checks that hold an index together: BLAKE3 for trust, its first bytes for damage.

use crate::cursor::length;
use crate::error::{DecodeError, DecodeErrorKind};

/// A BLAKE3 hash.
pub type Digest = [u8; 32];

/// Bytes of the check that ends every map.
pub(crate) const H4_LEN: usize = 4;

/// BLAKE3 of `bytes`.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    *blake3::hash(bytes).as_bytes()
}

/// Refuses bytes at file offset `at` that do not have the hash their parent states.
pub(crate) fn expect_digest(bytes: &[u8], expected: &Digest, at: u64) -> Result<(), DecodeError> {
    if digest(bytes) == *expected {
        return Ok(());
    }
    Err(DecodeError { at, kind: DecodeErrorKind::Digest })
}

/// Appends the H4 of `out` from `start` on: the end of every map.
pub(crate) fn put_h4(out: &mut Vec<u8>, start: usize) {
    let hash = digest(out.get(start..).unwrap_or_default());
    out.extend(hash.first_chunk::<H4_LEN>().expect("a hash is longer"));
}

/// Splits the check off a map, which starts at file offset `at`, without comparing it.
pub(crate) fn split_h4(map: &[u8], at: u64) -> Result<(&[u8], [u8; H4_LEN]), DecodeError> {
    map.split_last_chunk::<H4_LEN>().map(|(body, check)| (body, *check)).ok_or_else(|| DecodeError {
        at: at.saturating_add(length(map)),
        kind: DecodeErrorKind::Truncated { missing: 1 },
    })
}

/// Refuses a map whose check is not that of its body.
pub(crate) fn expect_h4(map: &[u8], at: u64) -> Result<(), DecodeError> {
    let (body, check) = split_h4(map, at)?;
    if digest(body).starts_with(&check) {
        return Ok(());
    }
    Err(DecodeError { at: at.saturating_add(length(body)), kind: DecodeErrorKind::Check })
}
