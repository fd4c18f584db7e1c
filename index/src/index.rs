//! A whole index, checked once, then read as often as one likes.

use chunk_chunker::image::BlockHash;

use crate::blocks::{Block, BlockWalk};
use crate::build_error::BuildError;
use crate::builder::Front;
use crate::cursor::{length, section};
use crate::entries::Entries;
use crate::entry::Entry;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::head::{Head, HeadError};
use crate::layout::{Tree, front};
use crate::list;
use crate::location::Location;
use crate::locator::Locator;
use crate::map;
use crate::node::{NodeRef, expect_sum};
use crate::record::{Record, VersionId};
use crate::silence::LoudBlocks;
use crate::walk::Walk;
use crate::ways::Ways;

/// An index of which every byte has been checked.
///
/// `B` holds the file. It must give the same bytes each time: reading panics if they have changed since they
/// were checked, as can happen with a map of a file that someone overwrites.
#[derive(Debug, Clone)]
pub struct Index<B> {
    head: Head,
    file: B,
}

impl<B: AsRef<[u8]>> Index<B> {
    /// Checks a whole file (FORMAT 7).
    ///
    /// Beyond `file` it takes about three times the head, which is a few thousandths of an honest file, and the
    /// content of one branch and one leaf.
    pub fn decode(file: B) -> Result<Self, DecodeError> {
        let bytes = file.as_ref();
        let head = Head::decode(bytes).map_err(|error| match error {
            HeadError::Decode(error) => error,
            HeadError::Incomplete { needed } => truncated(bytes, needed),
        })?;
        if length(bytes) < head.file_len() {
            return Err(truncated(bytes, head.file_len()));
        }
        let surplus = length(bytes).saturating_sub(head.file_len());
        if surplus > 0 {
            let kind = DecodeErrorKind::Surplus { surplus };
            return Err(DecodeError { at: head.file_len(), kind });
        }
        head.check_blocks(section(bytes, head.blocks())?)?;
        check_leaves(&head, bytes)?;
        Ok(Self { head, file })
    }

    /// The head.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The version's id.
    pub fn id(&self) -> VersionId {
        self.head.id()
    }

    /// What the version is.
    pub fn record(&self) -> &Record {
        self.head.record()
    }

    /// Where its bytes lie.
    pub fn locator(&self) -> &Locator {
        self.head.locator()
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.file.as_ref()
    }

    /// Gives the file's bytes back.
    pub fn into_bytes(self) -> B {
        self.file
    }

    /// All entries, in image order.
    pub fn entries(&self) -> Entries<'_> {
        self.entries_from(0)
    }

    /// The entries from the one on that holds the image byte `offset`; none if the image ends before.
    pub fn entries_from(&self, offset: u64) -> Entries<'_> {
        Entries::new(&self.head, self.bytes(), offset)
    }

    /// All leaves, in image order, without their entries.
    pub fn leaves(&self) -> impl Iterator<Item = NodeRef> {
        let mut walk = Walk::new(&self.head, self.bytes(), 0);
        std::iter::from_fn(move || walk.step().expect(CHECKED))
    }

    /// All bytes from the first leaf to the file's end.
    pub fn leaf_bytes(&self) -> &[u8] {
        section(self.bytes(), self.head.leaves()).expect(CHECKED)
    }

    /// The same version with other patches. The [leaves](Self::leaf_bytes) complete the file as they are.
    pub fn with_ways(&self, ways: Ways) -> Result<Front, BuildError> {
        let locator = self.locator().clone().with_ways(ways);
        let tree = Tree::over(self.leaves().map(|leaf| leaf.child()).collect());
        let blocks = section(self.bytes(), self.head.blocks()).expect(CHECKED);
        let front = front(tree, &self.record().encode(), &locator.encode(), blocks);
        Ok(Front { bytes: front.ok_or(BuildError::TreeTooLarge)?, record: self.record().clone() })
    }

    /// All blocks of the image, by number.
    pub fn blocks(&self) -> impl Iterator<Item = (u64, Block)> {
        BlockWalk::new(self.record(), self.entries(), self.block_hashes())
    }

    /// The hashes of the blocks that are not silent, in image order.
    pub fn block_hashes(&self) -> impl ExactSizeIterator<Item = BlockHash> {
        let (hashes, _) = section(self.bytes(), self.head.blocks()).expect(CHECKED).as_chunks();
        hashes.iter().copied().map(BlockHash::from_bytes)
    }
}

/// Why reading a checked index meets no error.
pub(crate) const CHECKED: &str = "`Index::decode` has read the same bytes";

fn truncated(bytes: &[u8], needed: u64) -> DecodeError {
    let at = length(bytes);
    DecodeError { at, kind: DecodeErrorKind::Truncated { missing: needed.saturating_sub(at) } }
}

/// Reads every leaf, and compares what only all of them together can tell.
fn check_leaves(head: &Head, file: &[u8]) -> Result<(), DecodeError> {
    let mut walk = Walk::new(head, file, 0);
    let (mut entries, mut locations) = (Vec::new(), Vec::new());
    let mut last: Option<(Entry, Option<Location>)> = None;
    let mut chunks = 0_u64;
    let mut loud = LoudBlocks::default();
    while let Some(leaf) = walk.step()? {
        let (list, map) = leaf.parts(file)?;
        leaf.check_list(list)?;
        leaf.check_map(map)?;
        list::parse(list, &leaf, head.record().params().max(), &mut entries)?;
        map::parse(map, leaf.map.start, &entries, head.locator(), &mut locations)?;
        for (entry, location) in entries.iter().zip(&locations) {
            let this = (*entry, *location);
            if last.is_some_and(|last| is_unmerged(&last, &this)) {
                return Err(DecodeError { at: leaf.list.start, kind: DecodeErrorKind::UnmergedRepeat });
            }
            last = Some(this);
        }
        for entry in &entries {
            // The leaf's total was found to fit, so each entry does.
            chunks = chunks.saturating_add(entry.chunks().unwrap_or(u64::MAX));
            loud.push(entry.short.is_zero(), entry.image_len().unwrap_or(u64::MAX));
        }
    }
    expect_sum("chunks", head.record().chunks(), chunks, head.file_len())?;
    expect_sum("blocks", head.record().blocks(), loud.count(), head.file_len())
}

/// Whether the second of two neighbours should have been a repeat of the first.
fn is_unmerged(first: &(Entry, Option<Location>), second: &(Entry, Option<Location>)) -> bool {
    first.0.is_same_chunk(&second.0) && first.1 == second.1
}
