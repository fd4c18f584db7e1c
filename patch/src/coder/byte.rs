//! Bytes told from what stands near them: several contexts each have an opinion on every bit, and a mixer weighs the
//! opinions by how right they were.

use super::logistic::{squash, stretch};
use super::{Bit, Coder};

/// Contexts that are mixed.
pub(crate) const CONTEXTS: usize = 4;

/// Sets of weights that a caller can choose from.
pub(crate) const SETS: usize = 3;

/// Log2 of the groups of 16 slots for each context. Two contexts may meet in a group: that costs bits, nothing else.
const GROUP_BITS: u32 = 14;

/// Steps of a slot's chance are at least 1/(this + 1.5).
const SLOT_LIMIT: u32 = 127;

/// The weight that each context starts with, in 65536ths, and how fast weights move.
const FIRST_WEIGHT: i32 = 22_938;
const RATE: i32 = 10;
const HIGHEST_WEIGHT: i32 = 1 << 20;

/// A model of bytes in [`CONTEXTS`] contexts.
pub(crate) struct Bytes {
    slots: Vec<Bit>,
    weights: Vec<[i32; CONTEXTS]>,
}

impl Bytes {
    pub(crate) fn new() -> Self {
        Self {
            slots: vec![Bit::default(); (CONTEXTS << GROUP_BITS) << 4],
            weights: vec![[FIRST_WEIGHT; CONTEXTS]; SETS * 256],
        }
    }

    /// Says or hears `byte`. `contexts` are numbers that may tell something of it; `set` selects the weights.
    pub(crate) fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        contexts: [u32; CONTEXTS],
        set: usize,
        byte: u8,
    ) -> u8 {
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
            let bit = self.bit(coder, slots, set * 256 + node as usize, (byte >> level) & 1 == 1);
            node = 2 * node + u32::from(bit);
        }
        let [said, ..] = node.to_le_bytes();
        said
    }

    #[inline]
    fn bit<C: Coder>(&mut self, coder: &mut C, slots: [usize; CONTEXTS], weights: usize, bit: bool) -> bool {
        let opinions = slots.map(|slot| stretch(self.slots[slot].chance()));
        let weights = &mut self.weights[weights];
        let sum: i64 = opinions
            .iter()
            .zip(&*weights)
            .map(|(&opinion, &weight)| i64::from(opinion) * i64::from(weight))
            .sum();
        let chance = squash(sum >> 16);
        let bit = coder.code(bit, chance.cast_unsigned());
        let error = ((i32::from(bit) << 12) - chance) * RATE;
        for (weight, opinion) in weights.iter_mut().zip(opinions) {
            *weight = (*weight + ((opinion * error + 0x8000) >> 16)).clamp(-HIGHEST_WEIGHT, HIGHEST_WEIGHT);
        }
        for slot in slots {
            self.slots[slot].learn(bit, SLOT_LIMIT);
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
