//! Time kept over a body: not faster than wanted, not slower than bearable.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A limit of bytes a second, over all requests.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: NonZeroU64,
    /// When all bytes so far are paid for.
    paid_at: Mutex<Instant>,
}

impl Pace {
    pub(crate) fn new(rate: NonZeroU64) -> Self {
        Self { rate, paid_at: Mutex::new(Instant::now()) }
    }

    /// How long to wait after `bytes` more have come.
    pub(crate) fn pay(&self, bytes: u64, now: Instant) -> Duration {
        let cost = Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / self.rate);
        let mut paid_at = self.paid_at.lock().unwrap_or_else(PoisonError::into_inner);
        // What was not used is not saved up.
        *paid_at = (*paid_at).max(now) + cost;
        paid_at.saturating_duration_since(now)
    }
}

/// Tells when hardly anything comes any more: less than 1 KiB a second over the whole of a span.
#[derive(Debug)]
pub(crate) struct Stall {
    span: Duration,
    since: Instant,
    bytes: u64,
}

impl Stall {
    pub(crate) fn new(span: Duration, now: Instant) -> Self {
        Self { span, since: now, bytes: 0 }
    }

    /// When to look again, if nothing comes before.
    pub(crate) fn next_look(&self) -> Instant {
        self.since + self.span
    }

    /// `bytes` came.
    pub(crate) fn received(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Time went by that is not the other side's fault.
    pub(crate) fn excuse(&mut self, time: Duration) {
        self.since += time;
    }

    /// Whether the span that has just ended, if one has, was too slow.
    pub(crate) fn is_stalled(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.since);
        if passed < self.span {
            return false;
        }
        let least = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).saturating_mul(1024) / 1000;
        let is_stalled = self.bytes < least;
        (self.since, self.bytes) = (now, 0);
        is_stalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_add_up_to_the_rate_and_idle_time_is_not_saved_up() {
        let pace = Pace::new(NonZeroU64::new(1000).expect("not zero"));
        let now = Instant::now();
        assert_eq!(pace.pay(500, now).as_millis(), 500);
        assert_eq!(pace.pay(500, now).as_millis(), 1000);
        let later = now + Duration::from_mins(1);
        assert_eq!(pace.pay(500, later).as_millis(), 500);
    }

    #[test]
    fn a_drip_is_a_stall_and_a_slow_line_is_not() {
        let start = Instant::now();
        let second = |n| start + Duration::from_secs(n);
        let mut stall = Stall::new(Duration::from_secs(10), start);
        stall.received(10 * 1024);
        assert!(!stall.is_stalled(second(9)));
        assert!(!stall.is_stalled(second(10)));
        assert_eq!(stall.next_look(), second(20));
        stall.received(1000);
        assert!(stall.is_stalled(second(20)));
    }

    #[test]
    fn time_spent_waiting_for_the_pace_does_not_count() {
        let start = Instant::now();
        let mut stall = Stall::new(Duration::from_secs(10), start);
        stall.excuse(Duration::from_secs(20));
        assert!(!stall.is_stalled(start + Duration::from_secs(29)));
        assert!(stall.is_stalled(start + Duration::from_secs(30)));
    }
}
