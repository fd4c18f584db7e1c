//! Finds, in a part of the image, every position that could become a cut, wherever the chunks may start.
//!
//! A decision depends on the last 48 bytes only. So the positions that clear a mask can be listed without
//! knowing a single cut: parts of the image are scanned independently of each other, and within a part four
//! lanes at once, which keeps the processor busy where one hash would wait for itself. What remains to be done
//! in order, choosing the cuts among the listed positions, is the [`Cutter`](crate::Cutter)'s and takes little.

use std::array;
use std::ops::Range;

use crate::gear::{Hash, WINDOW};
use crate::params::Params;
use crate::search::Rule;
use crate::zero::is_zero;

/// Streams hashed in turn. Two leave the processor waiting, six run out of registers.
const LANES: usize = 4;
/// Bytes of a lane handled in one turn.
const STRIDE: usize = 4;
/// Below this many bytes, splitting into lanes costs more than it gains.
const SMALLEST_SPLIT: usize = 16 * WINDOW * LANES;

/// The positions of a part of the image that clear a mask: see [`scan`].
///
/// Takes four bytes for each position and mask; data made for the purpose can make every position one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates {
    params: Params,
    len: usize,
    marks: Marks,
}

impl Candidates {
    /// The first position that is known, whatever came before the data: its window lies within the data.
    pub(crate) const KNOWN_FROM: usize = WINDOW - 1;

    /// The parameters they were found with.
    pub fn params(&self) -> Params {
        self.params
    }

    /// Length of the data they were found in.
    pub(crate) fn scanned(&self) -> usize {
        self.len
    }

    /// The first position in `range` at which `rule` allows a cut.
    pub(crate) fn first(&self, rule: Rule, range: Range<usize>) -> Option<usize> {
        let marks = match rule {
            Rule::Small => &self.marks.small,
            Rule::Large => &self.marks.large,
        };
        let next = marks.partition_point(|&mark| (mark as usize) < range.start);
        marks.get(next).map(|&mark| mark as usize).filter(|&mark| mark < range.end)
    }
}

/// Lists the positions of `data` at which a chunk that began long enough before could end.
///
/// The first 47 positions are left out: they depend on what comes before `data`.
///
/// # Panics
///
/// If `data` is 4 GiB or longer. Parts of about a block (1 MiB) serve best.
pub fn scan(params: Params, data: &[u8]) -> Candidates {
    assert!(u32::try_from(data.len()).is_ok(), "{} bytes to scan, less than 2^32 expected", data.len());
    let masks = Masks::new(params);
    let mut marks = Marks::default();
    // A window of zeros allows no cut: `gear` asserts it.
    if !is_zero(data)
        && let Some((context, body)) = data.split_at_checked(Candidates::KNOWN_FROM)
    {
        marks.scan(&masks, Hash::START.roll_all(context), body, context.len());
    }
    Candidates { params, len: data.len(), marks }
}

/// The two masks, and a test that both imply.
struct Masks {
    small: u64,
    large: u64,
    /// The bits that both masks want clear. Usually this is `large`, but the masks of FORMAT 2 are not all
    /// nested.
    either: u64,
}

impl Masks {
    fn new(params: Params) -> Self {
        let [small, large] = [Rule::Small, Rule::Large].map(|rule| params.mask(rule));
        Self { small, large, either: small & large }
    }
}

/// Positions in ascending order, for each mask those that clear it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Marks {
    small: Vec<u32>,
    large: Vec<u32>,
}

impl Marks {
    /// Adds the marks of `body`, which starts at position `from` and whose first byte is rolled onto `hash`.
    fn scan(&mut self, masks: &Masks, mut hash: Hash, body: &[u8], from: usize) {
        let lane_len = if body.len() < SMALLEST_SPLIT { 0 } else { body.len() / (LANES * STRIDE) * STRIDE };
        let (split, rest) = body.split_at(lane_len * LANES);
        if !split.is_empty() {
            let hashes = array::from_fn(|lane| match lane * lane_len {
                0 => hash,
                start => Hash::START.roll_all(&split[start - (WINDOW - 1)..start]),
            });
            let (strides, _) = split.as_chunks::<STRIDE>();
            let per_lane = lane_len / STRIDE;
            let strides = array::from_fn(|lane| &strides[lane * per_lane..(lane + 1) * per_lane]);
            for (lane, marks) in (Lanes { hashes, strides }).scan(masks).into_iter().enumerate() {
                let shift = position(from + lane * lane_len);
                self.small.extend(marks.small.into_iter().map(|mark| mark + shift));
                self.large.extend(marks.large.into_iter().map(|mark| mark + shift));
            }
            hash = Hash::START.roll_all(&split[split.len() - (WINDOW - 1)..]);
        }
        for (at, &byte) in (from + split.len()..).zip(rest) {
            hash = hash.roll(byte);
            if hash.clears(masks.either) {
                self.add(masks, hash, position(at));
            }
        }
    }

    fn add(&mut self, masks: &Masks, hash: Hash, position: u32) {
        if hash.clears(masks.small) {
            self.small.push(position);
        }
        if hash.clears(masks.large) {
            self.large.push(position);
        }
    }
}

/// Parts of the data, one behind the other, that are hashed in step.
struct Lanes<'a> {
    hashes: [Hash; LANES],
    strides: [&'a [[u8; STRIDE]]; LANES],
}

impl Lanes<'_> {
    /// The marks of each lane, counted from its start.
    fn scan(mut self, masks: &Masks) -> [Marks; LANES] {
        let mut found: [Marks; LANES] = array::from_fn(|_| Marks::default());
        let mut next = 0;
        while let Some((turn, stop)) = self.run(next, masks.either) {
            // The turn was left in its midst: it is finished here, where time does not matter.
            for place in stop..STRIDE * LANES {
                let (step, lane) = (place / LANES, place % LANES);
                if place > stop {
                    self.hashes[lane] = self.hashes[lane].roll(self.strides[lane][turn][step]);
                }
                if self.hashes[lane].clears(masks.either) {
                    found[lane].add(masks, self.hashes[lane], position(turn * STRIDE + step));
                }
            }
            next = turn + 1;
        }
        found
    }

    /// Hashes from the turn `first` on, up to a byte that clears `mask`: its turn, and its place in that turn.
    ///
    /// This is the loop that everything waits for. It calls nothing, so that all it needs stays in registers.
    #[inline(never)]
    #[expect(clippy::needless_range_loop, reason = "all lanes are indexed by the same turn and step")]
    fn run(&mut self, first: usize, mask: u64) -> Option<(usize, usize)> {
        let mut hashes = self.hashes;
        let len = self.strides[0].len();
        // Said once here, so that no turn has to ask.
        let strides = self.strides.map(|strides| &strides[..len]);
        let mut stop = None;
        'turns: for turn in first..len {
            for step in 0..STRIDE {
                for lane in 0..LANES {
                    hashes[lane] = hashes[lane].roll(strides[lane][turn][step]);
                    if hashes[lane].clears(mask) {
                        stop = Some((turn, step * LANES + lane));
                        break 'turns;
                    }
                }
            }
        }
        self.hashes = hashes;
        stop
    }
}

fn position(index: usize) -> u32 {
    u32::try_from(index).expect("scan has checked the length of its data")
}
