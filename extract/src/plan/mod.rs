//! What has to be done, decided before anything is touched: pure arithmetic over a recipe and what is held.
//!
//! A plan lists the blocks that are not right yet, in the order in which they will be written, and where the
//! bytes of each come from. In place, the order is such that old bytes are read before they are overwritten;
//! where that is impossible, they are saved first. What a plan says it will fetch is what is fetched, unless
//! seeds turn out to be other than they seemed.

mod fetches;
mod joining;
mod order;
mod runs;

pub(crate) use fetches::{Fetch, Fetches};
pub(crate) use joining::Joining;
pub(crate) use order::Save;
pub(crate) use runs::{Origin, Run};

use std::ops::Range;

use chunk_chunker::image::{BLOCK, Blocks};
use chunk_fetch::Speed;
use chunk_index::FrameRef;

use crate::places::Places;
use crate::recipe::Recipe;
use crate::verified::Check;

/// What bounds a plan.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of frames, as stored, that may wait in memory for their use.
    pub frames: u64,
    /// Old bytes that may be saved at a time.
    pub saved: u64,
    /// Largest gap between two frames that is fetched with them. Unless it is given, it is as many bytes as a request
    /// costs by what the source has measured, and 16 KiB where it has measured nothing. Less where gaps would be more
    /// than a twentieth of the download.
    pub gap: Option<u64>,
    /// Longest request.
    pub longest: u64,
    /// Bytes that a way by patches may keep in files until the image is made.
    pub scratch: u64,
    /// How much of that where files are memory.
    pub scratch_in_memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frames: 12 << 20,
            saved: 12 << 20,
            gap: None,
            longest: 1 << 20,
            scratch: 1 << 30,
            scratch_in_memory: 64 << 20,
        }
    }
}

/// The gap where nothing is known of the way to the store.
const USUAL_GAP: u64 = 16 << 10;
/// A request costs its own bytes and those of the answer's head at least.
const LEAST_GAP: u64 = 1 << 10;
/// The longest request where nothing is known of the way to the store, which is so where the index is small.
const USUAL_LONGEST: u64 = 256 << 10;
/// The shortest bound of a request: a frame at least.
const LEAST_LONGEST: u64 = 128 << 10;
/// A request takes no longer than so many seconds, if it is longer than that.
const REQUEST_SECONDS: u64 = 2;
/// Never more of a request than this.
const LARGEST_GAP: u64 = 1 << 18;

impl Limits {
    /// The longest request, if the way to the store is as `speed` says: what is not complete when a run is cut short has
    /// come in vain. A power of two at most, as the gap.
    pub(crate) fn longest(&self, speed: Option<Speed>) -> u64 {
        let comes = |speed: Speed| {
            let bytes = speed.rate.saturating_mul(REQUEST_SECONDS).max(LEAST_LONGEST);
            1 << bytes.ilog2()
        };
        speed.map_or(USUAL_LONGEST, comes).min(self.longest)
    }

    /// The gap to begin with, if the way to the store is as `speed` says.
    ///
    /// It is a power of two, so that plans do not differ by what a measurement varies.
    fn gap(&self, speed: Option<Speed>) -> u64 {
        let measured = |speed: Speed| {
            let cost = speed.request_cost().clamp(LEAST_GAP, LARGEST_GAP);
            1 << cost.ilog2()
        };
        self.gap.unwrap_or_else(|| speed.map_or(USUAL_GAP, measured))
    }
}

/// What the device holds.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    /// Chunks of the seeds.
    pub places: &'a Places,
    /// The seed that the target itself is.
    pub own: Option<u16>,
    /// The blocks of the target that are right, by number.
    pub kept: &'a [bool],
    /// Whether what was written can be read again.
    pub rereads: bool,
}

/// What to do, in which order.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The blocks to write, ascending.
    pub(crate) missing: Vec<u64>,
    /// Numbers into `missing`, in the order of writing.
    pub(crate) order: Vec<u32>,
    /// For each of `missing`, its place in `order`.
    pub(crate) position: Vec<u32>,
    /// What the missing blocks consist of, ascending.
    pub(crate) runs: Vec<Run>,
    /// Old bytes to save, by the position before whose writing that happens.
    pub(crate) saves: Vec<Save>,
    /// For each block that has something saved for it, the last position before which that happens.
    pub(crate) saved_for: Vec<(u64, u32)>,
    /// The frames that runs refer to.
    pub(crate) frames: Vec<(u32, FrameRef)>,
    pub(crate) fetches: Fetches,
    /// What all this comes to.
    pub(crate) totals: Totals,
}

/// What a plan comes to, in bytes unless said otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// The image.
    pub image: u64,
    /// Right in the target already.
    pub kept: u64,
    /// Zeros to write.
    pub zero: u64,
    /// Copied from each seed, by number; the target's own old bytes among them.
    pub seeds: Vec<u64>,
    /// Chunks fetched for one place and copied to another.
    pub repeated: u64,
    /// Made by patches.
    pub patched: u64,
    /// Image bytes to be had from the store.
    pub missing: u64,
    /// To download from the store, gaps included; the index not.
    pub download: u64,
    /// What the source keeps of that from earlier: it is not received again.
    pub cached: u64,
    /// Of patches in that.
    pub patch: u64,
    /// Of frames that mend the seed of patches in that.
    pub mend: u64,
    /// How many patches these are.
    pub patches: u64,
    /// Gaps in that.
    pub gaps: u64,
    /// Requests for it.
    pub requests: u64,
    /// At most written.
    pub write: u64,
    /// Most old bytes saved at a time.
    pub saved: u64,
    /// Old bytes saved in all.
    pub saves: u64,
    /// Kept in a file until the image is made.
    pub scratch: u64,
}

impl Totals {
    /// What of the download has to come from the store now.
    pub fn received(&self) -> u64 {
        self.download.saturating_sub(self.cached)
    }
}

impl Plan {
    /// Plans how to make the image that `recipe` describes from what is `held`, if the way to the store is as `speed`
    /// says.
    pub(crate) fn new(
        recipe: &Recipe,
        check: &Check,
        held: &Held<'_>,
        limits: &Limits,
        speed: Option<Speed>,
    ) -> Self {
        let missing: Vec<u64> =
            (0..).zip(held.kept).filter(|(_, kept)| !**kept).map(|(number, _)| number).collect();
        let blocks = check.blocks();
        let mut drawn = runs::draw(recipe, held, &[], held.rereads);
        let mut ordered = order::image_order(&missing);
        if drawn.runs.iter().any(|run| matches!(run.origin, Origin::Own { .. })) {
            // Copies of what was written would need the image's order.
            drawn = runs::draw(recipe, held, &[], false);
            ordered = order::own_order(blocks, &missing, &drawn.runs, limits.saved);
            if !ordered.denied.is_empty() {
                drawn = runs::draw(recipe, held, &ordered.denied, false);
            }
        }
        let limits = &Limits { longest: limits.longest(speed), ..limits.clone() };
        let fetches = Fetches::new(blocks, &missing, &ordered.order, &drawn, limits, limits.gap(speed));
        let mut saved_for: Vec<_> = ordered.saves.iter().map(|save| (save.reader, save.at)).collect();
        saved_for.sort_unstable_by_key(|(reader, at)| (*reader, std::cmp::Reverse(*at)));
        saved_for.dedup_by_key(|(reader, _)| *reader);
        let mut totals = Totals { image: recipe.record().image_len(), ..drawn.totals };
        totals.write = missing.iter().map(|block| len(&blocks.range(*block))).sum();
        totals.kept = totals.image - totals.write;
        totals.saved = ordered.most_saved;
        totals.saves = ordered.saves.iter().map(|save| len(&save.own)).sum();
        (totals.download, totals.gaps, totals.requests) = fetches.cost();
        Self {
            missing,
            order: ordered.order,
            position: ordered.position,
            runs: drawn.runs,
            saves: ordered.saves,
            saved_for,
            frames: drawn.frames,
            fetches,
            totals,
        }
    }

    /// Where in the order block `number` is written, if it is.
    pub(crate) fn position_of(&self, number: u64) -> Option<u32> {
        self.missing.binary_search(&number).ok().map(|place| self.position[place])
    }

    /// The block written at `position`.
    pub(crate) fn block_at(&self, position: usize) -> u64 {
        self.missing[self.order[position] as usize]
    }

    /// The saves before the writing of `position`.
    pub(crate) fn saves_at(&self, position: u32) -> &[Save] {
        let start = self.saves.partition_point(|save| save.at < position);
        let end = self.saves.partition_point(|save| save.at <= position);
        &self.saves[start..end]
    }

    /// How many positions must be written before everything that was saved for block `reader` is there.
    pub(crate) fn saved_until(&self, reader: u64) -> usize {
        let place = self.saved_for.partition_point(|(block, _)| *block < reader);
        match self.saved_for.get(place) {
            Some((block, at)) if *block == reader => *at as usize + 1,
            _ => 0,
        }
    }

    /// What is read of `seed`, each part with the block that it is for.
    pub(crate) fn read_of(&self, seed: u16, blocks: Blocks) -> Vec<(Range<u64>, u64)> {
        let mut parts = Vec::new();
        for run in &self.runs {
            let Origin::Seed { seed: of, offset } = run.origin else { continue };
            if of != seed || run.len == 0 {
                continue;
            }
            let block = BLOCK as u64;
            let numbers = run.image / block..(run.range().end - 1) / block + 1;
            for number in numbers.filter(|number| self.position_of(*number).is_some()) {
                let pieces = run.pieces(&blocks.range(number));
                parts.extend(pieces.map(|(image, before)| {
                    let start = offset + before;
                    (start..start + len(&image), number)
                }));
            }
        }
        parts
    }

    /// The parts of the image that are to be written, neighbours joined.
    pub(crate) fn ranges(&self, blocks: Blocks) -> Vec<Range<u64>> {
        joined(&self.missing, blocks)
    }

    /// Bytes that the plan takes in memory.
    pub(crate) fn memory(&self) -> usize {
        let saves = self.saves.capacity() * size_of::<Save>() + self.saved_for.capacity() * 16;
        self.runs.capacity() * size_of::<Run>()
            + self.missing.capacity() * 16
            + self.frames.capacity() * size_of::<(u32, FrameRef)>()
            + saves
            + self.fetches.memory()
    }
}

/// The bytes of the blocks `numbers`, which ascend, neighbours joined.
pub(crate) fn joined(numbers: &[u64], blocks: Blocks) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for number in numbers {
        let range = blocks.range(*number);
        match ranges.last_mut().filter(|last| last.end == range.start) {
            Some(last) => last.end = range.end,
            None => ranges.push(range),
        }
    }
    ranges
}

fn len(range: &Range<u64>) -> u64 {
    range.end - range.start
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_gap_is_what_a_request_costs_unless_it_is_given() {
        let limits = Limits::default();
        let speed =
            |millis, rate| Some(Speed { round_trip: Duration::from_millis(millis), rate, at_once: 16 });
        // 20 Mbit/s, 50 and 200 ms away: 7,812 and 31,250 bytes.
        assert_eq!(limits.gap(speed(50, 2_500_000)), 4 << 10);
        assert_eq!(limits.gap(speed(200, 2_500_000)), 16 << 10);
        assert_eq!(limits.gap(speed(0, 1_000_000_000)), LEAST_GAP);
        assert_eq!(limits.gap(speed(60_000, 1_000_000_000)), LARGEST_GAP);
        assert_eq!(limits.gap(None), USUAL_GAP);
        assert_eq!(Limits { gap: Some(100), ..limits }.gap(speed(50, 2_500_000)), 100);
    }

    #[test]
    fn a_request_over_a_slow_way_is_short() {
        let limits = Limits::default();
        let speed = |rate| Some(Speed { round_trip: Duration::from_millis(50), rate, at_once: 16 });
        assert_eq!(limits.longest(None), USUAL_LONGEST);
        assert_eq!(limits.longest(speed(2_500_000)), limits.longest);
        assert_eq!(limits.longest(speed(100_000)), 128 << 10);
        assert_eq!(limits.longest(speed(200_000)), 256 << 10);
        assert_eq!(limits.longest(speed(0)), LEAST_LONGEST);
        assert_eq!(limits.longest(speed(u64::MAX)), limits.longest);
    }

    #[test]
    fn what_a_measurement_varies_does_not_change_the_gap() {
        let gap = |rate| {
            let speed = Speed { round_trip: Duration::from_millis(100), rate, at_once: 16 };
            Limits::default().gap(Some(speed))
        };
        assert_eq!(gap(2_700_000), gap(5_200_000));
    }
}
