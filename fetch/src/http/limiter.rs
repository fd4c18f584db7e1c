//! Holds requests to one host back to as many as it bears.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    /// How many wait for a place.
    waiting: usize,
}

impl State {
    /// Whether as many as may be are on the way, or would be if those that were let in had run already.
    fn is_full(&self) -> bool {
        self.used + self.waiting >= self.window.limit()
    }
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
        Self { state: Mutex::new(State { window, used: 0, waiting: 0 }), freed: Notify::new() }
    }

    /// Waits for a place.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Permit {
        loop {
            // A place that is freed after the look at it, but before the wait, is remembered.
            let freed = self.freed.notified();
            if let Some(permit) = self.try_acquire() {
                return permit;
            }
            let _waiting = Waiting::new(self);
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

/// Somebody counted as waiting, until dropped.
struct Waiting<'l>(&'l Limiter);

impl<'l> Waiting<'l> {
    fn new(limiter: &'l Limiter) -> Self {
        limiter.with(|state| state.waiting += 1);
        Self(limiter)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.with(|state| state.waiting -= 1);
    }
}

impl Permit {
    /// The request has brought `bytes`, and `took` so long over a connection that was open.
    pub(crate) fn completed(self, bytes: u64, took: Duration) {
        let more = self.limiter.with(|state| {
            let is_full = self.is_full || state.is_full();
            let before = state.window.limit();
            state.window.completed(bytes, took, is_full, Instant::now());
            state.window.limit().saturating_sub(before)
        });
        // All that now find a place are let in at once: if each had to wait until another is done, the window would
        // double a round trip later than it may.
        (0..more).for_each(|_| self.limiter.freed.notify_one());
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
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Lets in whoever finds a place.
    fn let_in<F: Future<Output = Permit>>(waiting: &mut [Option<Pin<Box<F>>>]) -> Vec<Permit> {
        let mut context = Context::from_waker(Waker::noop());
        let mut permits = Vec::new();
        for next in waiting {
            if let Some(Poll::Ready(permit)) = next.as_mut().map(|next| next.as_mut().poll(&mut context)) {
                permits.push(permit);
                *next = None;
            }
        }
        permits
    }

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
    fn when_the_window_grows_all_that_find_a_place_are_let_in_at_once() {
        let limiter = Arc::new(Limiter::new(2 * START));
        let mut permits: Vec<_> = (0..START).map(|_| limiter.try_acquire().expect("a place")).collect();
        let mut waiting: Vec<_> = (0..3 * START).map(|_| Some(Box::pin(limiter.acquire()))).collect();
        assert!(let_in(&mut waiting).is_empty());
        for _ in 1..START {
            permits.remove(0).completed(1, Duration::ZERO);
            permits.extend(let_in(&mut waiting));
            assert_eq!(permits.len(), START);
        }
        permits.remove(0).completed(1, Duration::ZERO);
        permits.extend(let_in(&mut waiting));
        assert_eq!(permits.len(), 2 * START);
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
