//! Lists and maps of branches and of the top: which nodes lie below, and where (FORMAT 4.3).

use std::ops::Range;

use crate::cursor::Cursor;
use crate::digest::{Digest, put_h4, split_h4};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::node::{NODE_LIMIT, NodeRef, expect_sum};
use crate::varint;

/// Least bytes that a list spends on a child: its hash, its entries, its image bytes.
const LIST_BYTES_PER_CHILD: u64 = 34;

/// A finished node, as its parent will describe it.
#[derive(Debug, Clone)]
pub(crate) struct Child {
    pub(crate) hash: Digest,
    pub(crate) entries: u64,
    pub(crate) image_len: u64,
    pub(crate) list_len: u64,
    pub(crate) map_len: u64,
}

/// Appends the list of a node above `children`.
pub(crate) fn put_list(out: &mut Vec<u8>, children: &[Child]) {
    varint::put(out, u64::try_from(children.len()).expect("counts fit 64 bits"));
    for child in children {
        out.extend(child.hash);
    }
    for child in children {
        varint::put(out, child.entries);
    }
    for child in children {
        varint::put(out, child.image_len);
    }
}

/// Appends the map of a node above `children`, the first of which lies at `first`.
pub(crate) fn put_map(out: &mut Vec<u8>, first: u64, children: &[Child]) {
    let start = out.len();
    varint::put(out, first);
    for child in children {
        varint::put(out, child.list_len);
        varint::put(out, child.map_len);
    }
    put_h4(out, start);
}

/// What a decoder already knows of the node above the children.
pub(crate) struct Parent {
    pub(crate) entries: u64,
    pub(crate) image: Range<u64>,
    /// Whether the image ends with it.
    pub(crate) last: bool,
    /// Where its children may lie in the file.
    pub(crate) region: Range<u64>,
    /// Whether they fill that region to its end.
    pub(crate) fills: bool,
}

/// The children of `parent`, from its list and map; `list_at` and `map_at` are their places in the file.
///
/// Refuses children that do not add up to the parent, or leave their region. Allocates about three bytes for
/// each byte of list. Hash and check are the caller's business.
pub(crate) fn parse(
    (list, list_at): (&[u8], u64),
    (map, map_at): (&[u8], u64),
    parent: &Parent,
) -> Result<Vec<NodeRef>, DecodeError> {
    let mut children = parse_list(Cursor::new(list, list_at), parent)?;
    let (body, _) = split_h4(map, map_at)?;
    parse_map(Cursor::new(body, map_at), parent, &mut children)?;
    Ok(children)
}

fn parse_list(mut cursor: Cursor<'_>, parent: &Parent) -> Result<Vec<NodeRef>, DecodeError> {
    let start = cursor.clone();
    let count = cursor.varint()?;
    if count > cursor.remaining() / LIST_BYTES_PER_CHILD {
        let needed = count.saturating_mul(LIST_BYTES_PER_CHILD);
        return Err(
            start.fail(DecodeErrorKind::Truncated { missing: needed.saturating_sub(cursor.remaining()) })
        );
    }
    let hashes = cursor.arrays::<32>(count)?;
    let mut children = Vec::with_capacity(hashes.len());
    let mut entries = 0_u64;
    for hash in hashes {
        let child = NodeRef {
            hash: *hash,
            list: 0..0,
            map: 0..0,
            entries: cursor.varint()?,
            image: 0..0,
            last: false,
        };
        // Stops at 2^64 − 1, which is no total that a parent states: an image has at most 2^48 bytes.
        entries = entries.saturating_add(child.entries);
        children.push(child);
    }
    let mut image_at = parent.image.start;
    for child in &mut children {
        let end = image_at.saturating_add(cursor.varint()?);
        child.image = image_at..end;
        image_at = end;
    }
    let at = cursor.at();
    cursor.finish()?;
    expect_sum("entries", parent.entries, entries, at)?;
    let stated = parent.image.end.saturating_sub(parent.image.start);
    let found = image_at.saturating_sub(parent.image.start);
    expect_sum("image bytes", stated, found, at)?;
    if let Some(last) = children.last_mut() {
        last.last = parent.last;
    }
    Ok(children)
}

fn parse_map(mut cursor: Cursor<'_>, parent: &Parent, children: &mut [NodeRef]) -> Result<(), DecodeError> {
    let start = cursor.clone();
    let mut offset = cursor.varint()?;
    // The children of the top and of the first branch start with their region. Those of another branch start
    // where the branch before ends, which only a reader of both can tell.
    let is_first = parent.image.start == 0;
    if offset < parent.region.start || (is_first && offset > parent.region.start) {
        return Err(start.fail(DecodeErrorKind::Misplaced { expected: parent.region.start, found: offset }));
    }
    for child in children {
        let start = cursor.clone();
        let list_len = cursor.varint_up_to(NODE_LIMIT, "length of a list")?;
        let map_len = cursor.varint_up_to(NODE_LIMIT, "length of a map")?;
        let list_end = offset.saturating_add(list_len);
        let map_end = list_end.saturating_add(map_len);
        if map_end > parent.region.end {
            return Err(
                start.fail(DecodeErrorKind::Misplaced { expected: parent.region.end, found: map_end })
            );
        }
        child.list = offset..list_end;
        child.map = list_end..map_end;
        offset = map_end;
    }
    if parent.fills && offset != parent.region.end {
        return Err(cursor.fail(DecodeErrorKind::Misplaced { expected: parent.region.end, found: offset }));
    }
    cursor.finish()
}

/// The end of the last of `children` in the file, if there is one.
pub(crate) fn end(children: &[NodeRef]) -> Option<u64> {
    children.last().map(|child| child.map.end)
}

/// Bytes of list and map of all `children` together.
pub(crate) fn total_len(children: &[Child]) -> u64 {
    children
        .iter()
        .fold(0, |sum: u64, child| sum.saturating_add(child.list_len).saturating_add(child.map_len))
}
