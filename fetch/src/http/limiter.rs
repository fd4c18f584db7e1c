//! Holds requests to one host back to as many as it bears.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::window::Window;

/// Requests to start a host with, before anything is known of it: about as many as a browser sends.
const START: usize = 8;

/// Gives out permits to ask one host.
#[derive(Debug)]
pub(crate) struct Limiter {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug)]
struct State {
    window: Window,
    used: usize,
}

/// Leave to have one request on the way. Dropped, it frees its place and tells nothing of the host.
#[derive(Debug)]
pub(crate) struct Permit {
    limiter: Arc<Limiter>,
    is_full: bool,
}

impl Limiter {
    pub(crate) fn new(most: usize) -> Self {
        let window = Window::new(START, most, Instant::now());
        Self { state: Mutex::new(State { window, used: 0 }), freed: Notify::new() }
    }

    /// Waits for a place.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Permit {
        loop {
            // A place that is freed after the look at it, but before the wait, is remembered.
            let freed = self.freed.notified();
            if let Some(permit) = self.try_acquire() {
                return permit;
            }
            freed.await;
        }
    }

    fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        self.with(|state| {
            let limit = state.window.limit();
            if state.used >= limit {
                return None;
            }
            state.used += 1;
            Some(Permit { limiter: Arc::clone(self), is_full: state.used == limit })
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Permit {
    /// The request has brought `bytes`.
    pub(crate) fn completed(self, bytes: u64) {
        self.limiter.with(|state| {
            let is_full = self.is_full || state.used >= state.window.limit();
            state.window.completed(bytes, is_full, Instant::now());
        });
        // The window may have grown by one.
        self.limiter.freed.notify_one();
    }

    /// The host was too busy, or the path broke.
    pub(crate) fn pushed_back(self) {
        self.limiter.with(|state| state.window.pushed_back(Instant::now()));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limiter.with(|state| state.used -= 1);
        self.limiter.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn as_many_as_fit_are_let_through_and_the_next_when_one_is_done() {
        let limiter = Arc::new(Limiter::new(16));
        let mut permits: Vec<_> = (0..START).map(|_| limiter.try_acquire().expect("a place")).collect();
        let mut next = pin!(limiter.acquire());
        let mut context = Context::from_waker(Waker::noop());
        assert!(next.as_mut().poll(&mut context).is_pending());
        drop(permits.pop());
        assert!(next.as_mut().poll(&mut context).is_ready());
    }

    #[test]
    fn after_push_back_places_come_back_only_below_the_new_limit() {
        let limiter = Arc::new(Limiter::new(16));
        let mut permits: Vec<_> = (0..START).map(|_| limiter.try_acquire().expect("a place")).collect();
        permits.pop().expect("a permit").pushed_back();
        while permits.len() >= START / 2 {
            assert!(limiter.try_acquire().is_none());
            permits.pop();
        }
        assert!(limiter.try_acquire().is_some());
    }
}
