//! An adaptive bit: how often it was one, soon after the start and lately.

use super::Coder;

/// What is known of one bit in one context: the chance of a one in 2^22ths, and how often it was seen, in the low
/// ten bits.
///
/// The n-th time the chance moves by 1/(n + 1.5) of the error, and never by less than 1/(LIMIT + 1.5): quick to learn
/// when little is known, steady later.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bit(u32);

const COUNT: u32 = 0x3ff;

/// Where the count stops.
const LIMIT: u32 = 30;

/// Steps in 65536ths by the number of times seen.
const STEPS: [u32; 32] = {
    let mut steps = [0; 32];
    let mut n = 0;
    while n < 32 {
        steps[n as usize] = 131_072 / (2 * n + 3);
        n += 1;
    }
    steps
};

impl Default for Bit {
    fn default() -> Self {
        Self(1 << 31)
    }
}

impl Bit {
    /// The chance of a one in 4096ths, 1–4095.
    #[inline]
    fn chance(self) -> u32 {
        (self.0 >> 20).clamp(1, 4095)
    }

    #[inline]
    fn learn(&mut self, bit: bool) {
        let count = self.0 & COUNT;
        let chance = self.0 >> 10;
        let step = u64::from(STEPS[(count & 31) as usize]);
        let moved = if bit {
            chance + low_half((u64::from(0x3f_ffff - chance) * step) >> 16)
        } else {
            chance - low_half((u64::from(chance) * step) >> 16)
        };
        self.0 = (moved << 10) | (count + u32::from(count < LIMIT));
    }

    /// Says or hears `bit` and learns it.
    #[inline]
    pub(crate) fn code<C: Coder>(&mut self, coder: &mut C, bit: bool) -> bool {
        let bit = coder.code(bit, self.chance());
        self.learn(bit);
        bit
    }
}

/// The low 32 bits of a number that has no others.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a chance of 22 bits times a step below 1 has 22 bits")]
fn low_half(value: u64) -> u32 {
    value as u32
}
