//! Another image in a store of this machine.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use chunk_chunker::Name;
use chunk_chunker::image::{BLOCK, BlockHash, Blocks};
use chunk_fetch::Source;
use chunk_index::{Block, Entry, FrameRef, Index, Location, Placed, ShortName};
use chunk_store::{Decoder, Frame, Key, PackName};

/// Decoded frames kept, newest first: what is read next mostly lies in one of them.
const FRAMES_KEPT: usize = 8;
/// Places that are looked at before the store is believed to hold what its index says.
const SAMPLE: usize = 64;

/// An index with the store it lies in.
///
/// The index says what the store should hold. Packs may be missing, cut short or damaged all the same.
pub struct StoreSeed {
    index: Index<Vec<u8>>,
    source: Box<dyn Source>,
    kept: Mutex<VecDeque<Kept>>,
}

/// A frame, or nothing if it cannot be had.
struct Kept {
    pack: u32,
    offset: u32,
    plain: Option<Arc<Vec<u8>>>,
}

impl std::fmt::Debug for StoreSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("StoreSeed").field(&self.index.id()).finish()
    }
}

impl StoreSeed {
    /// The image that `index` describes, from `source`.
    pub fn new(index: Index<Vec<u8>>, source: Box<dyn Source>) -> Self {
        Self { index, source, kept: Mutex::default() }
    }

    pub(crate) fn size(&self) -> u64 {
        self.index.record().image_len()
    }

    /// Reads what is there of `buffer.len()` bytes at `offset`; an error tells that something was not. It is not compared
    /// with any hash.
    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.size());
        let wanted = offset..end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut missing = None;
        let entries = self.index.entries_from(offset);
        for placed in entries.take_while(|placed| placed.image.start < wanted.end) {
            let plain = placed.location.map(|location| self.frame(&location).map(|plain| (location, plain)));
            let chunk = match &plain {
                // A checked index leads to no byte outside of its frame.
                Some(Some((location, plain))) => {
                    Some(&plain[location.first as usize..][..placed.entry.len as usize])
                }
                Some(None) => {
                    missing.get_or_insert(placed.image.start);
                    continue;
                }
                None => None,
            };
            copy(&placed, chunk, &wanted, buffer);
        }
        match missing {
            None => Ok(()),
            Some(at) => Err(io::Error::other(format!("the store lacks what is at byte {at} of its image"))),
        }
    }

    /// The BLAKE3 of the image.
    pub(crate) fn blake3(&self) -> &[u8; 32] {
        &self.index.record().description().blake3
    }

    /// The hashes of all its blocks.
    pub(crate) fn hashes(&self) -> Vec<BlockHash> {
        let blocks = Blocks::of_len(self.size());
        let zeros = vec![0; BLOCK];
        let hashes = self.index.blocks().map(|(number, said)| match said {
            Block::Hash(hash) => hash,
            Block::Silent => {
                let range = blocks.range(number);
                let len = usize::try_from(range.end - range.start).expect("a block is in memory");
                blocks.hash(number, &zeros[..len])
            }
        });
        hashes.collect()
    }

    /// Its chunks, with their places.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = (Entry, u64)> {
        self.index.entries().map(|placed| (placed.entry, placed.image.start))
    }

    /// The chunks that it does hold, with their places, and whether these are all. Packs that are missing or cut short are
    /// found at once; what is wrong within them by a sample, and if there is anything, by looking at all of it.
    pub(crate) fn sound_chunks(
        &self,
        threads: usize,
        goes_on: &(dyn Fn() -> bool + Sync),
    ) -> (Vec<(Entry, u64)>, bool) {
        let lens = self.pack_lens();
        let is_there = |placed: &Placed| {
            placed.location.is_none_or(|location| {
                let len = usize::try_from(location.pack).ok().and_then(|pack| lens.get(pack));
                len.is_some_and(|len| location.frame.end() <= *len)
            })
        };
        let count = self.index.entries().count();
        let mut there: Vec<Placed> = Vec::with_capacity(count);
        there.extend(self.index.entries().filter(is_there));
        let is_all = there.len() == count;
        let sample: Vec<&Placed> = there.iter().filter(|placed| placed.location.is_some()).collect();
        let mut sample = sample.iter().step_by((sample.len() / SAMPLE).max(1));
        if sample.all(|placed| self.holds(placed)) {
            return (there.into_iter().map(|placed| (placed.entry, placed.image.start)).collect(), is_all);
        }
        let sound = Mutex::new(Vec::new());
        in_parallel(&there, 1024, threads, goes_on, |placed| {
            if self.holds(placed) {
                let mut sound = sound.lock().unwrap_or_else(PoisonError::into_inner);
                sound.push((placed.entry, placed.image.start));
            }
            true
        });
        (sound.into_inner().unwrap_or_else(PoisonError::into_inner), false)
    }

    /// Whether all of the image is there, by the hashes of its blocks.
    pub(crate) fn is_whole(&self, threads: usize, goes_on: &(dyn Fn() -> bool + Sync)) -> bool {
        let blocks = Blocks::of_len(self.size());
        let said: Vec<(u64, Block)> = self.index.blocks().collect();
        in_parallel(&said, 4, threads, goes_on, |(number, said)| {
            let Block::Hash(hash) = said else { return true };
            let range = blocks.range(*number);
            let mut bytes = vec![0; usize::try_from(range.end - range.start).expect("a block is in memory")];
            self.read(range.start, &mut bytes).is_ok() && blocks.hash(*number, &bytes) == *hash
        })
    }

    /// How many bytes of each pack there are.
    fn pack_lens(&self) -> Vec<u64> {
        let packs =
            self.index.locator().packs().iter().map(|pack| Key::pack(&PackName::from_bytes(pack.name)));
        packs.map(|pack| self.source.open(&pack.path(), 0, &mut Vec::new()).unwrap_or(0)).collect()
    }

    /// Whether a chunk is where the index says.
    fn holds(&self, placed: &Placed) -> bool {
        let Some(location) = placed.location else { return true };
        self.frame(&location).is_some_and(|plain| {
            let chunk = &plain[location.first as usize..][..placed.entry.len as usize];
            ShortName::of(&Name::of(chunk)) == placed.entry.short
        })
    }

    /// The frame of a chunk, decoded.
    fn frame(&self, location: &Location) -> Option<Arc<Vec<u8>>> {
        let FrameRef { offset, stored_len, plain_len, raw } = location.frame;
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept().iter().find(|kept| (kept.pack, kept.offset) == (location.pack, offset)) {
            return found.plain.clone();
        }
        let read = || {
            let pack = self.index.locator().pack(location.pack)?;
            let object = Key::pack(&PackName::from_bytes(pack.name)).path();
            let (mut stored, mut plain) = (Vec::new(), Vec::new());
            self.source.read(&object, u64::from(offset)..location.frame.end(), &mut stored).ok()?;
            let frame = Frame { offset, stored_len, plain_len, raw };
            Decoder::new().ok()?.decode(&frame, &stored, &mut plain).ok()?;
            Some(Arc::new(plain))
        };
        let plain = read();
        let mut kept = kept();
        kept.push_front(Kept { pack: location.pack, offset, plain: plain.clone() });
        kept.truncate(FRAMES_KEPT);
        plain
    }
}

/// Copies to `buffer`, which is to hold the image bytes of `wanted`, what of them the copies of a chunk are. Without bytes
/// it is zeros.
fn copy(placed: &Placed, chunk: Option<&[u8]>, wanted: &Range<u64>, buffer: &mut [u8]) {
    let within = |at: u64, start: u64| usize::try_from(at - start).expect("it is in memory");
    let part = placed.image.start.max(wanted.start)..placed.image.end.min(wanted.end);
    let Some(chunk) = chunk else {
        buffer[within(part.start, wanted.start)..within(part.end, wanted.start)].fill(0);
        return;
    };
    let len = u64::from(placed.entry.len);
    let mut at = part.start;
    while at < part.end {
        let start = at - (at - placed.image.start) % len;
        let end = (start + len).min(part.end);
        buffer[within(at, wanted.start)..within(end, wanted.start)]
            .copy_from_slice(&chunk[within(at, start)..within(end, start)]);
        at = end;
    }
}

/// Looks at all `items`, `part` neighbours by one thread, until one is wrong or `goes_on` says no. Returns whether all are
/// right.
fn in_parallel<T: Sync>(
    items: &[T],
    part: usize,
    threads: usize,
    goes_on: &(dyn Fn() -> bool + Sync),
    is_right: impl Fn(&T) -> bool + Sync,
) -> bool {
    let parts = Mutex::new(items.chunks(part));
    let all = AtomicBool::new(true);
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, items.len().div_ceil(part).max(1)) {
            scope.spawn(|| {
                while all.load(Ordering::Relaxed)
                    && let Some(part) = next()
                {
                    if !goes_on() || !part.iter().all(&is_right) {
                        all.store(false, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    all.into_inner()
}
