//! The preamble: how long each part of the head is (FORMAT 4.1).

use crate::cursor::{Cursor, length};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::locator::LOCATOR_LIMIT;
use crate::record::RECORD_LIMIT;

/// Bytes of the preamble.
pub(crate) const PREAMBLE_LEN: usize = 48;

/// Longest list, and longest map, of the top.
pub(crate) const TOP_LIMIT: u32 = 1 << 26;

const MAGIC: [u8; 8] = *b"chunkidx";
const FORMAT: u16 = 1;
/// Where the check over the head starts; it ends the preamble.
const CHECK_AT: usize = 40;

/// Lengths of the head's parts and of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Preamble {
    pub(crate) record: u32,
    pub(crate) locator: u32,
    pub(crate) top_list: u32,
    pub(crate) top_map: u32,
    pub(crate) file: u64,
}

impl Preamble {
    /// Bytes of the whole head.
    pub(crate) fn head_len(&self) -> u64 {
        let parts = [self.record, self.locator, self.top_list, self.top_map];
        let preamble = u64::try_from(PREAMBLE_LEN).expect("it is small");
        parts.into_iter().map(u64::from).fold(preamble, u64::saturating_add)
    }

    /// Writes the preamble in front of the head's `other` parts.
    pub(crate) fn seal(&self, other: &[u8]) -> Vec<u8> {
        let mut head = Vec::new();
        head.extend(MAGIC);
        head.extend(FORMAT.to_le_bytes());
        head.extend(0_u16.to_le_bytes());
        for part in [self.record, self.locator, self.top_list, self.top_map, 0] {
            head.extend(part.to_le_bytes());
        }
        head.extend(self.file.to_le_bytes());
        head.extend(check(&head, other));
        head.extend(other);
        head
    }

    /// Reads the preamble, and believes no more than its limits allow.
    pub(crate) fn decode(bytes: &[u8; PREAMBLE_LEN]) -> Result<Self, DecodeError> {
        use DecodeErrorKind as Kind;

        let mut cursor = Cursor::new(bytes, 0);
        cursor.checked(|magic: [u8; 8]| (magic == MAGIC).then_some(()).ok_or(Kind::Magic))?;
        cursor.checked(|found: u16| (found == FORMAT).then_some(()).ok_or(Kind::Version { found }))?;
        cursor.checked(|zero: u16| (zero == 0).then_some(()).ok_or(Kind::Reserved))?;
        let limited = |limit: u32, of| {
            move |found: u32| {
                let kind = Kind::Limit { of, limit: u64::from(limit), found: u64::from(found) };
                (found <= limit).then_some(found).ok_or(kind)
            }
        };
        let record = cursor.checked(limited(RECORD_LIMIT, "length of the record"))?;
        let locator = cursor.checked(limited(LOCATOR_LIMIT, "length of the locator"))?;
        let top_list = cursor.checked(limited(TOP_LIMIT, "length of the top list"))?;
        let top_map = cursor.checked(limited(TOP_LIMIT, "length of the top map"))?;
        cursor.checked(|zero: u32| (zero == 0).then_some(()).ok_or(Kind::Reserved))?;
        let file_at = cursor.clone();
        let preamble = Self { record, locator, top_list, top_map, file: cursor.field()? };
        if preamble.head_len() > preamble.file {
            return Err(
                file_at.fail(Kind::Truncated { missing: preamble.head_len().saturating_sub(preamble.file) })
            );
        }
        Ok(preamble)
    }
}

/// Refuses a head whose check is not that of its other bytes.
pub(crate) fn expect_check(head: &[u8]) -> Result<(), DecodeError> {
    let (before, rest) = head.split_at_checked(CHECK_AT).unwrap_or((head, &[]));
    let (found, after) = rest.split_at_checked(8).unwrap_or((rest, &[]));
    if found == check(before, after) {
        return Ok(());
    }
    Err(DecodeError { at: length(before), kind: DecodeErrorKind::Check })
}

/// H8 of the head around the check.
fn check(before: &[u8], after: &[u8]) -> [u8; 8] {
    let hash = blake3::Hasher::new().update(before).update(after).finalize();
    *hash.as_bytes().first_chunk().expect("a hash is longer")
}
