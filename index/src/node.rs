//! A node of the tree as its parent describes it: hash, place in the file, place in the image, content totals.

use std::ops::Range;

use crate::children::Child;
use crate::cursor::section;
use crate::digest::{Digest, expect_digest, expect_h4};
use crate::error::{DecodeError, DecodeErrorKind};

/// Longest list or map of a leaf or branch. The longest possible ones stay below: a branch list has 512 times
/// 32 bytes of hash, 2 of entries and 7 of image bytes; a leaf map 256 runs of at most 21 bytes.
pub(crate) const NODE_LIMIT: u64 = 1 << 15;

/// What a branch or the top knows of a leaf or branch below it.
///
/// Enough to fetch it, to tell whether it is already known, and to check it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRef {
    pub(crate) hash: Digest,
    pub(crate) list: Range<u64>,
    pub(crate) map: Range<u64>,
    pub(crate) entries: u64,
    pub(crate) image: Range<u64>,
    pub(crate) last: bool,
}

impl NodeRef {
    /// BLAKE3 of the node's list.
    pub fn hash(&self) -> &Digest {
        &self.hash
    }

    /// Where the list lies in the file: at most 32 KiB.
    pub fn list(&self) -> Range<u64> {
        self.list.clone()
    }

    /// Where the map lies in the file, directly after the list: at most 32 KiB.
    pub fn map(&self) -> Range<u64> {
        self.map.clone()
    }

    /// Where list and map together lie in the file.
    pub fn file(&self) -> Range<u64> {
        self.list.start..self.map.end
    }

    /// Number of entries below this node.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The image bytes below this node.
    pub fn image(&self) -> Range<u64> {
        self.image.clone()
    }

    /// Whether the image ends with this node.
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// The node as it was described to its parent.
    pub(crate) fn child(&self) -> Child {
        let len = |range: &Range<u64>| range.end.saturating_sub(range.start);
        Child {
            hash: self.hash,
            entries: self.entries,
            image_len: len(&self.image),
            list_len: len(&self.list),
            map_len: len(&self.map),
        }
    }

    /// Refuses a list that is not this node's.
    pub(crate) fn check_list(&self, list: &[u8]) -> Result<(), DecodeError> {
        expect_digest(list, &self.hash, self.list.start)
    }

    /// Refuses a map that is damaged.
    pub(crate) fn check_map(&self, map: &[u8]) -> Result<(), DecodeError> {
        expect_h4(map, self.map.start)
    }

    pub(crate) fn list_len(&self) -> u64 {
        self.list.end.saturating_sub(self.list.start)
    }

    pub(crate) fn map_len(&self) -> u64 {
        self.map.end.saturating_sub(self.map.start)
    }

    /// List and map in the whole file's bytes.
    pub(crate) fn parts<'a>(&self, file: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), DecodeError> {
        Ok((section(file, self.list())?, section(file, self.map())?))
    }

    pub(crate) fn expect_entries(&self, found: u64, at: u64) -> Result<(), DecodeError> {
        expect_sum("entries", self.entries, found, at)
    }

    pub(crate) fn expect_image_len(&self, found: u64, at: u64) -> Result<(), DecodeError> {
        let stated = self.image.end.saturating_sub(self.image.start);
        expect_sum("image bytes", stated, found, at)
    }
}

/// Refuses a total that differs from the stated one.
pub(crate) fn expect_sum(of: &'static str, stated: u64, found: u64, at: u64) -> Result<(), DecodeError> {
    if stated == found {
        return Ok(());
    }
    let kind = DecodeErrorKind::Sum { of, stated, found };
    Err(DecodeError { at, kind })
}
