//! Bytes told from what stands near them: several contexts each have an opinion on every half of a byte, and count by
//! how right they were.

use super::{Coder, table};

/// Log2 of the rows for each context. Two contexts may meet in a row: that costs bits, nothing else.
const ROW_BITS: u32 = 11;
const ROWS: usize = 1 << ROW_BITS;

/// A half byte has one of so many values.
pub(crate) const HALVES: usize = 16;

/// Chances are in 32768ths.
pub(crate) const CERTAIN: u16 = 1 << 15;

/// What is known of a half byte in one context: for each value the chance that it is that or less.
type Row = [u16; HALVES];

const LAST: usize = HALVES - 1;

/// All values are equally likely.
const UNKNOWN: Row = {
    let mut row = [CERTAIN - 1; HALVES];
    let (mut at, mut chance) = (0, 0);
    while at < LAST {
        chance += CERTAIN / 16;
        row[at] = chance;
        at += 1;
    }
    row
};

/// Where the count of a row stops.
const LIMIT: u8 = 18;

/// How far chances move, in 65536ths of the error, by how often the row was seen: 1 / (n + 1.5), but at most half.
const STEPS: [i16; 19] = [
    32767, 26214, 18724, 14563, 11915, 10082, 8738, 7710, 6898, 6241, 5698, 5242, 4854, 4519, 4228, 3971,
    3744, 3542, 3360,
];

/// How well known a row is, by how often it was seen.
const LEVELS: [u8; 19] = [0, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3];

/// Weights are in 65536ths. None falls below the lowest, so any context can rise again.
const FIRST_WEIGHT: u16 = 1 << 14;
const LOWEST_WEIGHT: i32 = 256;
const WEIGHT_SHIFT: u32 = 6;

/// How many contexts a byte has. The last says nothing and so is always known.
pub(crate) const CONTEXTS: usize = 4;

/// A model of bytes.
pub(crate) struct Bytes {
    rows: [Box<[Row; ROWS]>; CONTEXTS],
    /// How often each row was seen. Apart from the rows, because they stay in the nearest cache, and rows do not.
    seen: [Box<[u8; ROWS]>; CONTEXTS],
    /// By which half it is, and how well known the rows of all contexts but the last are.
    weights: Box<[[u16; CONTEXTS]; 128]>,
}

impl Bytes {
    pub(crate) fn new() -> Self {
        Self {
            rows: std::array::from_fn(|_| table(UNKNOWN)),
            seen: std::array::from_fn(|_| table(0)),
            weights: table([FIRST_WEIGHT; CONTEXTS]),
        }
    }

    /// Says or hears `byte`. `contexts` are numbers that may tell something of it.
    #[inline]
    pub(crate) fn code<C: Coder>(&mut self, coder: &mut C, contexts: [u32; CONTEXTS - 1], byte: u8) -> u8 {
        let high = self.half(coder, contexts, 0, byte >> 4);
        let low = self.half(coder, contexts, high | 16, byte & 15);
        (high << 4) | low
    }

    /// Says or hears half of a byte. `before` is 0 for the first half, and 16 more than that for the second.
    #[inline]
    fn half<C: Coder>(
        &mut self,
        coder: &mut C,
        [one, two, three]: [u32; CONTEXTS - 1],
        before: u8,
        half: u8,
    ) -> u8 {
        let places = [one, two, three, 0].map(|context| place(context, before));
        let seen: [u8; CONTEXTS] = std::array::from_fn(|number| self.seen[number][places[number]].min(LIMIT));
        let [first, second, third, last] = &mut self.rows;
        let [at, at_two, at_three, at_none] = places;
        let rows = [&mut first[at], &mut second[at_two], &mut third[at_three], &mut last[at_none]];
        let level = |number: usize| usize::from(LEVELS[usize::from(seen[number])]);
        let known = level(0) | level(1) << 2 | level(2) << 4;
        let weights = &mut self.weights[(known | usize::from(before & 16) << 2) & 127];
        let half = coder.half(half, &mix(rows.each_ref().map(|row| &**row), weights));
        weigh(weights, rows.each_ref().map(|row| chance(row, half)));
        for (number, row) in rows.into_iter().enumerate() {
            learn(row, seen[number], half);
            self.seen[number][places[number]] = seen[number] + u8::from(seen[number] < LIMIT);
        }
        half
    }
}

/// The row of a context for the half byte that follows `before`.
#[inline]
fn place(context: u32, before: u8) -> usize {
    let mixed = context.wrapping_add(u32::from(before).wrapping_mul(0x2545_f491)).wrapping_mul(0x9e37_79b1);
    (mixed >> (u32::BITS - ROW_BITS)) as usize
}

/// `chance` times `weight` in 65536ths.
#[inline]
fn part(chance: u16, weight: u16) -> u16 {
    ((u32::from(chance) * u32::from(weight)) >> 16) as u16
}

/// 1 to 16.
const FLOOR: Row = {
    let mut floor = [0; HALVES];
    let (mut at, mut least) = (0, 1);
    while at < HALVES {
        floor[at] = least;
        least += 1;
        at += 1;
    }
    floor
};

/// The chance, for each value but the last, that it is that or less. None is impossible, whatever the rows say.
#[inline]
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "weights that are loaded one by one are multiplied eight chances at a time, those of a copy are not"
)]
fn mix(rows: [&Row; CONTEXTS], weights: &[u16; CONTEXTS]) -> Row {
    let mut mixed = [0_u16; HALVES];
    for (row, weight) in rows.into_iter().zip(weights) {
        mixed = std::array::from_fn(|at| mixed[at].wrapping_add(part(row[at], *weight)));
    }
    std::array::from_fn(|at| {
        let chance = mixed[at].min(CERTAIN - 1);
        chance.wrapping_sub(chance >> 10).wrapping_add(FLOOR[at])
    })
}

/// What a row says of one value.
#[inline]
fn chance(row: &Row, half: u8) -> u16 {
    let half = usize::from(half) & LAST;
    let below = if half == 0 { 0 } else { row[half - 1] };
    row[half].wrapping_sub(below)
}

/// Gives more weight to those that thought what came more likely: each weight moves towards its part in the chance.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "weights are kept within 16 bits"
)]
fn weigh(weights: &mut [u16; CONTEXTS], chances: [u16; CONTEXTS]) {
    let parts: [u32; CONTEXTS] =
        std::array::from_fn(|number| u32::from(part(chances[number], weights[number])).wrapping_add(1));
    let sum = parts[0].wrapping_add(parts[1]).wrapping_add(parts[2]).wrapping_add(parts[3]);
    let inverse = (1 << 26) / sum.max(1);
    *weights = std::array::from_fn(|number| {
        let weight = i32::from(weights[number]);
        let aim = (parts[number].wrapping_mul(inverse) >> 10).cast_signed();
        let ahead = aim.wrapping_sub(weight).wrapping_add(1 << (WEIGHT_SHIFT - 1)) >> WEIGHT_SHIFT;
        weight.wrapping_add(ahead).clamp(LOWEST_WEIGHT, i32::from(u16::MAX)) as u16
    });
}

/// What chances move towards once a half is known: certain from it on, impossible below.
const AIMS: [Row; HALVES] = {
    let mut aims = [[0; HALVES]; HALVES];
    let mut half = 0;
    while half < HALVES {
        let mut value = half;
        while value < HALVES {
            aims[half][value] = CERTAIN - 1;
            value += 1;
        }
        half += 1;
    }
    aims
};

/// Makes `half` more likely in a row that was `seen` so often.
#[inline]
fn learn(row: &mut Row, seen: u8, half: u8) {
    let step = STEPS[usize::from(seen.min(LIMIT))];
    let aims = &AIMS[usize::from(half) & LAST];
    *row = std::array::from_fn(|at| {
        let error = aims[at].wrapping_sub(row[at]).cast_signed();
        let moved = (i32::from(error).wrapping_mul(i32::from(step)) >> 16) as i16;
        row[at].wrapping_add_signed(moved)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coder::{RangeReader, RangeWriter};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_are_heard_as_they_were_said(
            bytes in prop::collection::vec((any::<u8>(), any::<u8>(), 0..3_u32), 0..3000),
        ) {
            // Few values in few contexts, and any values in any: well known rows, and new ones.
            let contexts = |context: u8, spread: u32| [u32::from(context & 1), spread, u32::from(context) << spread];
            let mut writer = RangeWriter::new();
            let mut model = Bytes::new();
            for &(byte, context, spread) in &bytes {
                model.code(&mut writer, contexts(context, spread), byte >> (3 * spread));
            }
            let said = writer.finish();
            let mut reader = RangeReader::new(&said);
            let mut model = Bytes::new();
            for &(byte, context, spread) in &bytes {
                prop_assert_eq!(model.code(&mut reader, contexts(context, spread), 0), byte >> (3 * spread));
            }
            prop_assert!(!reader.overran() && !reader.has_more());
        }

        #[test]
        fn no_half_becomes_impossible(
            halves in prop::collection::vec(0..16_u8, 0..400),
            chances in prop::collection::vec(any::<[u16; CONTEXTS]>(), 0..400),
        ) {
            let mut row = UNKNOWN;
            for (half, seen) in halves.into_iter().zip(0_u16..) {
                learn(&mut row, u8::try_from(seen).unwrap_or(LIMIT), half);
            }
            // Whatever was right, the weights stay about one together.
            let mut weights = [FIRST_WEIGHT; CONTEXTS];
            for chances in chances {
                weigh(&mut weights, chances.map(|chance| chance % CERTAIN));
            }
            let mixed = mix([&row, &row, &UNKNOWN, &row], &weights);
            prop_assert!(mixed.windows(2).all(|pair| pair[0] < pair[1]), "{mixed:?} by {weights:?}");
            prop_assert!(mixed[0] > 0 && mixed[LAST] < CERTAIN);
        }
    }

    #[test]
    fn what_repeats_costs_little() {
        let mut writer = RangeWriter::new();
        let mut model = Bytes::new();
        for at in 0..10_000_u32 {
            model.code(&mut writer, [at % 7, 0, 0], (at % 7).to_le_bytes()[0]);
        }
        let len = writer.finish().len();
        assert!(len < 200, "{len} bytes");
    }
}
