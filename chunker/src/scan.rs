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
            let starts: [Hash; LANES] = array::from_fn(|lane| match lane * lane_len {
                0 => hash,
                start => Hash::START.roll_all(&split[start - (WINDOW - 1)..start]),
            });
            let (strides, _) = split.as_chunks::<STRIDE>();
            let per_lane = lane_len / STRIDE;
            let lanes = array::from_fn(|lane| &strides[lane * per_lane..(lane + 1) * per_lane]);
            let froms = array::from_fn(|lane| from + lane * lane_len);
            for marks in scan_lanes(masks, starts, lanes, froms) {
                self.small.extend(marks.small);
                self.large.extend(marks.large);
            }
            hash = Hash::START.roll_all(&split[split.len() - (WINDOW - 1)..]);
        }
        for (position, &byte) in (from + split.len()..).zip(rest) {
            hash = hash.roll(byte);
            if hash.clears(masks.either) {
                self.add(masks, hash, position);
            }
        }
    }

    /// Outlined, and given only what is already in registers: it runs once in some thousand bytes.
    #[cold]
    #[inline(never)]
    fn add(&mut self, masks: &Masks, hash: Hash, position: usize) {
        let position = u32::try_from(position).expect("scan has checked the length of its data");
        if hash.clears(masks.small) {
            self.small.push(position);
        }
        if hash.clears(masks.large) {
            self.large.push(position);
        }
    }
}

/// Scans lanes of equal length in step.
#[expect(clippy::needless_range_loop, reason = "four lanes are indexed by the same turn and step")]
fn scan_lanes(
    masks: &Masks,
    mut hashes: [Hash; LANES],
    lanes: [&[[u8; STRIDE]]; LANES],
    froms: [usize; LANES],
) -> [Marks; LANES] {
    let mut found: [Marks; LANES] = array::from_fn(|_| Marks::default());
    let either = masks.either;
    let len = lanes[0].len();
    // Said once here, so that no turn has to ask.
    let lanes = lanes.map(|lane| &lane[..len]);
    for turn in 0..len {
        for step in 0..STRIDE {
            for lane in 0..LANES {
                hashes[lane] = hashes[lane].roll(lanes[lane][turn][step]);
                if hashes[lane].clears(either) {
                    found[lane].add(masks, hashes[lane], froms[lane] + turn * STRIDE + step);
                }
            }
        }
    }
    found
}
