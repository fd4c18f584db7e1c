//! Which ranges of one object are worth asking for together.
//!
//! One request costs a round trip, a gap costs its bytes. Ranges whose gap is at most `gap` bytes become one
//! request; a request never grows beyond `longest` bytes by joining.

use std::ops::Range;

/// A request for one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The bytes to ask for.
    pub range: Range<u64>,
    /// How many of them somebody wants; the rest is gaps.
    pub wanted: u64,
}

/// Joins `ranges`, which must be ascending by start; they may touch or overlap.
pub fn join(ranges: impl IntoIterator<Item = Range<u64>>, gap: u64, longest: u64) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    for range in ranges.into_iter().filter(|range| !range.is_empty()) {
        if let Some(last) = requests.last_mut() {
            let end = last.range.end.max(range.end);
            let near = range.start <= last.range.end.saturating_add(gap);
            if near && end - last.range.start <= longest {
                last.wanted += end - last.range.end.max(range.start.min(end));
                last.range.end = end;
                continue;
            }
        }
        requests.push(Request { wanted: range.end - range.start, range });
    }
    requests
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn near_ranges_become_one_request_and_far_ones_stay_apart() {
        let requests = join([0..10, 10..20, 25..30, 100..110], 5, 1000);
        assert_eq!(
            requests,
            [Request { range: 0..30, wanted: 25 }, Request { range: 100..110, wanted: 10 },]
        );
    }

    #[test]
    fn a_request_stops_growing_at_the_longest() {
        let requests = join([0..60, 60..120, 120..180], 0, 120);
        assert_eq!(
            requests,
            [Request { range: 0..120, wanted: 120 }, Request { range: 120..180, wanted: 60 },]
        );
    }

    proptest! {
        #[test]
        fn every_wanted_byte_is_asked_for_and_counted_once(
            steps in prop::collection::vec((0u64..50, 0u64..50), 0..40),
            gap in 0u64..60,
            longest in 1u64..400,
        ) {
            let mut at = 0;
            let ranges: Vec<_> = steps.iter().map(|(skip, len)| { at += skip; let start = at; at += len; start..at }).collect();
            let requests = join(ranges.clone(), gap, longest);
            let wanted: u64 = ranges.iter().map(|range| range.end - range.start).sum();
            prop_assert_eq!(requests.iter().map(|request| request.wanted).sum::<u64>(), wanted);
            for range in ranges.iter().filter(|range| !range.is_empty()) {
                let asked = requests.iter().any(|request| {
                    request.range.start <= range.start && range.end <= request.range.end
                });
                prop_assert!(asked);
            }
            for pair in requests.windows(2) {
                prop_assert!(pair[0].range.end <= pair[1].range.start);
            }
            for request in &requests {
                let len = request.range.end - request.range.start;
                prop_assert!(request.wanted <= len);
            }
        }
    }
}
