//! The recipe of an image: its chunks in order, the hashes of its blocks, and where chunks lie in the store.
//!
//! It comes from a whole index, or from the parts of one that were worth fetching. Lists are always complete;
//! maps, which say where chunks lie, may be missing for leaves whose chunks the device holds.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use chunk_chunker::image::{BlockHash, Blocks};
use chunk_fetch::Source;
use chunk_index::{Block, Digest, Head, Index, LeafList, NodeRef, Placed, Record};
use chunk_store::{Key, PackName};

use crate::error::IndexError;
use crate::front::{FRONT, Front, LARGEST_INDEX, expect_size};
use crate::parts::{DOUBTS, Parts, damaged, in_memory, slice};

/// Bytes of the index around a map that was not to be needed: at first, and at most.
const LATE_SPAN: [u64; 2] = [1 << 12, 1 << 16];

/// What an image consists of.
#[derive(Debug)]
pub(crate) struct Recipe {
    head: Head,
    /// The index as far as it is there; zeros elsewhere.
    file: Vec<u8>,
    leaves: Vec<Leaf>,
    hashes: Vec<BlockHash>,
    fetched: Fetched,
}

/// The lists of the index at `path`, as [`index_lists`] tells them.
pub fn index_lists_at(path: &Path) -> Result<Vec<LeafList>, IndexError> {
    index_lists(&read_index(path).map_err(IndexError::Io)?)
}

/// The index at `path`. Reads no more than the file's head says it has, and waits for nobody.
pub(crate) fn read_index(path: &Path) -> io::Result<Vec<u8>> {
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).expect("a flag fits");
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut front = Vec::new();
    (&file).take(FRONT).read_to_end(&mut front)?;
    let stated = preamble_len(&front).filter(|stated| *stated == metadata.len() && *stated <= LARGEST_INDEX);
    if stated.is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not an index"));
    }
    (&file).read_to_end(&mut front)?;
    Ok(front)
}

/// The length of the whole file that the front of an index states.
fn preamble_len(front: &[u8]) -> Option<u64> {
    match Head::decode(front) {
        Ok(head) => Some(head.file_len()),
        Err(_) => front.get(32..40)?.try_into().ok().map(u64::from_le_bytes),
    }
}

/// The lists of an index, for a seed. Its maps may be missing, as in what a device remembers.
pub fn index_lists(file: &[u8]) -> Result<Vec<LeafList>, IndexError> {
    let head = Head::decode(file).map_err(IndexError::Head)?;
    if head.file_len() != file.len() as u64 {
        return Err(IndexError::Length { stated: head.file_len(), found: file.len() as u64 });
    }
    let mut lists = Vec::new();
    for branch in head.branches() {
        for leaf in head.decode_branch(branch, slice(file, &branch.file()))? {
            lists.push(head.decode_list(&leaf, slice(file, &leaf.list()))?);
        }
    }
    Ok(lists)
}

/// What fetching an index has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Bytes.
    pub bytes: u64,
    /// Bytes of these between others that were wanted.
    pub gaps: u64,
    /// Requests.
    pub requests: u64,
}

impl std::ops::Add for Fetched {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            gaps: self.gaps + other.gaps,
            requests: self.requests + other.requests,
        }
    }
}

/// Maps that were not to be needed, by the number of their leaf.
#[derive(Debug, Default)]
pub(crate) struct LateMaps {
    maps: HashMap<usize, Vec<u8>>,
    /// How often some were fetched: the oftener, the more at a time.
    times: u32,
}

#[derive(Debug)]
struct Leaf {
    node: NodeRef,
    has_map: bool,
}

impl Recipe {
    /// The recipe that a whole index is.
    pub(crate) fn whole(index: Index<Vec<u8>>) -> Result<Self, IndexError> {
        expect_size(index.head(), 0)?;
        let leaves = index.leaves().map(|node| Leaf { node, has_map: true }).collect();
        let hashes = index.block_hashes().collect();
        let head = index.head().clone();
        Ok(Self { head, file: index.into_bytes(), leaves, hashes, fetched: Fetched::default() })
    }

    /// Fetches the recipe that starts with `front`, but for the lists among `known` and their maps.
    pub(crate) fn fetch(
        front: Front,
        source: &dyn Source,
        object: &str,
        known: &HashMap<Digest, LeafList>,
    ) -> Result<Self, IndexError> {
        let Front { head, bytes, fetched } = front;
        let mut file = vec![0; in_memory(head.file_len())];
        let start = bytes.len().min(file.len());
        file[..start].copy_from_slice(&bytes[..start]);
        let mut parts = Parts { source, object, there: start as u64, fetched };
        let nodes: Vec<_> = head.branches().iter().map(NodeRef::file).chain([head.blocks()]).collect();
        parts.read(&nodes, &mut file)?;
        let mut leaves = Vec::new();
        for branch in head.branches() {
            leaves.extend(parts.check(&branch.file(), &mut file, |bytes| head.decode_branch(branch, bytes))?);
        }
        let hashes = parts.check(&head.blocks(), &mut file, |bytes| {
            head.decode_blocks(bytes).map(Iterator::collect::<Vec<_>>)
        })?;
        let unknown: Vec<_> =
            leaves.iter().filter(|leaf| !known.contains_key(leaf.hash())).map(NodeRef::file).collect();
        parts.read(&unknown, &mut file)?;
        let mut checked = Vec::with_capacity(leaves.len());
        let mut encoded = Vec::new();
        for node in leaves {
            let has_map = match known.get(node.hash()) {
                Some(list) => {
                    encoded.clear();
                    list.encode(&mut encoded);
                    // Equal hashes of lists are equal lists, and the parent stated this one's length.
                    let place = file.get_mut(in_memory(node.list().start)..in_memory(node.list().end));
                    let place = place.filter(|place| place.len() == encoded.len());
                    place.ok_or(IndexError::Blocks)?.copy_from_slice(&encoded);
                    false
                }
                None => true,
            };
            let list = parts.check(&node.list(), &mut file, |bytes| head.decode_list(&node, bytes))?;
            if has_map {
                parts.check(&node.map(), &mut file, |bytes| head.decode_map(&node, &list, bytes))?;
            }
            checked.push(Leaf { node, has_map });
        }
        Ok(Self { head, file, leaves: checked, hashes, fetched: parts.fetched })
    }

    /// No more than `front` tells: enough for an image that is right already.
    pub(crate) fn without_chunks(front: Front) -> Self {
        let Front { head, fetched, .. } = front;
        Self { head, file: Vec::new(), leaves: Vec::new(), hashes: Vec::new(), fetched }
    }

    /// Fetches the maps of the leaves for which `wanted` says so, as far as they are not there yet.
    pub(crate) fn fetch_maps(
        &mut self,
        source: &dyn Source,
        object: &str,
        mut wanted: impl FnMut(&NodeRef, &LeafList) -> bool,
    ) -> Result<(), IndexError> {
        let missing: Vec<usize> = (0..self.leaves.len())
            .filter(|number| {
                let leaf = &self.leaves[*number];
                !leaf.has_map && wanted(&leaf.node, &self.list(leaf))
            })
            .collect();
        let ranges: Vec<_> = missing.iter().map(|number| self.leaves[*number].node.map()).collect();
        let mut parts = Parts { source, object, there: 0, fetched: self.fetched };
        let read = parts.read(&ranges, &mut self.file);
        self.fetched = parts.fetched;
        read?;
        for number in missing {
            let node = &self.leaves[number].node;
            let list = self.list(&self.leaves[number]);
            let decode = |bytes: &[u8]| self.head.decode_map(node, &list, bytes);
            let checked = parts.check(&node.map(), &mut self.file, decode);
            self.fetched = parts.fetched;
            checked?;
            self.leaves[number].has_map = true;
        }
        Ok(())
    }

    /// The index as far as it is there, with zeros for what is not.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.file
    }

    /// Whether it has the lists of chunks, and not only the head.
    pub(crate) fn has_lists(&self) -> bool {
        !self.file.is_empty()
    }

    /// What fetching it has cost so far.
    pub(crate) fn fetched(&self) -> Fetched {
        self.fetched
    }

    /// Counts what was fetched of another index for the same image.
    pub(crate) fn add_fetched(&mut self, other: Fetched) {
        self.fetched = self.fetched + other;
    }

    /// The head of the index.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// The path of the pack with this number.
    pub(crate) fn pack_path(&self, number: u32) -> String {
        let pack = self.head.locator().pack(number).expect("a checked map names only packs of the locator");
        Key::pack(&PackName::from_bytes(pack.name)).path()
    }

    /// What the version is.
    pub(crate) fn record(&self) -> &Record {
        self.head.record()
    }

    /// The blocks of the image.
    pub(crate) fn blocks(&self) -> Blocks {
        Blocks::of_len(self.record().image_len())
    }

    /// Bytes that the recipe takes in memory.
    pub(crate) fn memory(&self) -> usize {
        self.file.capacity()
            + self.leaves.capacity() * size_of::<Leaf>()
            + self.hashes.capacity() * size_of::<BlockHash>()
    }

    /// The entries from the one on that holds the image byte `offset`.
    ///
    /// An entry without location that does not stand for zeros is one whose map is not there.
    pub(crate) fn entries_from(&self, offset: u64) -> impl Iterator<Item = Placed> {
        let first = self.leaves.partition_point(|leaf| leaf.node.image().end <= offset);
        self.leaves[first..]
            .iter()
            .flat_map(|leaf| self.leaf(leaf))
            .skip_while(move |placed| placed.image.end <= offset)
    }

    /// What the recipe says of each block, by number.
    pub(crate) fn said(&self) -> Result<Vec<Block>, IndexError> {
        let blocks = self.blocks();
        let mut said = Vec::with_capacity(in_memory(blocks.count()));
        let mut hashes = self.hashes.iter();
        let mut entries = self.entries_from(0).filter(|placed| !placed.entry.short.is_zero());
        let mut loud = entries.next().map(|placed| placed.image);
        for number in 0..blocks.count() {
            let block = blocks.range(number);
            while loud.as_ref().is_some_and(|loud| loud.end <= block.start) {
                loud = entries.next().map(|placed| placed.image);
            }
            said.push(if loud.as_ref().is_none_or(|loud| loud.start >= block.end) {
                Block::Silent
            } else {
                Block::Hash(*hashes.next().ok_or(IndexError::Blocks)?)
            });
        }
        if hashes.next().is_some() { Err(IndexError::Blocks) } else { Ok(said) }
    }

    /// The entries of the leaf that holds image byte `offset`, with their locations, and the bytes that had to be fetched
    /// for its map. The maps behind it are fetched along: who lacks one mostly lacks the next, too.
    pub(crate) fn entries_with_map(
        &self,
        source: &dyn Source,
        object: &str,
        offset: u64,
        late: &Mutex<LateMaps>,
    ) -> Result<(Vec<Placed>, u64), IndexError> {
        let number = self.leaves.partition_point(|leaf| leaf.node.image().end <= offset);
        let leaf = &self.leaves[number];
        if leaf.has_map {
            return Ok((self.leaf(leaf).collect(), 0));
        }
        // While one fetches, the others wait: it may be for the same.
        let mut late = late.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = late.maps.contains_key(&number);
        let mut fetched = if is_there { 0 } else { self.fetch_late(source, object, number, &mut late)? };
        let list = self.list(leaf);
        let mut decoded = self.head.decode_map(&leaf.node, &list, &late.maps[&number]);
        for doubt in 1..=DOUBTS {
            if decoded.is_ok() {
                break;
            }
            late.maps.remove(&number);
            let (map, mut bytes) = (leaf.node.map(), Vec::new());
            source.read_again(object, map.clone(), doubt, &mut bytes)?;
            fetched += map.end - map.start;
            decoded = self.head.decode_map(&leaf.node, &list, &bytes);
            late.maps.insert(number, bytes);
        }
        let locations = decoded.map_err(|error| {
            late.maps.remove(&number);
            damaged(source, object, error)
        })?;
        Ok((place(leaf.node.image().start, &list, locations).collect(), fetched))
    }

    /// Fetches the map of leaf `first`, and of those behind it what comes in the same request.
    fn fetch_late(
        &self,
        source: &dyn Source,
        object: &str,
        first: usize,
        late: &mut LateMaps,
    ) -> Result<u64, IndexError> {
        let start = self.leaves[first].node.map().start;
        let span = (LATE_SPAN[0] << late.times.min(8)).min(LATE_SPAN[1]);
        late.times += 1;
        let missing = (first..).zip(&self.leaves[first..]).take_while(|(number, leaf)| {
            *number == first
                || leaf.node.map().end - start <= span && !leaf.has_map && !late.maps.contains_key(number)
        });
        let missing: Vec<_> = missing.map(|(number, leaf)| (number, leaf.node.map())).collect();
        let end = missing.last().map_or(start, |(_, map)| map.end);
        let mut bytes = Vec::new();
        source.read(object, start..end, &mut bytes)?;
        for (number, map) in missing {
            late.maps
                .insert(number, bytes[in_memory(map.start - start)..in_memory(map.end - start)].to_vec());
        }
        Ok(end - start)
    }

    fn list(&self, leaf: &Leaf) -> LeafList {
        self.head.decode_list(&leaf.node, slice(&self.file, &leaf.node.list())).expect(CHECKED)
    }

    fn leaf(&self, leaf: &Leaf) -> impl Iterator<Item = Placed> + use<> {
        let list = self.list(leaf);
        let locations = if leaf.has_map {
            self.head.decode_map(&leaf.node, &list, slice(&self.file, &leaf.node.map())).expect(CHECKED)
        } else {
            vec![None; list.entries().len()]
        };
        place(leaf.node.image().start, &list, locations)
    }
}

/// Entries with their places in the image.
fn place(
    start: u64,
    list: &LeafList,
    locations: Vec<Option<chunk_index::Location>>,
) -> impl Iterator<Item = Placed> + use<> {
    let mut at = start;
    let entries = list.entries().to_vec();
    entries.into_iter().zip(locations).map(move |(entry, location)| {
        let image = at..at + u64::from(entry.len) * (entry.repeats + 1);
        at = image.end;
        Placed { image, entry, location }
    })
}

const CHECKED: &str = "the same bytes were decoded before";
