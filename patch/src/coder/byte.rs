//! Bytes told from what stands near them: several contexts each have an opinion on every bit, and a mixer weighs the
//! opinions by how right they were.

use super::Coder;
use super::logistic::{squash, stretch};

/// Contexts that are mixed.
pub(crate) const CONTEXTS: usize = 3;

/// Log2 of the groups of 16 slots for each context. Two contexts may meet in a group: that costs bits, nothing else.
const GROUP_BITS: u32 = 12;

/// The weight that each context starts with, in 65536ths, and how fast weights move.
const FIRST_WEIGHT: i32 = 28_000;
const RATE: i32 = 14;
const HIGHEST_WEIGHT: i32 = (1 << 20) - 1;

/// The tree of one half of a byte.
type Group = [Slot; 16];

/// A model of bytes in [`CONTEXTS`] contexts.
pub(crate) struct Bytes {
    groups: [Vec<Group>; CONTEXTS],
    weights: Box<[[i32; CONTEXTS]; 512]>,
}

impl Bytes {
    pub(crate) fn new() -> Self {
        let groups = || vec![[Slot::default(); 16]; 1 << GROUP_BITS];
        Self { groups: [groups(), groups(), groups()], weights: Box::new([[FIRST_WEIGHT; CONTEXTS]; 512]) }
    }

    /// Says or hears `byte`. `contexts` are numbers that may tell something of it.
    pub(crate) fn code<C: Coder>(&mut self, coder: &mut C, contexts: [u32; CONTEXTS], byte: u8) -> u8 {
        let high = self.half(coder, contexts, 0, byte >> 4);
        let low = self.half(coder, contexts, high, byte & 15);
        (high << 4) | (low & 15)
    }

    /// Says or hears half of a byte. `before` is 0 for the first half, and for the second the first with a one in front.
    /// Returns the half with a one in front.
    #[inline]
    fn half<C: Coder>(&mut self, coder: &mut C, contexts: [u32; CONTEXTS], before: u8, half: u8) -> u8 {
        let [first, second, third] = &mut self.groups;
        let [one, two, three] = contexts.map(|context| group(context, before));
        let mut groups = [&mut first[one], &mut second[two], &mut third[three]];
        let mut node = 1_u8;
        for level in (0..4).rev() {
            let at = usize::from(node & 15);
            let opinions = [0, 1, 2].map(|context: usize| stretch(groups[context][at].chance()));
            let weights =
                &mut self.weights[usize::from((before & 15) << 4 | node) ^ usize::from(before & 16) << 4];
            let chance = mix(opinions, weights);
            let bit = coder.code((half >> level) & 1 == 1, chance.cast_unsigned());
            adjust(weights, opinions, ((i32::from(bit) << 12) - chance).wrapping_mul(RATE));
            for group in &mut groups {
                group[at].learn(bit);
            }
            node = node << 1 | u8::from(bit);
        }
        node
    }
}

/// The chance that follows from what each context says, by how much it is trusted.
#[inline]
fn mix(opinions: [i32; CONTEXTS], weights: &[i32; CONTEXTS]) -> i32 {
    let weighed = |number: usize| opinions[number].wrapping_mul(weights[number]) >> 8;
    squash(weighed(0).wrapping_add(weighed(1)).wrapping_add(weighed(2)) >> 8)
}

/// Trusts those more that were right.
#[inline]
fn adjust(weights: &mut [i32; CONTEXTS], opinions: [i32; CONTEXTS], error: i32) {
    for (weight, opinion) in weights.iter_mut().zip(opinions) {
        let moved = weight.wrapping_add(opinion.wrapping_mul(error).wrapping_add(0x8000) >> 16);
        *weight = moved.clamp(-HIGHEST_WEIGHT, HIGHEST_WEIGHT);
    }
}

/// The group of a context for the half byte that follows `before`.
#[inline]
fn group(context: u32, before: u8) -> usize {
    let mixed = context.wrapping_add(u32::from(before).wrapping_mul(0x2545_f491)).wrapping_mul(0x9e37_79b1);
    (mixed >> (32 - GROUP_BITS)) as usize
}

/// The chance of a one in one context: 12 bits of chance, and in the low 4 bits how often it was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot(u16);

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

    /// Says or hears `bit` and learns it.
    #[inline]
    pub(crate) fn code<C: Coder>(&mut self, coder: &mut C, bit: bool) -> bool {
        let bit = coder.code(bit, self.chance().max(1));
        self.learn(bit);
        bit
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
