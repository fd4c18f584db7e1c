//! How long to wait before asking again.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

/// Waits that grow from failure to failure and are spread at random, so that devices which failed together do not
/// come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait after the first failure.
    pub first: Duration,
    /// The longest wait after any failure.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// The wait after `failures` failures: anything up to twice as much as after the one before, by `random`.
    pub(crate) fn wait(self, failures: u32, random: u64) -> Duration {
        let doubled = 1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let longest = self.first.saturating_mul(doubled).min(self.longest);
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(random % nanos.saturating_add(1))
    }
}

/// A number that nobody can foresee, good enough to spread waits.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// What a Retry-After header asks for: seconds, or a date.
pub(crate) fn after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_use_the_whole_span() {
        let backoff = Backoff::default();
        for (failures, span) in [(1, 500), (2, 1000), (3, 2000), (7, 30_000), (1000, 30_000)] {
            let waits = (0..10_000u64).map(|n| backoff.wait(failures, n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            let longest = waits.max().expect("waits").as_millis();
            assert!(longest <= span && longest > span * 9 / 10, "{longest} ms after {failures} failures");
        }
        assert_eq!(backoff.wait(5, 0), Duration::ZERO);
        let endless = Backoff { first: Duration::MAX, longest: Duration::MAX };
        assert!(endless.wait(u32::MAX, u64::MAX - 1) > Duration::from_secs(1));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        assert_eq!(after(" 120 ", now), Some(Duration::from_mins(2)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:40 GMT", now), Some(Duration::from_secs(3)));
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(after("99999999999999999999", now), Some(Duration::from_secs(u64::MAX)));
        for nonsense in ["", "soon", "-1", "1.5"] {
            assert_eq!(after(nonsense, now), None, "{nonsense}");
        }
    }
}
