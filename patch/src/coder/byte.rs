//! Bytes told from what stands near them: several contexts each have an opinion on every bit, and a mixer weighs the
//! opinions by how right they were.

use super::Coder;
use super::logistic::{squash, stretch};

/// Contexts that are mixed.
pub(crate) const CONTEXTS: usize = 3;

/// Log2 of the groups of 16 slots for each context. Two contexts may meet in a group: that costs bits, nothing else.
const GROUP_BITS: u32 = 14;

/// The weight that each context starts with, in 65536ths, and how fast weights move.
const FIRST_WEIGHT: i32 = 28_000;
const RATE: i32 = 14;
const HIGHEST_WEIGHT: i32 = (1 << 20) - 1;

/// A model of bytes in [`CONTEXTS`] contexts.
pub(crate) struct Bytes {
    slots: Vec<Slot>,
    weights: Vec<[i32; CONTEXTS]>,
}

impl Bytes {
    pub(crate) fn new() -> Self {
        Self {
            slots: vec![Slot::default(); (CONTEXTS << GROUP_BITS) << 4],
            weights: vec![[FIRST_WEIGHT; CONTEXTS]; 256],
        }
    }

    /// Says or hears `byte`. `contexts` are numbers that may tell something of it.
    pub(crate) fn code<C: Coder>(&mut self, coder: &mut C, contexts: [u32; CONTEXTS], byte: u8) -> u8 {
        let mut node = 1_u32;
        let mut groups = groups(contexts, 0);
        for level in (0..8).rev() {
            if level == 3 {
                groups = self::groups(contexts, node);
            }
            // A group holds the tree of one half of the byte.
            let depth = if level < 4 { 3 - level } else { 7 - level };
            let within = (1 << depth) | (node & ((1 << depth) - 1));
            let slots = groups.map(|group| group + within as usize);
            let bit = self.bit(coder, slots, node as usize, (byte >> level) & 1 == 1);
            node = 2 * node + u32::from(bit);
        }
        let [said, ..] = node.to_le_bytes();
        said
    }

    #[inline]
    fn bit<C: Coder>(&mut self, coder: &mut C, slots: [usize; CONTEXTS], weights: usize, bit: bool) -> bool {
        let opinions = slots.map(|slot| stretch(self.slots[slot].chance()));
        let weights = &mut self.weights[weights];
        let mut sum = 0_i32;
        for (opinion, weight) in opinions.iter().zip(&*weights) {
            sum = sum.wrapping_add(opinion.wrapping_mul(*weight) >> 8);
        }
        let chance = squash(sum >> 8);
        let bit = coder.code(bit, chance.cast_unsigned());
        let error = ((i32::from(bit) << 12).wrapping_sub(chance)).wrapping_mul(RATE);
        for (weight, opinion) in weights.iter_mut().zip(opinions) {
            let moved = weight.wrapping_add(opinion.wrapping_mul(error).wrapping_add(0x8000) >> 16);
            *weight = moved.clamp(-HIGHEST_WEIGHT, HIGHEST_WEIGHT);
        }
        for slot in slots {
            self.slots[slot].learn(bit);
        }
        bit
    }
}

/// The first slot of each context's group for the half byte that follows `node`.
#[inline]
fn groups(contexts: [u32; CONTEXTS], node: u32) -> [usize; CONTEXTS] {
    let mut number = 0;
    contexts.map(|context| {
        let mixed = context.wrapping_add(node.wrapping_mul(0x2545_f491)).wrapping_mul(0x9e37_79b1);
        let group = (number << GROUP_BITS) + (mixed >> (32 - GROUP_BITS)) as usize;
        number += 1;
        group << 4
    })
}

/// The chance of a one in one context: 12 bits of chance, and in the low 4 bits how often it was seen.
#[derive(Clone, Copy, Debug)]
struct Slot(u16);

/// How far a chance moves, in 4096ths of the error, by how often the slot was seen.
///
/// 4096 / (n + 1.5), rounded down.
const STEPS: [i32; 16] = [2730, 1638, 1170, 910, 744, 630, 546, 481, 431, 390, 356, 327, 303, 282, 264, 248];

impl Default for Slot {
    fn default() -> Self {
        Self(1 << 15)
    }
}

impl Slot {
    #[inline]
    fn chance(self) -> u32 {
        u32::from(self.0 >> 4)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a chance moves towards 0 or 4095 and never beyond")]
    fn learn(&mut self, bit: bool) {
        let seen = self.0 & 15;
        let chance = i32::from(self.0 >> 4);
        let error = (i32::from(bit) << 12) - i32::from(bit) - chance;
        let chance = chance + ((error * STEPS[usize::from(seen)]) >> 12);
        self.0 = (chance.cast_unsigned() << 4) as u16 | (seen + u16::from(seen < 15));
    }
}
