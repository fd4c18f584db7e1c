//! What the way has been like: the shortest round trip, and how fast bodies have come.
//!
//! The rate is that of all bodies together over the time in which at least one was on its way. What comes of a body
//! at first may have come with the head, in no time, and counts for nothing.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Speed;

/// A rate is known when so many bytes have come.
const TELLING: u64 = 1 << 16;

/// Measures all answers of a source.
#[derive(Debug, Default)]
pub(crate) struct Meter(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    round_trip: Option<Duration>,
    /// Bodies on the way, and since when there is one.
    bodies: usize,
    since: Option<Instant>,
    /// How long there was one before that.
    busy: Duration,
    bytes: u64,
}

/// A body counted as on its way, until dropped.
pub(crate) struct Receiving<'m> {
    meter: &'m Meter,
    is_first: bool,
}

impl Meter {
    /// The head of an answer came so long after its question.
    pub(crate) fn answered(&self, after: Duration) {
        self.with(|state| state.answered(after));
    }

    /// A body begins.
    pub(crate) fn receive(&self, now: Instant) -> Receiving<'_> {
        self.with(|state| state.begin(now));
        Receiving { meter: self, is_first: true }
    }

    /// What is known, if that is enough to tell, for a source that has `at_once` requests on the way at most.
    pub(crate) fn speed(&self, at_once: usize) -> Option<Speed> {
        self.with(|state| state.speed(at_once))
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn answered(&mut self, after: Duration) {
        self.round_trip = Some(self.round_trip.map_or(after, |shortest| shortest.min(after)));
    }

    fn begin(&mut self, now: Instant) {
        self.bodies += 1;
        self.since.get_or_insert(now);
    }

    fn received(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn end(&mut self, now: Instant) {
        self.bodies -= 1;
        if self.bodies == 0 {
            let since = self.since.take().unwrap_or(now);
            self.busy += now.saturating_duration_since(since);
        }
    }

    fn speed(&self, at_once: usize) -> Option<Speed> {
        let round_trip = self.round_trip?;
        let micros = u64::try_from(self.busy.as_micros()).unwrap_or(u64::MAX).max(1);
        let rate = self.bytes.saturating_mul(1_000_000) / micros;
        (self.bytes >= TELLING).then_some(Speed { round_trip, rate, at_once })
    }
}

impl Receiving<'_> {
    /// `bytes` more came.
    pub(crate) fn received(&mut self, bytes: u64) {
        if !std::mem::take(&mut self.is_first) {
            self.meter.with(|state| state.received(bytes));
        }
    }
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.meter.with(|state| state.end(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_rate_is_that_of_all_bodies_over_the_time_in_which_there_was_one() {
        let start = Instant::now();
        let mut state = State::default();
        state.answered(SECOND);
        // Two that overlap, a pause, and one more: four seconds.
        state.begin(start);
        state.begin(start + SECOND);
        state.received(300_000);
        state.end(start + 2 * SECOND);
        state.end(start + 3 * SECOND);
        state.begin(start + 60 * SECOND);
        state.received(100_000);
        state.end(start + 61 * SECOND);
        assert_eq!(state.speed(16), Some(Speed { round_trip: SECOND, rate: 100_000, at_once: 16 }));
    }

    #[test]
    fn of_round_trips_the_shortest_had_no_queue_before_it() {
        let mut state = State { bytes: TELLING, busy: SECOND, ..State::default() };
        assert_eq!(state.speed(1), None);
        for seconds in [5, 3, 4] {
            state.answered(seconds * SECOND);
        }
        assert_eq!(state.speed(1).expect("known").round_trip, 3 * SECOND);
    }

    #[test]
    fn a_few_bytes_and_what_came_with_the_heads_tell_no_rate() {
        let meter = Meter::default();
        meter.answered(SECOND);
        for _ in 0..100 {
            meter.receive(Instant::now()).received(TELLING);
        }
        assert_eq!(meter.speed(1), None);
        let mut body = meter.receive(Instant::now());
        for bytes in [1, TELLING - 1] {
            body.received(bytes);
        }
        assert_eq!(meter.speed(1), None);
        body.received(1);
        drop(body);
        assert!(meter.speed(1).is_some());
    }
}
