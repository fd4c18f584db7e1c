//! The recipe of an image: its chunks in order, the hashes of its blocks, and where chunks lie in the store.
//!
//! It comes from a whole index, or from the parts of one that were worth fetching. Lists are always complete;
//! maps, which say where chunks lie, may be missing for leaves whose chunks the device holds.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use chunk_chunker::image::{BlockHash, Blocks};
use chunk_fetch::{Request, Source, join};
use chunk_index::{Block, Digest, Head, HeadError, Index, LeafList, NodeRef, Placed, Record};

use crate::error::IndexError;

/// Bytes of an index asked for first: enough for most heads, even with as many ways as there may be.
const FRONT: u64 = 1 << 13;
/// Largest index that is fetched in parts: that of an image of some TiB. Its length is the server's own claim.
const LARGEST_INDEX: u64 = 1 << 32;
/// Most blocks of an image: what is known of each is held in memory.
const MOST_BLOCKS: u64 = 1 << 23;
/// Largest head that is fetched: that of an image of 2^48 bytes has less.
const LARGEST_HEAD: u64 = 1 << 28;
/// Gap between two parts of an index that is fetched rather than asked around.
const GAP: u64 = 1 << 12;
/// Requests for parts of an index at a time: none of them needs what another brings. The source may bear fewer.
const AT_A_TIME: usize = 16;
/// Longest single request for a part of an index.
const LONGEST: u64 = 1 << 22;
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
            leaves.extend(head.decode_branch(branch, slice(&file, &branch.file()))?);
        }
        let hashes = head.decode_blocks(slice(&file, &head.blocks()))?.collect();
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
            let list = head.decode_list(&node, slice(&file, &node.list()))?;
            if has_map {
                head.decode_map(&node, &list, slice(&file, &node.map()))?;
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
        parts.read(&ranges, &mut self.file)?;
        self.fetched = parts.fetched;
        for number in missing {
            let leaf = &self.leaves[number];
            self.head.decode_map(&leaf.node, &self.list(leaf), slice(&self.file, &leaf.node.map()))?;
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
        let fetched = if is_there { 0 } else { self.fetch_late(source, object, number, &mut late)? };
        let list = self.list(leaf);
        let decoded = self.head.decode_map(&leaf.node, &list, &late.maps[&number]);
        // A damaged one may be right when it is asked for again.
        let locations = decoded.inspect_err(|_| drop(late.maps.remove(&number)))?;
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

/// The front of an index: its head, decoded, and its bytes, perhaps with some that follow.
#[derive(Debug)]
pub(crate) struct Front {
    head: Head,
    bytes: Vec<u8>,
    fetched: Fetched,
}

impl Front {
    /// Reads the front of `object`.
    pub(crate) fn fetch(source: &dyn Source, object: &str) -> Result<Self, IndexError> {
        let mut bytes = Vec::new();
        let len = source.open(object, FRONT, &mut bytes)?;
        let mut fetched = Fetched { bytes: bytes.len() as u64, gaps: 0, requests: 1 };
        loop {
            match Head::decode(&bytes) {
                Ok(head) if head.file_len() == len => {
                    expect_size(&head, len)?;
                    return Ok(Self { head, bytes, fetched });
                }
                Ok(head) => return Err(IndexError::Length { stated: head.file_len(), found: len }),
                Err(HeadError::Incomplete { needed })
                    if needed <= len.min(LARGEST_HEAD) && (bytes.len() as u64) < needed =>
                {
                    source.read(object, 0..needed, &mut bytes)?;
                    fetched.bytes += needed;
                    fetched.requests += 1;
                }
                Err(error) => return Err(IndexError::Head(error)),
            }
        }
    }

    /// The head.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// What fetching it has cost.
    pub(crate) fn fetched(&self) -> Fetched {
        self.fetched
    }
}

/// Refuses an index or an image that is too large to be worked on, before memory is asked for.
fn expect_size(head: &Head, file_len: u64) -> Result<(), IndexError> {
    let image_len = head.record().image_len();
    let is_here = usize::try_from(file_len).is_ok_and(|len| Vec::<u8>::new().try_reserve_exact(len).is_ok());
    if file_len > LARGEST_INDEX || Blocks::of_len(image_len).count() > MOST_BLOCKS || !is_here {
        return Err(IndexError::TooLarge { file_len, image_len });
    }
    Ok(())
}

/// Parts of an index file, fetched together where they lie together.
struct Parts<'a> {
    source: &'a dyn Source,
    object: &'a str,
    /// Bytes from the start that are there already.
    there: u64,
    fetched: Fetched,
}

impl Parts<'_> {
    /// Reads `ranges`, which ascend, into their places in `file`.
    fn read(&mut self, ranges: &[Range<u64>], file: &mut [u8]) -> Result<(), IndexError> {
        let missing = ranges.iter().filter(|range| range.end > self.there).cloned();
        let requests = join(missing, GAP, LONGEST);
        let next = AtomicUsize::new(0);
        let file = Mutex::new(file);
        let read_some = || -> Result<(), IndexError> {
            let mut buffer = Vec::new();
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let read = self.source.read(self.object, request.range.clone(), &mut buffer);
                read.inspect_err(|_| next.store(requests.len(), Ordering::Relaxed))?;
                // The head was checked against the file's length, and every part against the head.
                let place = in_memory(request.range.start)..in_memory(request.range.end);
                file.lock().expect("copying does not panic")[place].copy_from_slice(&buffer);
            }
            Ok(())
        };
        thread::scope(|scope| {
            let threads: Vec<_> =
                (0..AT_A_TIME.min(requests.len())).map(|_| scope.spawn(read_some)).collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("reading does not panic"))
        })?;
        for Request { range, wanted } in &requests {
            self.fetched.bytes += range.end - range.start;
            self.fetched.gaps += range.end - range.start - wanted;
        }
        self.fetched.requests += requests.len() as u64;
        Ok(())
    }
}

fn slice<'a>(file: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    &file[in_memory(range.start)..in_memory(range.end)]
}

fn in_memory(len: u64) -> usize {
    usize::try_from(len).expect("an index that is in memory")
}
