//! The head of an index: what a version is, and which parts of the file to fetch next.
//!
//! A client reads the head, then each branch, then the leaves whose hash it cannot rebuild from chunks that it
//! knows ([`leaf_lists`](crate::leaf_lists)), and the map of each leaf that names chunks it lacks. Every part
//! is checked as it comes; the order does not matter.

use std::error::Error;
use std::fmt;
use std::ops::Range;

use chunk_chunker::image::BlockHash;

use crate::children::{self, Parent};
use crate::cursor::{Cursor, section};
use crate::digest::{Digest, expect_digest, expect_h4};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::grouping::branch_ends;
use crate::list::LeafList;
use crate::location::Location;
use crate::locator::Locator;
use crate::map;
use crate::node::NodeRef;
use crate::preamble::{PREAMBLE_LEN, Preamble, expect_check};
use crate::record::{Record, VersionId};

/// Bytes of a block hash.
const BLOCK_HASH_LEN: u64 = 32;

/// A checked head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    id: VersionId,
    record: Record,
    locator: Locator,
    branches: Vec<NodeRef>,
    len: u64,
    blocks: Range<u64>,
    file_len: u64,
}

impl Head {
    /// Reads the head off the front of `bytes`, which may go on after it.
    ///
    /// Whether this is the version that the caller wants is told by [`Head::id`], and by nothing else here.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeadError> {
        let Some(front) = bytes.first_chunk::<PREAMBLE_LEN>() else {
            let needed = u64::try_from(PREAMBLE_LEN).expect("it is small");
            return Err(HeadError::Incomplete { needed });
        };
        let preamble = Preamble::decode(front)?;
        let needed = preamble.head_len();
        match section(bytes, 0..needed) {
            Ok(head) => Ok(Self::parse(head, preamble)?),
            Err(_) => Err(HeadError::Incomplete { needed }),
        }
    }

    fn parse(head: &[u8], preamble: Preamble) -> Result<Self, DecodeError> {
        expect_check(head)?;
        let mut parts = Cursor::new(head, 0);
        parts.take(u64::try_from(PREAMBLE_LEN).expect("it is small"))?;
        let mut part = |len: u32| {
            let at = parts.at();
            parts.take(u64::from(len)).map(|bytes| (bytes, at))
        };
        let (record_bytes, record_at) = part(preamble.record)?;
        let (locator_bytes, locator_at) = part(preamble.locator)?;
        let (list, list_at) = part(preamble.top_list)?;
        let (map, map_at) = part(preamble.top_map)?;

        let record = Record::decode(Cursor::new(record_bytes, record_at))?;
        let locator = Locator::decode(Cursor::new(locator_bytes, locator_at))?;
        expect_digest(list, record.tree(), list_at)?;
        expect_h4(map, map_at)?;
        let top = Parent {
            entries: record.entries(),
            image: 0..record.image_len(),
            last: true,
            region: preamble.head_len()..preamble.file,
            fills: false,
        };
        let branches = children::parse((list, list_at), (map, map_at), &top)?;

        let blocks_at = children::end(&branches).unwrap_or(preamble.head_len());
        let blocks_len = record.blocks().saturating_mul(BLOCK_HASH_LEN);
        let blocks = blocks_at..blocks_at.saturating_add(blocks_len);
        let found = preamble.file;
        if blocks.end > found || (branches.is_empty() && blocks.end < found) {
            let kind = DecodeErrorKind::Misplaced { expected: blocks.end, found };
            return Err(DecodeError { at: map_at, kind });
        }
        Ok(Self {
            id: record.id(),
            record,
            locator,
            branches,
            len: preamble.head_len(),
            blocks,
            file_len: preamble.file,
        })
    }

    /// The version's id.
    pub fn id(&self) -> VersionId {
        self.id
    }

    /// What the version is.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Where its bytes lie.
    pub fn locator(&self) -> &Locator {
        &self.locator
    }

    /// The branches, in image order. None if the image is empty.
    pub fn branches(&self) -> &[NodeRef] {
        &self.branches
    }

    /// Bytes of the head.
    #[expect(clippy::len_without_is_empty, reason = "no head is empty")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Where the block hashes lie in the file.
    pub fn blocks(&self) -> Range<u64> {
        self.blocks.clone()
    }

    /// Where the leaves lie in the file.
    pub fn leaves(&self) -> Range<u64> {
        self.blocks.end..self.file_len
    }

    /// Bytes of the whole file.
    pub fn file_len(&self) -> u64 {
        self.file_len
    }

    /// The leaves of a branch, from the file's bytes at [`NodeRef::file`].
    pub fn decode_branch(&self, branch: &NodeRef, bytes: &[u8]) -> Result<Vec<NodeRef>, DecodeError> {
        let mut parts = Cursor::new(bytes, branch.list.start);
        let list = parts.take(branch.list_len())?;
        let map = parts.take(branch.map_len())?;
        parts.finish()?;
        branch.check_list(list)?;
        branch.check_map(map)?;
        let parent = Parent {
            entries: branch.entries,
            image: branch.image(),
            last: branch.last,
            region: self.leaves(),
            fills: branch.last,
        };
        let leaves = children::parse((list, branch.list.start), (map, branch.map.start), &parent)?;
        expect_branch_end(branch, &leaves)?;
        Ok(leaves)
    }

    /// The entries of a leaf, from the file's bytes at [`NodeRef::list`].
    pub fn decode_list(&self, leaf: &NodeRef, bytes: &[u8]) -> Result<LeafList, DecodeError> {
        leaf.check_list(bytes)?;
        LeafList::parse(bytes, leaf, self.record.params().max())
    }

    /// The location of each entry of a leaf, from the file's bytes at [`NodeRef::map`]; `None` for zero chunks.
    ///
    /// The list may come from anywhere, so long as its hash is the leaf's.
    pub fn decode_map(
        &self,
        leaf: &NodeRef,
        list: &LeafList,
        bytes: &[u8],
    ) -> Result<Vec<Option<Location>>, DecodeError> {
        if list.hash() != leaf.hash() {
            return Err(DecodeError { at: leaf.list.start, kind: DecodeErrorKind::Digest });
        }
        leaf.check_map(bytes)?;
        let mut locations = Vec::new();
        map::parse(bytes, leaf.map.start, list.entries(), &self.locator, &mut locations)?;
        Ok(locations)
    }

    /// The hashes of all blocks that are not silent, in image order, from the file's bytes at [`Head::blocks`].
    pub fn decode_blocks<'a>(
        &self,
        bytes: &'a [u8],
    ) -> Result<impl ExactSizeIterator<Item = BlockHash> + use<'a>, DecodeError> {
        let hashes = self.check_blocks(bytes)?;
        Ok(hashes.iter().copied().map(BlockHash::from_bytes))
    }

    pub(crate) fn check_blocks<'a>(&self, bytes: &'a [u8]) -> Result<&'a [Digest], DecodeError> {
        expect_digest(bytes, self.record.blocks_hash(), self.blocks.start)?;
        let mut cursor = Cursor::new(bytes, self.blocks.start);
        let hashes = cursor.arrays(self.record.blocks())?;
        cursor.finish()?;
        Ok(hashes)
    }
}

/// Refuses a branch that has not the leaves a branch ends after.
fn expect_branch_end(branch: &NodeRef, leaves: &[NodeRef]) -> Result<(), DecodeError> {
    let fail = |kind| Err(DecodeError { at: branch.list.start, kind });
    let Some((last, inner)) = leaves.split_last() else {
        return fail(DecodeErrorKind::Zero { of: "number of leaves" });
    };
    if (1..).zip(inner).any(|(count, leaf)| branch_ends(count, &leaf.hash)) {
        return fail(DecodeErrorKind::NodeEndsLate);
    }
    if !branch.last && !branch_ends(leaves.len(), &last.hash) {
        return fail(DecodeErrorKind::NodeEndsEarly);
    }
    Ok(())
}

/// Why there is no head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadError {
    /// The bytes given end before the head does.
    Incomplete {
        /// How many bytes from the file's start are needed to get further. This is the file's own claim, of
        /// up to 8 GiB: compare it with the length that the server states before fetching so much.
        needed: u64,
    },
    /// The bytes are no head.
    Decode(DecodeError),
}

impl From<DecodeError> for HeadError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete { needed } => write!(f, "the head needs the first {needed} bytes of the index"),
            Self::Decode(error) => error.fmt(f),
        }
    }
}

impl Error for HeadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Incomplete { .. } => None,
            Self::Decode(error) => error.source(),
        }
    }
}
