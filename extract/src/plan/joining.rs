//! How ranges of one pack that nobody has planned become requests.

use std::ops::Range;

use chunk_fetch::{Request, Speed, join};

use crate::plan::Limits;
use crate::plan::fetches::GAP_SHARE;

/// What is worth one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Joining {
    gap: u64,
    /// Longest request.
    pub longest: u64,
}

impl Joining {
    /// As a plan joins, if the way to the store is as `speed` says.
    pub(crate) fn new(limits: &Limits, speed: Option<Speed>) -> Self {
        Self { gap: limits.gap(speed), longest: limits.longest(speed) }
    }

    /// Requests for `ranges` of one object, which ascend. Gaps are no larger a share than in a plan.
    pub(crate) fn requests(&self, ranges: &[Range<u64>]) -> Vec<Request> {
        let mut gap = self.gap;
        loop {
            let requests = join(ranges.iter().cloned(), gap, self.longest);
            let wanted: u64 = requests.iter().map(|request| request.wanted).sum();
            let all: u64 = requests.iter().map(|request| request.range.end - request.range.start).sum();
            if gap == 0 || all - wanted <= all / GAP_SHARE {
                return requests;
            }
            gap /= 2;
        }
    }
}
