//! Blocks on their way from those who put them together to the one who writes them, in order.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::job::ExtractError;
use crate::verified::Verified;

/// How often the writer looks for a cancellation while it waits.
const GLANCE: Duration = Duration::from_millis(50);

/// Hands out positions, takes finished blocks and gives them back in order.
///
/// Nobody gets further ahead of the writer than `window` positions, so this bounds memory.
#[derive(Debug)]
pub(super) struct Line {
    state: Mutex<State>,
    changed: Condvar,
    len: usize,
    window: usize,
}

#[derive(Debug, Default)]
struct State {
    next: usize,
    written: usize,
    ready: BTreeMap<usize, Verified>,
    spare: Vec<Vec<u8>>,
    failure: Option<ExtractError>,
    stopped: bool,
}

impl Line {
    pub(super) fn new(len: usize, window: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), len, window }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// The next position to put together, and a buffer for it; `None` when there is nothing left to do.
    pub(super) fn next(&self) -> Option<(usize, Vec<u8>)> {
        let mut state = self.state();
        loop {
            if state.stopped || state.next == self.len {
                return None;
            }
            if state.next < state.written + self.window {
                state.next += 1;
                return Some((state.next - 1, state.spare.pop().unwrap_or_default()));
            }
            state = self.wait(state);
        }
    }

    /// Waits until the first `count` positions are written. Returns whether that will ever be so.
    pub(super) fn wait_written(&self, count: usize) -> bool {
        let mut state = self.state();
        while state.written < count && !state.stopped {
            state = self.wait(state);
        }
        state.written >= count
    }

    /// Whether `position` is within the window or behind it.
    pub(super) fn is_near(&self, position: usize) -> bool {
        position < self.state().written + self.window
    }

    /// Delivers the block of `position`.
    pub(super) fn deliver(&self, position: usize, block: Verified) {
        self.state().ready.insert(position, block);
        self.changed.notify_all();
    }

    /// The block of `position`; `None` if it will never come, or if `cancelled` says so.
    pub(super) fn receive(&self, position: usize, cancelled: &dyn Fn() -> bool) -> Option<Verified> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return None;
            }
            if cancelled() {
                drop(state);
                self.fail(ExtractError::Cancelled);
                return None;
            }
            if let Some(block) = state.ready.remove(&position) {
                return Some(block);
            }
            state = self.changed.wait_timeout(state, GLANCE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Says that the next position is written, and gives its buffer back.
    pub(super) fn advance(&self, block: Verified) {
        let mut state = self.state();
        state.written += 1;
        state.spare.push(block.into_buffer());
        drop(state);
        self.changed.notify_all();
    }

    /// Ends the work; the first failure counts.
    pub(super) fn fail(&self, failure: ExtractError) {
        let mut state = self.state();
        state.failure.get_or_insert(failure);
        state.stopped = true;
        drop(state);
        self.changed.notify_all();
    }

    /// Ends the work without a failure of its own: somebody panics.
    pub(super) fn abandon(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }

    /// Whether the work has ended before its time.
    pub(super) fn is_stopped(&self) -> bool {
        self.state().stopped
    }

    /// Why, if it has.
    pub(super) fn into_failure(self) -> Option<ExtractError> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).failure
    }
}
