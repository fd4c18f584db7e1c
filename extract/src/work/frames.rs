//! Frames of the store on their way into blocks: asked for ahead, decoded once, kept a little beyond their last use.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use chunk_fetch::{Source, Speed};
use chunk_index::{FrameRef, Locator};
use chunk_store::{self, Decoder, Frame, PackName};

use crate::ReadError;
use crate::demand::{PLAIN_KEPT, recent_room};
use crate::plan::{Fetch, Joining, Plan};
use crate::work::line::Line;

/// Bytes on the way at a time: enough to fill a fast, long path. More would only share its rate among more requests, so
/// that none of them is complete when the network goes.
const ON_THE_WAY: u64 = 4 << 20;
/// At least so much, however slow the way seems to be, and at first.
const LEAST_ON_THE_WAY: u64 = 256 << 10;
/// No more than comes in so many seconds: what is not complete when the run is cut short has come in vain.
const SECONDS_ON_THE_WAY: u64 = 2;
/// How often a fetcher that waits for room looks whether its turn has come.
const GLANCE: Duration = Duration::from_millis(20);

/// A frame: its pack, and where in that it starts.
pub(super) type Key = (u32, u32);

/// The frames of a plan, and such as turn out to be needed besides.
pub(super) struct Frames<'a> {
    plan: &'a Plan,
    locator: &'a Locator,
    pub(super) source: &'a dyn Source,
    room: u64,
    pub(super) joining: Joining,
    state: Mutex<State>,
    changed: Condvar,
    /// For each frame of the plan its loads, each with the number of its request. Made when it is first needed.
    loads: OnceLock<HashMap<Key, Vec<(u32, usize)>>>,
}

struct State {
    /// The next request.
    next: usize,
    /// Stored bytes asked for and not yet dropped.
    held: u64,
    /// Bytes asked for that have not come yet, and such as have.
    on_the_way: u64,
    came: u64,
    slots: Vec<Slot>,
    /// Decoded frames, oldest first.
    plain: VecDeque<(u32, Arc<Vec<u8>>)>,
    /// Frames that the plan has no more use for, oldest first: what seeds turn out to lack lies mostly near what the plan
    /// has fetched.
    recent: VecDeque<(Key, Arc<[u8]>)>,
    /// Frames that somebody is fetching beyond the plan.
    sought: HashSet<Key>,
    stopped: bool,
}

/// Where a frame is.
pub(super) enum Whereabouts {
    /// Here.
    Here(Arc<[u8]>),
    /// On its way, for whomever.
    Coming,
    /// Nobody has asked for it, or it came damaged. It is the asker's to fetch now.
    Yours,
}

#[derive(Clone)]
enum Slot {
    Awaited,
    Stored(Arc<[u8]>),
    /// One worker decodes it, the others wait.
    Decoding,
    Damaged,
    Dropped,
}

impl<'a> Frames<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        locator: &'a Locator,
        source: &'a dyn Source,
        room: u64,
        joining: Joining,
    ) -> Self {
        let state = State {
            next: 0,
            held: 0,
            on_the_way: 0,
            came: 0,
            slots: vec![Slot::Awaited; plan.fetches.loads.len()],
            plain: VecDeque::new(),
            recent: VecDeque::new(),
            sought: HashSet::new(),
            stopped: false,
        };
        let (state, changed, loads) = (Mutex::new(state), Condvar::new(), OnceLock::new());
        Self { plan, locator, source, room, joining, state, changed, loads }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all waiting.
    pub(super) fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }

    /// Asks for what is needed next, again and again. Run by as many threads as there shall be requests at a
    /// time.
    pub(super) fn fetch(&self, line: &Line) {
        let mut buffer = Vec::new();
        while let Some(request) = self.next_request(line) {
            let object = self.object(request.pack);
            if let Err(error) = self.source.read(&object, request.range.clone(), &mut buffer) {
                line.fail(ReadError::Fetch(error).into());
                self.stop();
                return;
            }
            self.store(request, &buffer);
        }
    }

    /// Most bytes on the way after `came` bytes: twice as many, or what is known of the way by now.
    fn most_on_the_way(&self, came: u64) -> u64 {
        let comes = |speed: Speed| speed.rate.saturating_mul(SECONDS_ON_THE_WAY);
        self.source.speed().map_or(2 * came, comes).clamp(LEAST_ON_THE_WAY, ON_THE_WAY)
    }

    fn next_request(&self, line: &Line) -> Option<&'a Fetch> {
        let mut state = self.state();
        loop {
            if state.stopped || line.is_stopped() {
                return None;
            }
            let request = self.plan.fetches.requests.get(state.next)?;
            let len = request.range.end - request.range.start;
            let is_free = state.on_the_way == 0 || state.on_the_way + len <= self.most_on_the_way(state.came);
            // Whoever is next in line must not wait for those behind to make room.
            if is_free && (state.held + len <= self.room || line.is_near(request.first as usize)) {
                state.next += 1;
                state.held += len;
                state.on_the_way += len;
                return Some(request);
            }
            state = self.changed.wait_timeout(state, GLANCE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn store(&self, request: &Fetch, bytes: &[u8]) {
        let mut stored = 0;
        let mut state = self.state();
        for load in &request.loads {
            let frame = self.frame(*load);
            let start = in_memory(u64::from(frame.offset) - request.range.start);
            let part: Arc<[u8]> = bytes[start..][..frame.stored_len as usize].into();
            stored += u64::from(frame.stored_len);
            state.slots[*load as usize] = Slot::Stored(part);
        }
        // Of the request's bytes only the frames stay.
        let len = request.range.end - request.range.start;
        state.held = (state.held + stored).saturating_sub(len);
        state.on_the_way -= len;
        state.came += len;
        drop(state);
        self.changed.notify_all();
    }

    /// The plain bytes of `load`; `None` if the store gave something else, or if the work has ended.
    pub(super) fn plain(&self, load: u32, decoder: &mut Decoder) -> Option<Arc<Vec<u8>>> {
        let mut state = self.state();
        let stored = loop {
            if let Some((_, plain)) = state.plain.iter().find(|(kept, _)| *kept == load) {
                return Some(Arc::clone(plain));
            }
            match state.slots[load as usize].clone() {
                Slot::Stored(bytes) => break bytes,
                Slot::Damaged | Slot::Dropped => return None,
                Slot::Awaited | Slot::Decoding if state.stopped => return None,
                Slot::Awaited | Slot::Decoding => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        state.slots[load as usize] = Slot::Decoding;
        drop(state);
        let FrameRef { offset, stored_len, plain_len, raw } = *self.frame(load);
        let mut plain = Vec::new();
        let frame = Frame { offset, stored_len, plain_len, raw };
        let decoded = decoder.decode(&frame, &stored, &mut plain).is_ok();
        let plain = Arc::new(plain);
        let mut state = self.state();
        if decoded {
            state.slots[load as usize] = Slot::Stored(stored);
            state.plain.push_back((load, Arc::clone(&plain)));
            while state.plain.len() > 1
                && state.plain.iter().map(|(_, p)| p.len()).sum::<usize>() > PLAIN_KEPT
            {
                state.plain.pop_front();
            }
        } else {
            state.slots[load as usize] = Slot::Damaged;
        }
        drop(state);
        self.changed.notify_all();
        decoded.then_some(plain)
    }

    /// Says which loads the block at `position` needs no more.
    pub(super) fn release(&self, position: u32, uses_left: &Mutex<Vec<u32>>) {
        let mut left = uses_left.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        for load in self.plan.fetches.used_at(position) {
            left[load as usize] -= 1;
            if left[load as usize] == 0 {
                let slot = std::mem::replace(&mut state.slots[load as usize], Slot::Dropped);
                if let Slot::Stored(stored) = slot {
                    self.keep(&mut state, self.key(load), stored);
                }
                state.plain.retain(|(kept, _)| *kept != load);
                state.held = state.held.saturating_sub(u64::from(self.frame(load).stored_len));
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The path of a pack.
    pub(super) fn object(&self, pack: u32) -> String {
        let pack = self.locator.pack(pack).expect("a checked map names only packs of the locator");
        chunk_store::Key::pack(&PackName::from_bytes(pack.name)).path()
    }

    /// Where the frame `key` is. Whoever is told that it is theirs to fetch must [`settle`](Self::settle) it.
    pub(super) fn find(&self, key: Key, line: &Line) -> Whereabouts {
        let mut state = self.state();
        if let Some((_, stored)) = state.recent.iter().find(|(kept, _)| *kept == key) {
            return Whereabouts::Here(Arc::clone(stored));
        }
        for (load, request) in self.loads().get(&key).into_iter().flatten() {
            match &state.slots[*load as usize] {
                Slot::Stored(stored) => return Whereabouts::Here(Arc::clone(stored)),
                Slot::Decoding => return Whereabouts::Coming,
                // What is near in the plan is asked for whether or not there is room.
                Slot::Awaited
                    if *request < state.next
                        || line.is_near(self.plan.fetches.requests[*request].first as usize) =>
                {
                    return Whereabouts::Coming;
                }
                _ => {}
            }
        }
        if state.sought.insert(key) { Whereabouts::Yours } else { Whereabouts::Coming }
    }

    /// Ends the fetching of `key` beyond the plan. What it brought is kept for others.
    pub(super) fn settle(&self, key: Key, stored: Option<Arc<[u8]>>) {
        let mut state = self.state();
        state.sought.remove(&key);
        if let Some(stored) = stored {
            self.keep(&mut state, key, stored);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Forgets a frame that was kept and is not what it should be.
    pub(super) fn forget(&self, key: Key) {
        self.state().recent.retain(|(kept, _)| *kept != key);
    }

    /// Waits a little for something to come. Returns whether the work still goes on.
    pub(super) fn wait(&self) -> bool {
        let state = self.state();
        let (state, _) = self.changed.wait_timeout(state, GLANCE).unwrap_or_else(PoisonError::into_inner);
        !state.stopped
    }

    fn keep(&self, state: &mut State, key: Key, stored: Arc<[u8]>) {
        state.recent.retain(|(kept, _)| *kept != key);
        state.recent.push_back((key, stored));
        let len =
            |recent: &VecDeque<(Key, Arc<[u8]>)>| recent.iter().map(|(_, s)| s.len() as u64).sum::<u64>();
        while len(&state.recent) > recent_room(self.room) {
            state.recent.pop_front();
        }
    }

    fn loads(&self) -> &HashMap<Key, Vec<(u32, usize)>> {
        self.loads.get_or_init(|| {
            let mut loads: HashMap<Key, Vec<(u32, usize)>> = HashMap::new();
            for (number, request) in self.plan.fetches.requests.iter().enumerate() {
                for load in &request.loads {
                    loads.entry(self.key(*load)).or_default().push((*load, number));
                }
            }
            loads
        })
    }

    fn key(&self, load: u32) -> Key {
        let (pack, frame) = &self.plan.frames[self.plan.fetches.loads[load as usize].frame as usize];
        (*pack, frame.offset)
    }

    fn frame(&self, load: u32) -> &'a FrameRef {
        let frame = self.plan.fetches.loads[load as usize].frame;
        &self.plan.frames[frame as usize].1
    }
}

fn in_memory(len: u64) -> usize {
    usize::try_from(len).expect("a request is in memory")
}
