//! A bit that learns in two bytes of memory, for where there are many.

use super::Coder;

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

    /// Says or hears `bit`, which both slots have an opinion on, and learns it.
    #[inline]
    pub(crate) fn code_both<C: Coder>(&mut self, other: &mut Self, coder: &mut C, bit: bool) -> bool {
        let chance = self.chance().midpoint(other.chance());
        let bit = coder.code(bit, chance.max(1));
        self.learn(bit);
        other.learn(bit);
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
