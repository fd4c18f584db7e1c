//! Which bytes of the packs are asked for, when, and how long they are kept.
//!
//! A frame is asked for when the first block needs it, together with frames that lie near it in the same pack
//! and are needed soon. It stays in memory until its last use, unless so much else is used in between that it
//! is better asked for again: what waits in memory is bounded, and the count of requests is known beforehand.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use chunk_chunker::image::Blocks;
use chunk_index::FrameRef;

use crate::plan::Limits;
use crate::plan::runs::{Drawn, Origin};

/// Share of a download that gaps may be.
pub(super) const GAP_SHARE: u64 = 20;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fetch {
    /// Number of the pack in the locator.
    pub pack: u32,
    /// Its bytes.
    pub range: Range<u64>,
    /// The loads that it brings.
    pub loads: Vec<u32>,
    /// The position that needs the first of them.
    pub first: u32,
}

/// A frame that is in memory for some time.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// Number of the frame in the plan.
    pub frame: u32,
    /// How many positions use it.
    pub uses: u32,
    first: u32,
}

/// All requests of a plan, and what they bring for whom.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    /// In the order in which they are needed.
    pub requests: Vec<Fetch>,
    /// Everything that is brought.
    pub loads: Vec<Load>,
    /// Which position uses which load, ascending.
    uses: Vec<(u32, u32)>,
    gaps: u64,
}

impl Fetches {
    pub(super) fn new(
        blocks: Blocks,
        missing: &[u64],
        order: &[u32],
        drawn: &Drawn,
        limits: &Limits,
        mut gap: u64,
    ) -> Self {
        let mut fetches = Self::default();
        fetches.schedule(blocks, missing, order, drawn, limits.frames);
        loop {
            fetches.join(drawn, limits, gap);
            let (download, gaps, _) = fetches.cost();
            if gaps <= download / GAP_SHARE || gap == 0 {
                return fetches;
            }
            gap /= 2;
        }
    }

    /// Bytes, gaps among them, and requests.
    pub(crate) fn cost(&self) -> (u64, u64, u64) {
        let bytes = self.requests.iter().map(|request| request.range.end - request.range.start).sum();
        (bytes, self.gaps, self.requests.len() as u64)
    }

    /// Most stored bytes that are in memory at a time if `ahead` positions are worked at, and `room` may wait.
    pub(crate) fn most_held(&self, drawn: &[(u32, FrameRef)], ahead: u32, room: u64) -> u64 {
        let stored = |load: u32| u64::from(drawn[self.loads[load as usize].frame as usize].1.stored_len);
        let mut last_use = vec![0; self.loads.len()];
        self.uses.iter().for_each(|(position, load)| last_use[*load as usize] = *position);
        // When each load comes, and when it goes.
        let mut changes: Vec<(u32, bool, u64)> = Vec::with_capacity(2 * self.loads.len());
        for request in &self.requests {
            for load in &request.loads {
                changes.push((request.first.saturating_sub(ahead), true, stored(*load)));
                changes.push((last_use[*load as usize] + 1, false, stored(*load)));
            }
        }
        // What goes at a position makes room for what comes there.
        changes.sort_unstable();
        let (mut held, mut most) = (0, 0);
        for (_, comes, bytes) in changes {
            held = if comes { held + bytes } else { held - bytes };
            most = most.max(held);
        }
        let all = self.loads.iter().map(|load| u64::from(drawn[load.frame as usize].1.stored_len)).sum();
        most.max(room).min(all)
    }

    /// The longest request.
    pub(crate) fn longest(&self) -> u64 {
        self.requests.iter().map(|request| request.range.end - request.range.start).max().unwrap_or(0)
    }

    /// Bytes that all this takes in memory.
    pub(crate) fn memory(&self) -> usize {
        self.requests.capacity() * size_of::<Fetch>()
            + self.loads.capacity() * (size_of::<Load>() + 4 + 4)
            + self.uses.capacity() * size_of::<(u32, u32)>()
    }

    /// The loads that `position` uses.
    pub(crate) fn used_at(&self, position: u32) -> impl Iterator<Item = u32> {
        let start = self.uses.partition_point(|(at, _)| *at < position);
        self.uses[start..].iter().take_while(move |(at, _)| *at == position).map(|(_, load)| *load)
    }

    /// Decides for each use of a frame whether the last load of it is still there: of what is in memory, `room` bytes may
    /// wait, and those that are needed latest make room for others.
    fn schedule(&mut self, blocks: Blocks, missing: &[u64], order: &[u32], drawn: &Drawn, room: u64) {
        let needs = needs(blocks, missing, order, drawn);
        let stored = |frame: u32| u64::from(drawn.frames[frame as usize].1.stored_len);
        // Loads that wait for their frame's next use, and the same by when that is.
        let mut waiting: HashMap<u32, u32> = HashMap::new();
        let mut by_use: BTreeSet<(u32, u32)> = BTreeSet::new();
        let mut held = 0;
        for Need { position, frame, next } in needs {
            by_use.remove(&(position, frame));
            let load = waiting.remove(&frame).unwrap_or_else(|| {
                self.loads.push(Load { frame, uses: 0, first: position });
                held += stored(frame);
                u32::try_from(self.loads.len() - 1).expect("loads are counted in memory")
            });
            self.loads[load as usize].uses += 1;
            self.uses.push((position, load));
            match next {
                Some(next) => {
                    waiting.insert(frame, load);
                    by_use.insert((next, frame));
                }
                None => held -= stored(frame),
            }
            // What this position itself still needs stays in any case.
            while held > room
                && let Some((next, latest)) = by_use.last().copied()
                && next > position
            {
                by_use.remove(&(next, latest));
                waiting.remove(&latest);
                held -= stored(latest);
            }
        }
    }

    /// Makes requests of what is needed at about the same time.
    fn join(&mut self, drawn: &Drawn, limits: &Limits, gap: u64) {
        self.requests.clear();
        self.gaps = 0;
        let stored = |load: &Load| drawn.frames[load.frame as usize];
        let mut start = 0;
        while start < self.loads.len() {
            let mut batch = 0;
            let fits = |load: &&Load| {
                batch += u64::from(stored(load).1.stored_len);
                batch <= limits.frames / 2
            };
            let more = self.loads[start..].iter().take_while(fits).count().max(1);
            let mut numbers: Vec<usize> = (start..start + more).collect();
            numbers.sort_unstable_by_key(|number| {
                let (pack, frame) = stored(&self.loads[*number]);
                (pack, frame.offset, *number)
            });
            let from = self.requests.len();
            for number in numbers {
                let load = &self.loads[number];
                let (pack, frame) = stored(load);
                let range = u64::from(frame.offset)..frame.end();
                let number = u32::try_from(number).expect("loads are counted in memory");
                let near = self.requests[from..].last_mut().filter(|last| {
                    last.pack == pack
                        && range.start <= last.range.end + gap
                        && range.end - last.range.start <= limits.longest
                });
                match near {
                    Some(last) => {
                        self.gaps += range.start.saturating_sub(last.range.end);
                        last.range.end = last.range.end.max(range.end);
                        last.loads.push(number);
                        last.first = last.first.min(load.first);
                    }
                    None => {
                        self.requests.push(Fetch { pack, range, loads: vec![number], first: load.first });
                    }
                }
            }
            self.requests[from..].sort_by_key(|request| request.first);
            start += more;
        }
    }
}

/// A use of a frame.
struct Need {
    position: u32,
    frame: u32,
    /// The position that uses it next.
    next: Option<u32>,
}

/// Which position uses which frames, in order.
fn needs(blocks: Blocks, missing: &[u64], order: &[u32], drawn: &Drawn) -> Vec<Need> {
    let mut needs = Vec::new();
    for (position, place) in (0..).zip(order) {
        let block = blocks.range(missing[*place as usize]);
        let first = drawn.runs.partition_point(|run| run.range().end <= block.start);
        let runs = drawn.runs[first..].iter().take_while(|run| run.image < block.end);
        let mut frames: Vec<u32> = runs
            .filter_map(|run| match run.origin {
                Origin::Frame { frame, .. } => Some(frame),
                _ => None,
            })
            .collect();
        frames.sort_unstable();
        frames.dedup();
        needs.extend(frames.into_iter().map(|frame| Need { position, frame, next: None }));
    }
    let mut next = HashMap::new();
    for need in needs.iter_mut().rev() {
        need.next = next.insert(need.frame, need.position);
    }
    needs
}

#[cfg(test)]
mod tests {
    use chunk_chunker::image::BLOCK;
    use chunk_testing::Numbers;

    use super::*;
    use crate::plan::Totals;
    use crate::plan::runs::Run;

    /// A frame of some length for each block, with gaps of any length between them.
    fn drawn(numbers: &mut Numbers, blocks: u64) -> Drawn {
        let mut end = 0;
        let mut frame = || {
            let longest = 1 << (8 + numbers.below(12));
            let offset = end + u32::try_from(numbers.below(longest)).expect("short");
            let stored_len = 1000 + u32::try_from(numbers.below(30_000)).expect("short");
            end = offset + stored_len;
            (0, FrameRef { offset, stored_len, plain_len: 1 << 16, raw: false })
        };
        let frames = (0..blocks).map(|_| frame()).collect();
        let run = |frame| Run {
            image: u64::from(frame) * BLOCK as u64,
            len: BLOCK as u64,
            period: 0,
            origin: Origin::Frame { frame, first: 0 },
        };
        let runs = (0..u32::try_from(blocks).expect("few")).map(run).collect();
        Drawn { runs, frames, totals: Totals::default() }
    }

    #[test]
    fn dearer_requests_are_never_more_and_their_gaps_stay_within_the_share() {
        let seed = Numbers::seed_or(7);
        println!("{}={seed}", Numbers::SEED);
        let mut numbers = Numbers::from_seed(seed);
        let limits = Limits { longest: u64::MAX, ..Limits::default() };
        for _ in 0..50 {
            let count = 1 + numbers.below(400);
            let drawn = drawn(&mut numbers, count);
            let blocks = Blocks::of_len(count * BLOCK as u64);
            let missing: Vec<u64> = (0..count).collect();
            let order: Vec<u32> = (0..u32::try_from(count).expect("few")).collect();
            let mut before = u64::MAX;
            for gap in (0..20).map(|power| 1 << power) {
                let fetches = Fetches::new(blocks, &missing, &order, &drawn, &limits, gap);
                let (download, gaps, requests) = fetches.cost();
                let wanted: u64 = drawn.frames.iter().map(|(_, frame)| u64::from(frame.stored_len)).sum();
                assert_eq!(download, wanted + gaps);
                assert!(gaps <= download / GAP_SHARE, "{gaps} of {download}");
                assert!(requests <= before, "{requests} requests across {gap} bytes, {before} across half");
                before = requests;
            }
        }
    }
}
