//! Adaptive numbers: how many bits, then the bits, the highest of them with what was learnt.

use super::{Bit, Coder};

/// A number of up to 64 bits. Small ones and frequent magnitudes are cheap.
#[derive(Clone, Debug)]
pub(crate) struct Number {
    /// A binary tree over the number of significant bits.
    width: [Bit; 128],
    /// For each width, a tree over the three bits below the highest one.
    upper: Box<[[Bit; 8]; 65]>,
}

impl Default for Number {
    fn default() -> Self {
        Self { width: [Bit::default(); 128], upper: Box::new([[Bit::default(); 8]; 65]) }
    }
}

impl Number {
    pub(crate) fn code<C: Coder>(&mut self, coder: &mut C, value: u64) -> u64 {
        let width = u64::BITS - value.leading_zeros();
        let mut node = 1;
        for level in (0..7).rev() {
            let bit = self.width[node].code(coder, (width >> level) & 1 == 1);
            node = 2 * node + usize::from(bit);
        }
        // A reader can be told a width of up to 127: what is beyond 64 reads as 64.
        let width = (node - 128).min(64);
        if width <= 1 {
            return u64::from(width == 1);
        }
        let upper = &mut self.upper[width];
        let mut rest = width - 1;
        let mut said = 1_u64;
        while rest > 0 && said < 8 {
            rest -= 1;
            let node = &mut upper[(said & 7) as usize];
            said = (said << 1) | u64::from(node.code(coder, (value >> rest) & 1 == 1));
        }
        while rest > 0 {
            let count = rest.min(16);
            rest -= count;
            let [a, b, ..] = (value >> rest).to_le_bytes();
            let part = u32::from(u16::from_le_bytes([a, b])) & ((1 << count) - 1);
            said = (said << count) | u64::from(coder.plain(part, u32::try_from(count).expect("at most 16")));
        }
        said
    }
}

/// A number that may be negative.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signed {
    negative: Bit,
    magnitude: Number,
}

impl Signed {
    /// Says or hears `value`, which is taken modulo 2^64.
    pub(crate) fn code<C: Coder>(&mut self, coder: &mut C, value: i64) -> i64 {
        let magnitude = self.magnitude.code(coder, value.unsigned_abs());
        if magnitude == 0 {
            return 0;
        }
        let negative = self.negative.code(coder, value < 0);
        let magnitude = magnitude.cast_signed();
        if negative { magnitude.wrapping_neg() } else { magnitude }
    }
}
