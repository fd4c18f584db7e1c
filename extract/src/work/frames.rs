//! Frames of the store on their way into blocks: asked for ahead, decoded once, dropped after their last use.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chunk_fetch::Source;
use chunk_index::{FrameRef, Locator};
use chunk_store::{Decoder, Frame, Key, PackName};

use crate::ReadError;
use crate::demand::PLAIN_KEPT;
use crate::plan::{Fetch, Plan};
use crate::work::line::Line;

/// Bytes on the way at a time: enough to fill a fast, long path. More would only share its rate among more requests, so
/// that none of them is complete when the network goes.
const ON_THE_WAY: u64 = 4 << 20;
/// How often a fetcher that waits for room looks whether its turn has come.
const GLANCE: Duration = Duration::from_millis(20);

/// The frames of a plan.
pub(super) struct Frames<'a> {
    plan: &'a Plan,
    locator: &'a Locator,
    source: &'a dyn Source,
    room: u64,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The next request.
    next: usize,
    /// Stored bytes asked for and not yet dropped.
    held: u64,
    /// Bytes asked for that have not come yet.
    on_the_way: u64,
    slots: Vec<Slot>,
    /// Decoded frames, oldest first.
    plain: VecDeque<(u32, Arc<Vec<u8>>)>,
    stopped: bool,
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
    pub(super) fn new(plan: &'a Plan, locator: &'a Locator, source: &'a dyn Source, room: u64) -> Self {
        let slots = vec![Slot::Awaited; plan.fetches.loads.len()];
        let state = State { next: 0, held: 0, on_the_way: 0, slots, plain: VecDeque::new(), stopped: false };
        Self { plan, locator, source, room, state: Mutex::new(state), changed: Condvar::new() }
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

    fn next_request(&self, line: &Line) -> Option<&'a Fetch> {
        let mut state = self.state();
        loop {
            if state.stopped || line.is_stopped() {
                return None;
            }
            let request = self.plan.fetches.requests.get(state.next)?;
            let len = request.range.end - request.range.start;
            let is_free = state.on_the_way == 0 || state.on_the_way + len <= ON_THE_WAY;
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
                state.slots[load as usize] = Slot::Dropped;
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
        Key::pack(&PackName::from_bytes(pack.name)).path()
    }

    /// Fetches and decodes one frame aside from the plan, after `doubt` answers that were wrong.
    pub(super) fn aside(
        &self,
        pack: u32,
        frame: &FrameRef,
        doubt: u32,
        decoder: &mut Decoder,
    ) -> Result<Vec<u8>, ReadError> {
        let object = self.object(pack);
        let range: Range<u64> = u64::from(frame.offset)..frame.end();
        let mut stored = Vec::new();
        self.source.read_again(&object, range.clone(), doubt, &mut stored)?;
        let FrameRef { offset, stored_len, plain_len, raw } = *frame;
        let mut plain = Vec::new();
        let frame = Frame { offset, stored_len, plain_len, raw };
        match decoder.decode(&frame, &stored, &mut plain) {
            Ok(()) => Ok(plain),
            Err(error) => Err(ReadError::Frame { object, range, error }),
        }
    }

    fn frame(&self, load: u32) -> &'a FrameRef {
        let frame = self.plan.fetches.loads[load as usize].frame;
        &self.plan.frames[frame as usize].1
    }
}

fn in_memory(len: u64) -> usize {
    usize::try_from(len).expect("a request is in memory")
}
