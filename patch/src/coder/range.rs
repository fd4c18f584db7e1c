//! The arithmetic coder itself: carry-propagating, bytewise, 32 bits of range.

use super::Coder;

/// Below this the range is widened by a byte.
const NARROW: u32 = 1 << 24;

/// Bytes the writer's last interval can need: what the reader may find missing, because zeros at the end of a
/// patch are not stored.
const TAIL: usize = 4;

/// Says bits into bytes.
#[derive(Debug)]
pub(crate) struct RangeWriter {
    out: Vec<u8>,
    low: u64,
    range: u32,
    /// The last byte that a carry could still change, once there is one, and the number of `0xff` behind it.
    held: Option<u8>,
    full: usize,
}

impl RangeWriter {
    pub(crate) fn new() -> Self {
        Self { out: Vec::new(), low: 0, range: u32::MAX, held: None, full: 0 }
    }

    #[inline]
    fn widen(&mut self) {
        while self.range < NARROW {
            self.range <<= 8;
            self.shift();
        }
    }

    /// Moves the highest byte of `low` out.
    fn shift(&mut self) {
        let [_, _, _, top, carry, ..] = self.low.to_le_bytes();
        if top == 0xff && carry == 0 {
            self.full += 1;
        } else {
            if let Some(held) = self.held {
                self.out.push(held.wrapping_add(carry));
            }
            let filler = 0xff_u8.wrapping_add(carry);
            self.out.extend(std::iter::repeat_n(filler, self.full));
            self.full = 0;
            self.held = Some(top);
        }
        self.low = (self.low & 0x00ff_ffff) << 8;
    }

    /// The bytes of all that was said. Of all numbers that say it, the one with most zeros at its end; up to [`TAIL`]
    /// zero bytes there are left out.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let end = self.low + u64::from(self.range);
        let rounded =
            (0..32).rev().map(|bits| self.low.next_multiple_of(1 << bits)).find(|&number| number < end);
        self.low = rounded.unwrap_or(self.low);
        for _ in 0..=TAIL {
            self.shift();
        }
        for _ in 0..TAIL {
            if self.out.last() == Some(&0) {
                self.out.pop();
            }
        }
        self.out
    }
}

impl Coder for RangeWriter {
    #[inline]
    fn code(&mut self, bit: bool, chance: u32) -> bool {
        let bound = (self.range >> 12) * chance;
        if bit {
            self.range = bound;
        } else {
            self.low += u64::from(bound);
            self.range -= bound;
        }
        self.widen();
        bit
    }

    fn plain(&mut self, number: u32, count: u32) -> u32 {
        self.range >>= count;
        self.low += u64::from(number) * u64::from(self.range);
        self.widen();
        number
    }
}

/// Hears bits from bytes.
#[derive(Debug)]
pub(crate) struct RangeReader<'a> {
    bytes: &'a [u8],
    taken: usize,
    code: u32,
    range: u32,
}

impl<'a> RangeReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let mut reader = Self { bytes, taken: 0, code: 0, range: u32::MAX };
        for _ in 0..TAIL {
            reader.shift();
        }
        reader
    }

    #[inline]
    fn widen(&mut self) {
        while self.range < NARROW {
            self.range <<= 8;
            self.shift();
        }
    }

    #[inline]
    fn shift(&mut self) {
        let next = self.bytes.get(self.taken).copied().unwrap_or(0);
        self.taken = self.taken.wrapping_add(1);
        self.code = (self.code << 8) | u32::from(next);
    }

    /// Whether more was heard than the bytes can have said.
    pub(crate) fn overran(&self) -> bool {
        self.taken > self.bytes.len().saturating_add(TAIL)
    }

    /// Whether bytes are left that nothing was heard from.
    pub(crate) fn has_more(&self) -> bool {
        self.taken < self.bytes.len()
    }
}

impl Coder for RangeReader<'_> {
    #[inline]
    fn code(&mut self, _: bool, chance: u32) -> bool {
        let bound = (self.range >> 12).wrapping_mul(chance);
        let bit = self.code < bound;
        // No branch: which way it goes is what nobody can foretell.
        let one = u32::from(bit).wrapping_neg();
        self.range = (bound & one) | (self.range.wrapping_sub(bound) & !one);
        self.code = self.code.wrapping_sub(bound & !one);
        self.widen();
        bit
    }

    fn plain(&mut self, _: u32, count: u32) -> u32 {
        self.range >>= count;
        // What the shift cut off belongs to no number; only damage leads there.
        let number = (self.code / self.range).min((1 << count) - 1);
        self.code -= number * self.range;
        self.widen();
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coder::{Number, Signed};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_are_heard_as_they_were_said(bits in prop::collection::vec((any::<bool>(), 1..4096_u32), 0..2000)) {
            let mut writer = RangeWriter::new();
            for &(bit, chance) in &bits {
                writer.code(bit, chance);
            }
            let bytes = writer.finish();
            let mut reader = RangeReader::new(&bytes);
            for &(bit, chance) in &bits {
                prop_assert_eq!(reader.code(false, chance), bit);
            }
            prop_assert!(!reader.overran() && !reader.has_more());
        }

        #[test]
        fn numbers_are_heard_as_they_were_said(
            numbers in prop::collection::vec((any::<u64>(), 0..64_u32, any::<i64>(), 0..64_u32), 0..200),
        ) {
            let mut writer = RangeWriter::new();
            let (mut number, mut signed) = (Number::default(), Signed::default());
            for &(one, by, two, and) in &numbers {
                number.code(&mut writer, one >> by);
                signed.code(&mut writer, two >> and);
            }
            let bytes = writer.finish();
            let mut reader = RangeReader::new(&bytes);
            let (mut number, mut signed) = (Number::default(), Signed::default());
            for &(one, by, two, and) in &numbers {
                prop_assert_eq!(number.code(&mut reader, 0), one >> by);
                prop_assert_eq!(signed.code(&mut reader, 0), two >> and);
            }
            prop_assert!(!reader.overran() && !reader.has_more());
        }
    }

    #[test]
    fn nothing_said_takes_no_byte() {
        assert!(RangeWriter::new().finish().is_empty());
    }
}
