//! Frames as the store has them, kept within a bound: each is fetched once, however many blocks want it at once.
//!
//! Whoever wants frames claims those that are neither here nor under way, fetches these, and waits for the others only
//! then. So nobody waits for somebody who waits.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use chunk_fetch::{FetchError, Source};
use chunk_index::{FrameRef, Locator};
use chunk_store::{Key, PackName};

use crate::ReadError;
use crate::plan::{Joining, Limits};

/// Bytes of frames, as stored, that are kept.
pub(super) const KEPT: u64 = 32 << 20;

/// A frame: the number of its pack, and what a map says of it.
pub(super) type Wanted = (u32, FrameRef);
/// Where a frame lies: pack, offset, and length, since a hostile map may say several of one offset.
type Place = (u32, u32, u32);

/// Frames by their places.
pub(super) type Found = HashMap<Place, Arc<Vec<u8>>>;

/// Where `frame` lies.
pub(super) fn place_of((pack, frame): &Wanted) -> Place {
    (*pack, frame.offset, frame.stored_len)
}

/// The frames of a store.
pub(super) struct Frames<'a> {
    source: &'a dyn Source,
    limits: Limits,
    /// Requests at a time.
    connections: usize,
    shelf: Mutex<Shelf>,
    changed: Condvar,
}

/// What is here, and what is about to be.
#[derive(Default)]
struct Shelf {
    /// Each with the time of its last use.
    frames: HashMap<Place, (u64, Arc<Vec<u8>>)>,
    /// The frames in the order of their last use.
    by_use: BTreeMap<u64, Place>,
    uses: u64,
    /// Bytes of all frames.
    len: u64,
    under_way: HashSet<Place>,
}

/// One request, and the frames that it brings.
struct Request {
    pack: u32,
    range: Range<u64>,
    frames: Vec<FrameRef>,
}

impl<'a> Frames<'a> {
    pub(super) fn new(source: &'a dyn Source, limits: Limits, connections: usize) -> Self {
        Self { source, limits, connections, shelf: Mutex::default(), changed: Condvar::new() }
    }

    /// Whether a frame is neither here nor under way. One that is here will not be among the next to go.
    pub(super) fn lacks(&self, frame: &Wanted) -> bool {
        let place = place_of(frame);
        let mut shelf = self.shelf();
        !shelf.under_way.contains(&place) && shelf.take(place).is_none()
    }

    /// The frames `needed`; fetches along what it lacks of `ahead`.
    pub(super) fn get(
        &self,
        packs: &Locator,
        needed: &[Wanted],
        ahead: &[Wanted],
    ) -> Result<Found, ReadError> {
        let mut found = Found::new();
        loop {
            let claim = self.claim(needed, ahead, &mut found);
            let failed = self.fetch(packs, &claim.wanted, 0, &mut found);
            drop(claim);
            let mut lacking: Vec<Place> = needed.iter().map(place_of).collect();
            lacking.retain(|place| !found.contains_key(place));
            match failed {
                _ if lacking.is_empty() => return Ok(found),
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    let is_under_way =
                        |shelf: &mut Shelf| lacking.iter().any(|place| shelf.under_way.contains(place));
                    drop(self.changed.wait_while(self.shelf(), is_under_way));
                }
            }
        }
    }

    /// The frames `wanted`, which are in ascending order, once more: `doubt` earlier answers were wrong.
    pub(super) fn get_again(
        &self,
        packs: &Locator,
        wanted: &[Wanted],
        doubt: u32,
    ) -> Result<Found, ReadError> {
        let mut found = Found::new();
        self.fetch(packs, wanted, doubt, &mut found)?;
        Ok(found)
    }

    /// Takes the frames that are here, and claims those that nobody has.
    fn claim(&self, needed: &[Wanted], ahead: &[Wanted], found: &mut Found) -> Claim<'_, 'a> {
        let mut shelf = self.shelf();
        let mut wanted = Vec::new();
        let all = needed.iter().map(|frame| (true, frame)).chain(ahead.iter().map(|frame| (false, frame)));
        for (is_needed, frame) in all {
            let place = place_of(frame);
            if found.contains_key(&place) {
                continue;
            }
            match shelf.take(place) {
                Some(bytes) if is_needed => drop(found.insert(place, bytes)),
                None if shelf.under_way.insert(place) => wanted.push(*frame),
                Some(_) | None => {}
            }
        }
        wanted.sort_unstable_by_key(|(pack, frame)| (*pack, frame.offset));
        Claim { frames: self, wanted }
    }

    /// Fetches `wanted`, several requests at a time, puts each frame on the shelf as it comes, and into `found`.
    fn fetch(
        &self,
        packs: &Locator,
        wanted: &[Wanted],
        doubt: u32,
        found: &mut Found,
    ) -> Result<(), FetchError> {
        let requests = self.requests(wanted);
        let next = AtomicUsize::new(0);
        let came = Mutex::new(found);
        let fetch_some = || -> Result<(), FetchError> {
            let mut buffer = Vec::new();
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let pack = packs.pack(request.pack).expect("a checked map names only packs of the locator");
                let object = Key::pack(&PackName::from_bytes(pack.name)).path();
                let range = request.range.clone();
                let read = self.source.read_again(&object, range, doubt, &mut buffer);
                read.inspect_err(|_| next.store(requests.len(), Ordering::Relaxed))?;
                let mut came = came.lock().unwrap_or_else(PoisonError::into_inner);
                let mut shelf = self.shelf();
                for frame in &request.frames {
                    let start = in_memory(u64::from(frame.offset) - request.range.start);
                    let bytes = Arc::new(buffer[start..][..frame.stored_len as usize].to_vec());
                    let place = place_of(&(request.pack, *frame));
                    shelf.put(place, Arc::clone(&bytes));
                    shelf.under_way.remove(&place);
                    came.insert(place, bytes);
                }
                self.changed.notify_all();
            }
            Ok(())
        };
        if requests.len() < 2 {
            return fetch_some();
        }
        thread::scope(|scope| {
            let count = self.connections.clamp(1, requests.len());
            let threads: Vec<_> = (0..count).map(|_| scope.spawn(fetch_some)).collect();
            let results: Vec<_> =
                threads.into_iter().map(|thread| thread.join().expect("a source does not panic")).collect();
            results.into_iter().collect()
        })
    }

    fn requests(&self, wanted: &[Wanted]) -> Vec<Request> {
        let joining = Joining::new(&self.limits, self.source.speed());
        let mut requests = Vec::new();
        for frames in wanted.chunk_by(|one, other| one.0 == other.0) {
            let pack = frames[0].0;
            let ranges: Vec<_> =
                frames.iter().map(|(_, frame)| u64::from(frame.offset)..frame.end()).collect();
            for request in joining.requests(&ranges) {
                let range = request.range;
                let is_inside =
                    |frame: &FrameRef| range.start <= u64::from(frame.offset) && frame.end() <= range.end;
                let frames = frames.iter().map(|(_, frame)| *frame).filter(is_inside).collect();
                requests.push(Request { pack, range, frames });
            }
        }
        requests
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    /// The frame at `place`, if it is here: it is used now.
    fn take(&mut self, place: Place) -> Option<Arc<Vec<u8>>> {
        let (used, bytes) = self.frames.get_mut(&place)?;
        self.by_use.remove(used);
        self.uses += 1;
        *used = self.uses;
        self.by_use.insert(self.uses, place);
        Some(Arc::clone(bytes))
    }

    fn put(&mut self, place: Place, bytes: Arc<Vec<u8>>) {
        self.remove(place);
        self.uses += 1;
        self.len += bytes.len() as u64;
        self.by_use.insert(self.uses, place);
        self.frames.insert(place, (self.uses, bytes));
        while self.len > KEPT {
            let Some((_, oldest)) = self.by_use.first_key_value() else { break };
            self.remove(*oldest);
        }
    }

    fn remove(&mut self, place: Place) {
        if let Some((used, bytes)) = self.frames.remove(&place) {
            self.by_use.remove(&used);
            self.len -= bytes.len() as u64;
        }
    }
}

/// Frames that one thread has undertaken to fetch; who waits for them looks again when it is over.
struct Claim<'f, 'a> {
    frames: &'f Frames<'a>,
    wanted: Vec<Wanted>,
}

impl Drop for Claim<'_, '_> {
    fn drop(&mut self) {
        let mut shelf = self.frames.shelf();
        for frame in &self.wanted {
            shelf.under_way.remove(&place_of(frame));
        }
        drop(shelf);
        self.frames.changed.notify_all();
    }
}

fn in_memory(len: u64) -> usize {
    usize::try_from(len).expect("a request is in memory")
}
