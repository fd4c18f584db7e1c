//! Where the bytes of the missing blocks come from.

use std::collections::HashMap;
use std::ops::Range;

use chunk_chunker::image::BLOCK;
use chunk_index::{FrameRef, Location, Placed};

use crate::plan::{Held, Totals};
use crate::recipe::Recipe;

/// Bytes of the image that come from one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Where in the image it starts.
    pub image: u64,
    /// Its length.
    pub len: u64,
    /// If not zero, the origin has so many bytes only, and they are repeated.
    pub period: u32,
    /// Where the bytes are.
    pub origin: Origin,
}

/// Where bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nowhere: they are zero.
    Zero,
    /// In a seed.
    Seed {
        /// Its number.
        seed: u16,
        /// Where in it.
        offset: u64,
    },
    /// Among the target's old bytes.
    Own {
        /// Where in the target.
        offset: u64,
    },
    /// Among the bytes that will have been written already.
    New {
        /// Where in the image.
        offset: u64,
    },
    /// In a frame of the store.
    Frame {
        /// Its number in the plan.
        frame: u32,
        /// Where in the plain frame.
        first: u32,
    },
}

/// Runs that cover the missing blocks, and the frames they refer to.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub runs: Vec<Run>,
    pub frames: Vec<(u32, FrameRef)>,
    pub totals: Totals,
}

impl Run {
    /// The image bytes.
    pub(crate) fn range(&self) -> Range<u64> {
        self.image..self.image + self.len
    }

    /// The pieces of this run within `part` of the image, each with the bytes before it in the origin.
    pub(crate) fn pieces(&self, part: &Range<u64>) -> impl Iterator<Item = (Range<u64>, u64)> + use<> {
        let run = *self;
        let start = run.image.max(part.start);
        let end = (run.image + run.len).min(part.end);
        let step = if run.period == 0 { run.len } else { u64::from(run.period) };
        let mut at = start;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let inner = (at - run.image) % step;
            let stop = (at - inner + step).min(end);
            let piece = (at..stop, inner);
            at = stop;
            Some(piece)
        })
    }

    /// Appends `next` if it goes on where this run ends, in the image and in the origin.
    fn append(&mut self, next: &Self) -> bool {
        let Self { image, len, period: 0, origin } = *self else { return false };
        if next.period != 0 || image + len != next.image {
            return false;
        }
        let follows = match (origin, next.origin) {
            (Origin::Zero, Origin::Zero) => true,
            (Origin::Seed { seed, offset }, Origin::Seed { seed: next_seed, offset: next }) => {
                seed == next_seed && offset + len == next
            }
            (Origin::Own { offset }, Origin::Own { offset: next })
            | (Origin::New { offset }, Origin::New { offset: next }) => offset + len == next,
            (Origin::Frame { frame, first }, Origin::Frame { frame: next_frame, first: next }) => {
                frame == next_frame && u64::from(first) + len == u64::from(next)
            }
            _ => false,
        };
        if follows {
            self.len += next.len;
        }
        follows
    }
}

/// Finds the origin of every chunk of the missing blocks. Old bytes of the target are not used for the image
/// bytes in `denied`, which ascend. With `copies`, a chunk that is fetched is copied to its later places.
pub(super) fn draw(recipe: &Recipe, held: &Held<'_>, denied: &[Range<u64>], copies: bool) -> Drawn {
    let mut drawn = Drawn { runs: Vec::new(), frames: Vec::new(), totals: Totals::default() };
    let mut numbers = HashMap::new();
    let mut first_places: HashMap<(u32, u32), u64> = HashMap::new();
    for placed in recipe.entries_from(0) {
        if !is_missing(held.kept, &placed.image) {
            continue;
        }
        let origin = if placed.entry.short.is_zero() {
            Origin::Zero
        } else if let Some(origin) = from_seed(held, &placed, denied) {
            origin
        } else if let Some(location) = placed.location {
            let frame = number(&mut numbers, &mut drawn.frames, &location);
            let key = (frame, location.first);
            match first_places.get(&key) {
                // A block is put together as a whole, so only earlier ones can be copied from.
                Some(first) if is_before(*first, &placed) => Origin::New { offset: *first },
                Some(_) => Origin::Frame { frame, first: location.first },
                None => {
                    if copies {
                        first_places.insert(key, placed.image.start);
                    }
                    Origin::Frame { frame, first: location.first }
                }
            }
        } else {
            // Found in no seed after all, with a map that is not there: whoever assembles the block asks for it.
            Origin::Zero
        };
        let (image, len) = (placed.image.start, placed.image.end - placed.image.start);
        let period = if placed.entry.repeats == 0 || origin == Origin::Zero { 0 } else { placed.entry.len };
        count(&mut drawn.totals, origin, missing_len(held.kept, &placed.image));
        let run = Run { image, len, period, origin };
        if !drawn.runs.last_mut().is_some_and(|last| last.append(&run)) {
            drawn.runs.push(run);
        }
    }
    drawn.runs.shrink_to_fit();
    if let Some(own) = held.own {
        // Listed with the seeds, whose numbers it ends.
        let needed = usize::from(own) + 1;
        drawn.totals.seeds.resize(drawn.totals.seeds.len().max(needed), 0);
        for run in &drawn.runs {
            if let Origin::Own { .. } = run.origin {
                drawn.totals.seeds[usize::from(own)] += missing_len(held.kept, &run.range());
            }
        }
    }
    drawn
}

/// Whether a chunk at `first` lies in blocks before those of `placed`.
fn is_before(first: u64, placed: &Placed) -> bool {
    (first + u64::from(placed.entry.len) - 1) / (BLOCK as u64) < placed.image.start / BLOCK as u64
}

fn from_seed(held: &Held<'_>, placed: &Placed, denied: &[Range<u64>]) -> Option<Origin> {
    let place = held.places.find(&placed.entry)?;
    if Some(place.seed) != held.own {
        return Some(Origin::Seed { seed: place.seed, offset: place.offset });
    }
    let next = denied.partition_point(|range| range.end <= placed.image.start);
    let is_denied = denied.get(next).is_some_and(|range| range.start < placed.image.end);
    (!is_denied || placed.location.is_none()).then_some(Origin::Own { offset: place.offset })
}

fn number(
    numbers: &mut HashMap<(u32, u32), u32>,
    frames: &mut Vec<(u32, FrameRef)>,
    location: &Location,
) -> u32 {
    *numbers.entry((location.pack, location.frame.offset)).or_insert_with(|| {
        frames.push((location.pack, location.frame));
        u32::try_from(frames.len() - 1).expect("frames are counted in memory")
    })
}

fn count(totals: &mut Totals, origin: Origin, len: u64) {
    match origin {
        Origin::Zero => totals.zero += len,
        Origin::Seed { seed, .. } => {
            let seed = usize::from(seed);
            totals.seeds.resize(totals.seeds.len().max(seed + 1), 0);
            totals.seeds[seed] += len;
        }
        Origin::Own { .. } => {}
        Origin::New { .. } => totals.repeated += len,
        Origin::Frame { .. } => totals.missing += len,
    }
}

fn blocks_of(image: &Range<u64>) -> Range<usize> {
    let block = |at: u64| usize::try_from(at / BLOCK as u64).expect("blocks are counted in memory");
    if image.is_empty() { 0..0 } else { block(image.start)..block(image.end - 1) + 1 }
}

fn is_missing(kept: &[bool], image: &Range<u64>) -> bool {
    kept[blocks_of(image)].iter().any(|kept| !kept)
}

/// How many bytes of `image` lie in missing blocks.
fn missing_len(kept: &[bool], image: &Range<u64>) -> u64 {
    let block = BLOCK as u64;
    let missing = blocks_of(image).filter(|number| !kept[*number]);
    missing
        .map(|number| {
            let start = number as u64 * block;
            image.end.min(start + block) - image.start.max(start)
        })
        .sum()
}
