//! What is known about mirrors, and in which order they are asked.

use std::time::{Duration, Instant};

use super::config::Order;

/// A mirror that failed rests this long, twice as long after each further failure.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_mins(1);

/// What one mirror has been like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    /// Failures since the last success.
    failures: u32,
    rests_until: Option<Instant>,
    /// Time to the head of an answer, in microseconds.
    latency: Average,
    /// Time for a MiB of body, in microseconds.
    per_mib: Average,
    /// Requests on the way.
    pub(crate) in_flight: u32,
}

/// An average that forgets: each new value counts for a quarter.
#[derive(Clone, Copy, Debug, Default)]
struct Average(Option<u64>);

impl Average {
    fn add(&mut self, value: u64) {
        self.0 = Some(self.0.map_or(value, |old| old - old / 4 + value / 4));
    }
}

impl Health {
    /// A whole answer of `len` bytes came.
    pub(crate) fn succeeded(&mut self, latency: Duration, body: Duration, len: u64) {
        self.failures = 0;
        self.rests_until = None;
        self.latency.add(micros(latency));
        // The time of a short body is noise.
        if len >= 1 << 16 {
            self.per_mib.add(micros(body).saturating_mul(1 << 20) / len);
        }
    }

    /// It did not answer as it should; `rest` is what it asked for.
    pub(crate) fn failed(&mut self, now: Instant, rest: Option<Duration>) {
        let doubled = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let usual = FIRST_REST.saturating_mul(doubled).min(LONGEST_REST);
        self.failures = self.failures.saturating_add(1);
        self.rests_until = now.checked_add(rest.unwrap_or_default().max(usual));
    }

    /// Whether it is expected to answer.
    pub(crate) fn is_well(&self, now: Instant) -> bool {
        self.rests_until.is_none_or(|until| until <= now)
    }

    /// How long `len` bytes usually take, if that is known.
    pub(crate) fn usual(&self, len: u64) -> Option<Duration> {
        let body = self.per_mib.0.unwrap_or(0).saturating_mul(len >> 10) >> 10;
        self.latency.0.map(|latency| Duration::from_micros(latency.saturating_add(body)))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The mirrors in the order in which to ask them for `len` bytes.
pub(crate) fn in_order(order: Order, mirrors: &[Health], len: u64, now: Instant) -> Vec<usize> {
    let mut indexes: Vec<usize> = (0..mirrors.len()).collect();
    // The sort is stable: those that are alike stay as they were given.
    indexes.sort_by_key(|&index| {
        let health = &mirrors[index];
        let rest = health.rests_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        match order {
            Order::Ordered => (rest, Duration::ZERO, 0),
            Order::Equal => {
                // One that is not known yet costs nothing, so it becomes known.
                let usual = health.usual(len).unwrap_or_default();
                (rest, usual.saturating_mul(health.in_flight.saturating_add(1)), health.in_flight)
            }
        }
    });
    indexes
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn slow_and_fast() -> Vec<Health> {
        let mut mirrors = vec![Health::default(), Health::default()];
        mirrors[0].succeeded(Duration::from_millis(100), Duration::from_millis(900), MIB);
        mirrors[1].succeeded(Duration::from_millis(10), Duration::from_millis(90), MIB);
        mirrors
    }

    #[test]
    fn equal_mirrors_are_asked_by_the_time_they_take_and_the_work_they_have() {
        let mut mirrors = slow_and_fast();
        let now = Instant::now();
        assert_eq!(in_order(Order::Equal, &mirrors, MIB, now), [1, 0]);
        mirrors[1].in_flight = 12;
        assert_eq!(in_order(Order::Equal, &mirrors, MIB, now), [0, 1]);
    }

    #[test]
    fn ordered_mirrors_are_asked_in_their_order_while_they_are_well() {
        let mut mirrors = slow_and_fast();
        let now = Instant::now();
        mirrors[0].in_flight = 12;
        assert_eq!(in_order(Order::Ordered, &mirrors, MIB, now), [0, 1]);
        mirrors[0].failed(now, None);
        assert_eq!(in_order(Order::Ordered, &mirrors, MIB, now), [1, 0]);
        assert_eq!(in_order(Order::Ordered, &mirrors, MIB, now + FIRST_REST), [0, 1]);
    }

    #[test]
    fn unknown_mirrors_become_known_one_by_one() {
        let mut mirrors = vec![Health::default(), Health::default()];
        let now = Instant::now();
        assert_eq!(in_order(Order::Equal, &mirrors, MIB, now), [0, 1]);
        mirrors[0].in_flight = 1;
        assert_eq!(in_order(Order::Equal, &mirrors, MIB, now), [1, 0]);
    }

    #[test]
    fn rest_grows_with_failures_ends_with_a_success_and_is_never_shorter_than_asked_for() {
        let mut health = Health::default();
        let now = Instant::now();
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            health.failed(now, None);
            assert!(!health.is_well(now + Duration::from_millis(seconds * 1000 - 1)));
            assert!(health.is_well(now + Duration::from_secs(seconds)));
        }
        health.succeeded(Duration::ZERO, Duration::ZERO, 0);
        assert!(health.is_well(now));
        health.failed(now, Some(Duration::from_secs(10)));
        assert!(!health.is_well(now + Duration::from_secs(9)));
        assert!(health.is_well(now + Duration::from_secs(10)));
    }

    #[test]
    fn what_is_usual_has_a_part_for_the_way_and_a_part_for_the_bytes() {
        let mirrors = slow_and_fast();
        assert_eq!(mirrors[0].usual(0), Some(Duration::from_millis(100)));
        let ten = mirrors[0].usual(10 * MIB).expect("known").as_millis();
        assert!((9095..=9100).contains(&ten), "{ten} ms");
        assert_eq!(Health::default().usual(MIB), None);
    }
}
