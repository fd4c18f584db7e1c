//! What one more request costs, in bytes that could have come instead.

use std::time::Duration;

/// What the way to a store has been like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    /// From a question to the head of its answer, over a connection that is open.
    pub round_trip: Duration,
    /// Bytes a second, of all requests together.
    pub rate: u64,
    /// Requests that may be on the way at once.
    pub at_once: usize,
}

impl Speed {
    /// How many bytes could come in the time that a request costs.
    ///
    /// Requests that are on the way together wait together, so each costs its share of a round trip.
    pub fn request_cost(&self) -> u64 {
        let bytes = u128::from(self.rate).saturating_mul(self.round_trip.as_micros()) / 1_000_000;
        let at_once = u128::try_from(self.at_once.max(1)).unwrap_or(u128::MAX);
        u64::try_from(bytes / at_once).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_costs_its_share_of_a_round_trip() {
        let round_trip = Duration::from_millis(200);
        let speed = Speed { round_trip, rate: 2_500_000, at_once: 16 };
        assert_eq!(speed.request_cost(), 31_250);
        assert_eq!(Speed { at_once: 0, ..speed }.request_cost(), 500_000);
        let endless = Speed { round_trip: Duration::MAX, rate: u64::MAX, at_once: 1 };
        assert_eq!(endless.request_cost(), u64::MAX);
    }
}
