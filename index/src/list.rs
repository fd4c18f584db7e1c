//! The list of a leaf: its entries, without where they lie (FORMAT 4.3).

use crate::cursor::Cursor;
use crate::digest::{Digest, digest};
use crate::entry::{Entry, ShortName};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::grouping::{LEAF_MAX, leaf_ends};
use crate::node::NodeRef;
use crate::varint;

/// A leaf's entries, with the hash that the tree knows them by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafList {
    hash: Digest,
    entries: Vec<Entry>,
}

impl LeafList {
    /// The hash of these entries' list.
    pub(crate) fn of(entries: Vec<Entry>) -> Self {
        let mut list = Vec::new();
        put(&mut list, &entries);
        let hash = digest(&list);
        Self { hash, entries }
    }

    /// The list that `bytes` hold, which were checked against the node's hash.
    pub(crate) fn parse(bytes: &[u8], node: &NodeRef, max: u32) -> Result<Self, DecodeError> {
        let mut entries = Vec::new();
        parse(bytes, node, max, &mut entries)?;
        let hash = *node.hash();
        Ok(Self { hash, entries })
    }

    /// BLAKE3 of the list. Two leaves with equal hashes have equal entries.
    pub fn hash(&self) -> &Digest {
        &self.hash
    }

    /// Appends the list as an index has it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put(out, &self.entries);
    }

    /// The entries, in image order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    varint::put(out, u64::try_from(count).expect("counts fit 64 bits"));
}

/// Appends the list of `entries`.
pub(crate) fn put(out: &mut Vec<u8>, entries: &[Entry]) {
    put_count(out, entries.len());
    for entry in entries {
        out.extend(entry.short.to_bytes());
    }
    for entry in entries {
        varint::put(out, u64::from(entry.len));
    }
    put_count(out, entries.iter().filter(|e| e.repeats > 0).count());
    let mut skipped = 0;
    for entry in entries {
        match entry.repeats.checked_sub(1) {
            Some(more) => {
                varint::put(out, skipped);
                varint::put(out, more);
                skipped = 0;
            }
            None => skipped = skipped.saturating_add(1),
        }
    }
}

/// Replaces `entries` by those of the list `bytes`, the list of `node`.
///
/// Refuses whatever is not the one encoding of a leaf that ends where the format says and holds what the
/// parent states. That the hash is right is the caller's business.
pub(crate) fn parse(
    bytes: &[u8],
    node: &NodeRef,
    max: u32,
    entries: &mut Vec<Entry>,
) -> Result<(), DecodeError> {
    let mut cursor = Cursor::new(bytes, node.list().start);
    parse_chunks(&mut cursor, max, entries)?;
    parse_repeats(&mut cursor, entries)?;
    let end = cursor.clone();
    cursor.finish()?;

    if let Some((last, inner)) = entries.split_last() {
        let late = |(count, entry): (usize, &Entry)| leaf_ends(count, entry.short);
        if (1..).zip(inner).any(late) {
            return Err(end.fail(DecodeErrorKind::NodeEndsLate));
        }
        if !node.is_last() && !leaf_ends(entries.len(), last.short) {
            return Err(end.fail(DecodeErrorKind::NodeEndsEarly));
        }
    }
    let found = u64::try_from(entries.len()).unwrap_or(u64::MAX);
    node.expect_entries(found, end.at())?;
    let found =
        entries.iter().try_fold(0_u64, |sum, entry| entry.image_len().and_then(|len| sum.checked_add(len)));
    // No image has 2^64 bytes, so this total differs from every stated one.
    node.expect_image_len(found.unwrap_or(u64::MAX), end.at())
}

/// Short names and lengths.
fn parse_chunks(cursor: &mut Cursor<'_>, max: u32, entries: &mut Vec<Entry>) -> Result<(), DecodeError> {
    let limit = u32::try_from(LEAF_MAX).expect("a leaf is small");
    let count = cursor.varint_from_one(limit, "number of entries")?;
    let shorts = cursor.arrays::<{ ShortName::LEN }>(count.into())?;
    entries.clear();
    for short in shorts {
        let len = cursor.varint_from_one(max, "length of a chunk")?;
        entries.push(Entry { short: ShortName::from_bytes(*short), len, repeats: 0 });
    }
    Ok(())
}

/// The entries with repeats.
fn parse_repeats(cursor: &mut Cursor<'_>, entries: &mut [Entry]) -> Result<(), DecodeError> {
    let repeated = cursor.varint()?;
    let mut rest = entries.iter_mut();
    for _ in 0..repeated {
        let start = cursor.clone();
        let skipped = cursor.varint()?;
        let entry = usize::try_from(skipped)
            .ok()
            .and_then(|skipped| rest.nth(skipped))
            .ok_or_else(|| start.fail(DecodeErrorKind::RepeatOutsideLeaf))?;
        let start = cursor.clone();
        entry.repeats =
            cursor.varint()?.checked_add(1).ok_or_else(|| start.fail(DecodeErrorKind::VarintTooLong))?;
    }
    Ok(())
}
