//! What a device would have to fetch: pure arithmetic over an index and what the device holds.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use chunk_fetch::{Request, join};
use chunk_index::{Digest, Entry, FrameRef, Index, ShortName, leaf_lists};

/// The chunks that a device holds.
#[derive(Debug, Default)]
pub struct Have {
    chunks: HashSet<(ShortName, u32)>,
    leaves: HashSet<Digest>,
}

impl Have {
    /// Adds the chunks of one seed, in the order in which it holds them.
    pub fn add(&mut self, chunks: impl IntoIterator<Item = Entry>) {
        for leaf in leaf_lists(chunks) {
            self.leaves.insert(*leaf.hash());
            self.chunks.extend(leaf.entries().iter().map(|entry| (entry.short, entry.len)));
        }
    }

    fn has(&self, entry: &Entry) -> bool {
        entry.short.is_zero() || self.chunks.contains(&(entry.short, entry.len))
    }
}

/// What is missing, and where it can be had.
#[derive(Debug)]
pub struct Need {
    /// Bytes of the image that the device lacks, neighbours joined.
    pub regions: Vec<Range<u64>>,
    /// Image bytes in these regions.
    pub missing_bytes: u64,
    /// Chunks to fetch, each once.
    pub missing_chunks: u64,
    /// The frames that hold them, by pack number and offset.
    frames: BTreeMap<(u32, u32), FrameRef>,
    /// Index bytes to fetch.
    pub index: Traffic,
}

/// Bytes and requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes that are wanted.
    pub bytes: u64,
    /// Bytes between them, fetched to save a request.
    pub gaps: u64,
    /// Requests.
    pub requests: u64,
}

impl Traffic {
    fn add(&mut self, requests: &[Request]) {
        for request in requests {
            self.bytes += request.wanted;
            self.gaps += request.range.end - request.range.start - request.wanted;
            self.requests += 1;
        }
    }
}

impl Need {
    /// What a device that holds `have` lacks of the image that `index` describes. Ranges of the index that lie
    /// at most `gap` bytes apart are fetched together.
    pub fn of<B: AsRef<[u8]>>(index: &Index<B>, have: &Have, gap: u64) -> Self {
        let mut need = Self {
            regions: Vec::new(),
            missing_bytes: 0,
            missing_chunks: 0,
            frames: BTreeMap::new(),
            index: index_traffic(index, have, gap),
        };
        let mut wanted = HashSet::new();
        for placed in index.entries().filter(|placed| !have.has(&placed.entry)) {
            need.missing_bytes += placed.image.end - placed.image.start;
            match need.regions.last_mut().filter(|last| last.end == placed.image.start) {
                Some(last) => last.end = placed.image.end,
                None => need.regions.push(placed.image.clone()),
            }
            if let Some(location) = placed.location {
                need.missing_chunks +=
                    u64::from(wanted.insert((location.pack, location.frame.offset, location.first)));
                need.frames.insert((location.pack, location.frame.offset), location.frame);
            }
        }
        need
    }

    /// Frames to fetch.
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// What fetching the frames costs if those at most `gap` bytes apart are asked for together, in requests of
    /// at most `longest` bytes.
    pub fn traffic(&self, gap: u64, longest: u64) -> Traffic {
        let mut traffic = Traffic::default();
        let mut packs: BTreeMap<u32, Vec<Range<u64>>> = BTreeMap::new();
        for ((pack, offset), frame) in &self.frames {
            packs.entry(*pack).or_default().push(u64::from(*offset)..frame.end());
        }
        for frames in packs.into_values() {
            traffic.add(&join(frames, gap, longest));
        }
        traffic
    }
}

/// The parts of an index that a client must fetch which can rebuild the leaves of what it holds.
fn index_traffic<B: AsRef<[u8]>>(index: &Index<B>, have: &Have, gap: u64) -> Traffic {
    let head = index.head();
    let mut traffic = Traffic { bytes: head.len(), gaps: 0, requests: 1 };
    let unknown: Vec<_> = index.leaves().filter(|leaf| !have.leaves.contains(leaf.hash())).collect();
    let branches = head.branches().iter().filter(|branch| {
        // A branch is known if the client can rebuild all leaves under it.
        unknown.iter().any(|leaf| branch.image().contains(&leaf.image().start))
    });
    let second: Vec<_> = branches.map(chunk_index::NodeRef::file).chain([head.blocks()]).collect();
    traffic.add(&join(second, gap, u64::MAX));
    traffic.add(&join(unknown.iter().map(chunk_index::NodeRef::file), gap, u64::MAX));
    traffic
}
