//! Builds an index from a chunk list.

use std::collections::BTreeMap;

use chunk_chunker::Params;
use chunk_chunker::image::BlockHash;

use crate::build_error::BuildError;
use crate::children::Child;
use crate::cursor::length;
use crate::digest::digest;
use crate::entry::{Entry, ShortName};
use crate::grouping::{Grouper, Step};
use crate::layout::{Tree, front};
use crate::list;
use crate::location::{Location, expect_in_pack};
use crate::locator::Locator;
use crate::map;
use crate::record::{Description, IMAGE_LIMIT, RECORD_LIMIT, Record, Shape};
use crate::silence::LoudBlocks;

/// Collects the chunks of an image into a tree.
///
/// Finished leaves leave by the `out` of [`push`](Self::push), for the caller to keep elsewhere until the parts
/// before them are known. The builder itself keeps about 64 bytes for each leaf, that is, for each 48 entries
/// or so.
#[derive(Debug, Clone)]
pub struct TreeBuilder {
    params: Params,
    grouper: Grouper,
    /// Of the entries in the grouper's open leaf.
    locations: Vec<Option<Location>>,
    leaves: Vec<Child>,
    image_len: u64,
    entries: u64,
    chunks: u64,
    loud: LoudBlocks,
    /// For each pack in use, how far into it the frames reach.
    packs: BTreeMap<u32, u64>,
}

/// The parts of an index that come before its leaves.
#[derive(Debug)]
pub struct Front {
    /// Head, branches and block hashes. The leaves, in the order in which the builder gave them, complete
    /// the file.
    pub bytes: Vec<u8>,
    /// What the head says.
    pub record: Record,
}

impl TreeBuilder {
    /// A builder for an image cut with these parameters.
    pub fn new(params: Params) -> Self {
        Self {
            params,
            grouper: Grouper::default(),
            locations: Vec::new(),
            leaves: Vec::new(),
            image_len: 0,
            entries: 0,
            chunks: 0,
            loud: LoudBlocks::default(),
            packs: BTreeMap::new(),
        }
    }

    /// Takes the next `count` chunks of the image, all equal, and appends each leaf they complete to `out`.
    ///
    /// Chunks equal to the one before, also in their location, become its repeats. A chunk has a location
    /// exactly when it is not zero.
    pub fn push(
        &mut self,
        short: ShortName,
        len: u32,
        count: u64,
        location: Option<Location>,
        out: &mut Vec<u8>,
    ) -> Result<(), BuildError> {
        if len == 0 || len > self.params.max() {
            return Err(BuildError::ChunkLength { len, max: self.params.max() });
        }
        let repeats = count.checked_sub(1).ok_or(BuildError::NoChunk)?;
        match (short.is_zero(), location) {
            (true, Some(_)) => return Err(BuildError::LocatedZero),
            (false, None) => return Err(BuildError::Unlocated),
            _ => {}
        }
        if let Some(location) = location {
            location.frame.check().map_err(BuildError::Location)?;
            location.end(len).map_err(BuildError::Location)?;
        }
        let entry = Entry { short, len, repeats };
        let (added, image_len) = entry
            .image_len()
            .and_then(|added| Some((added, self.image_len.checked_add(added)?)))
            .filter(|(_, image_len)| *image_len <= IMAGE_LIMIT)
            .ok_or(BuildError::ImageTooLong { limit: IMAGE_LIMIT })?;

        self.loud.push(short.is_zero(), added);
        self.image_len = image_len;
        self.chunks = self.chunks.saturating_add(count);
        let joins = self.locations.last() == Some(&location);
        match self.grouper.push(entry, joins) {
            Step::Repeat => return Ok(()),
            Step::Entry => {}
            Step::Leaf(entries) => self.put_leaf(&entries, out),
        }
        self.entries = self.entries.saturating_add(1);
        self.locations.push(location);
        if let Some(Location { pack, frame, .. }) = location {
            let reach = self.packs.entry(pack).or_default();
            *reach = frame.end().max(*reach);
        }
        Ok(())
    }

    /// Appends the last leaf to `out` and lays out all that comes before the leaves.
    ///
    /// `blocks` are the hashes of all blocks that are not silent, in image order.
    pub fn finish(
        mut self,
        description: Description,
        locator: &Locator,
        blocks: &[BlockHash],
        out: &mut Vec<u8>,
    ) -> Result<Front, BuildError> {
        for (pack, reach) in &self.packs {
            expect_in_pack(*pack, *reach, locator).map_err(BuildError::Location)?;
        }
        let found = u64::try_from(blocks.len()).unwrap_or(u64::MAX);
        if found != self.loud.count() {
            return Err(BuildError::Blocks { expected: self.loud.count(), found });
        }
        if let Some(entries) = std::mem::take(&mut self.grouper).finish() {
            self.put_leaf(&entries, out);
        }
        let tree = Tree::over(self.leaves);
        let blocks: Vec<u8> = blocks.iter().flat_map(|block| *block.as_bytes()).collect();
        let shape = Shape {
            params: self.params,
            image_len: self.image_len,
            entries: self.entries,
            chunks: self.chunks,
            tree: digest(&tree.top_list),
            blocks: found,
            blocks_hash: digest(&blocks),
        };
        let record = Record::new(description, shape);
        let encoded = record.encode();
        if length(&encoded) > u64::from(RECORD_LIMIT) {
            return Err(BuildError::RecordTooLong { limit: RECORD_LIMIT, found: encoded.len() });
        }
        let bytes = front(tree, &encoded, &locator.encode(), &blocks).ok_or(BuildError::TreeTooLarge)?;
        Ok(Front { bytes, record })
    }

    fn put_leaf(&mut self, entries: &[Entry], out: &mut Vec<u8>) {
        let start = out.len();
        list::put(out, entries);
        let list = out.get(start..).unwrap_or_default();
        let (hash, list_len) = (digest(list), length(list));
        map::put(out, entries, &self.locations);
        self.locations.clear();
        let len = length(out.get(start..).unwrap_or_default());
        let image_len = |entry: &Entry| entry.image_len().expect("the image's length was found to fit");
        self.leaves.push(Child {
            hash,
            entries: u64::try_from(entries.len()).expect("a leaf is small"),
            image_len: entries.iter().map(image_len).fold(0, u64::saturating_add),
            list_len,
            map_len: len.saturating_sub(list_len),
        });
    }
}
