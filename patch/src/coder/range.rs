//! The arithmetic coder itself: carry-propagating, four bytes at a time, 64 bits of range.

use super::Coder;
use super::byte::{CERTAIN, HALVES};

/// Below this the range is widened by four bytes. Whatever was said last leaves more than nothing of it, so one time
/// is enough.
const NARROW: u64 = 1 << 32;

/// Log2 of [`CERTAIN`].
const CERTAIN_BITS: u32 = CERTAIN.ilog2();

/// The last value of a half.
const LAST: u8 = 15;

/// The chance that it is less than the half `at`, and that it is that or less.
#[inline]
fn bounds(up_to: &[u16; HALVES], at: usize) -> (u16, u16) {
    let below = if at == 0 { 0 } else { up_to[at - 1] };
    let above = if at == usize::from(LAST) { CERTAIN } else { up_to[at] };
    (below, above)
}

/// Bytes the writer's last interval can need: what the reader may find missing, because zeros at the end of a
/// patch are not stored.
const TAIL: usize = 8;

/// Says bits into bytes.
#[derive(Debug)]
pub(crate) struct RangeWriter {
    out: Vec<u8>,
    low: u64,
    range: u64,
}

impl RangeWriter {
    pub(crate) fn new() -> Self {
        Self { out: Vec::new(), low: 0, range: u64::MAX }
    }

    /// Moves the interval up; a carry goes on through the bytes that are out already.
    #[inline]
    fn add(&mut self, ahead: u64) {
        let (low, carries) = self.low.overflowing_add(ahead);
        self.low = low;
        if carries {
            for byte in self.out.iter_mut().rev() {
                *byte = byte.wrapping_add(1);
                if *byte != 0 {
                    break;
                }
            }
        }
    }

    #[inline]
    fn widen(&mut self) {
        if self.range < NARROW {
            self.range <<= 32;
            let [.., a, b, c, d] = self.low.to_le_bytes();
            self.out.extend([d, c, b, a]);
            self.low <<= 32;
        }
    }

    /// The bytes of all that was said. Of all numbers that say it, the one with most zeros at its end; up to [`TAIL`]
    /// zero bytes there are left out.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let to_round = |bits: u32| self.low.wrapping_neg() & ((1 << bits) - 1);
        let ahead = (0..u64::BITS).rev().map(to_round).find(|&ahead| ahead < self.range);
        self.add(ahead.unwrap_or(0));
        self.out.extend(self.low.to_le_bytes().iter().rev());
        for _ in 0..TAIL {
            if self.out.last() == Some(&0) {
                self.out.pop();
            }
        }
        self.out
    }
}

impl Coder for RangeWriter {
    const HEARS: bool = false;

    #[inline]
    fn code(&mut self, bit: bool, chance: u32) -> bool {
        let bound = (self.range >> 12) * u64::from(chance);
        if bit {
            self.range = bound;
        } else {
            self.add(bound);
            self.range -= bound;
        }
        self.widen();
        bit
    }

    fn half(&mut self, half: u8, up_to: &[u16; HALVES]) -> u8 {
        let unit = self.range >> CERTAIN_BITS;
        let at = usize::from(half) % HALVES;
        let (below, above) = bounds(up_to, at);
        self.add(u64::from(below) * unit);
        self.range = u64::from(above - below) * unit;
        self.widen();
        half
    }

    fn plain(&mut self, number: u32, count: u32) -> u32 {
        self.range >>= count;
        self.add(u64::from(number) * self.range);
        self.widen();
        number
    }
}

/// Hears bits from bytes.
#[derive(Debug)]
pub(crate) struct RangeReader<'a> {
    bytes: &'a [u8],
    taken: usize,
    code: u64,
    range: u64,
}

impl<'a> RangeReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let mut reader = Self { bytes, taken: 0, code: 0, range: u64::MAX };
        reader.shift();
        reader.shift();
        reader
    }

    #[inline]
    fn widen(&mut self) {
        if self.range < NARROW {
            self.range <<= 32;
            self.shift();
        }
    }

    #[inline]
    fn shift(&mut self) {
        let next = match self.bytes.get(self.taken..).and_then(<[u8]>::first_chunk) {
            Some(next) => u32::from_le_bytes(*next).swap_bytes(),
            None => self.rest(),
        };
        self.taken = self.taken.wrapping_add(4);
        self.code = (self.code << 32) | u64::from(next);
    }

    /// The last bytes; behind the end are zeros.
    #[cold]
    fn rest(&self) -> u32 {
        let mut next = [0; 4];
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        next.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        u32::from_le_bytes(next).swap_bytes()
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
    const HEARS: bool = true;

    #[inline]
    fn code(&mut self, _: bool, chance: u32) -> bool {
        let bound = (self.range >> 12).wrapping_mul(u64::from(chance));
        let bit = self.code < bound;
        // No branch: which way it goes is what nobody can foretell.
        let one = u64::from(bit).wrapping_neg();
        self.range = (bound & one) | (self.range.wrapping_sub(bound) & !one);
        self.code = self.code.wrapping_sub(bound & !one);
        self.widen();
        bit
    }

    #[inline]
    fn half(&mut self, _: u8, up_to: &[u16; HALVES]) -> u8 {
        let unit = self.range >> CERTAIN_BITS;
        // What lies behind the last unit belongs to no value; only damage leads there. No value but the last reaches to
        // the last two units, so numbers with a sign, which processors compare more at a time, tell it all.
        let found = i16::try_from(self.code / unit).map_or(i16::MAX - 1, |found| found.min(i16::MAX - 1));
        let beyond: [i16; HALVES] = std::array::from_fn(|at| i16::from(up_to[at].cast_signed() <= found));
        let half = beyond.iter().fold(0_i16, |half, &beyond| half.wrapping_add(beyond));
        let half = half.to_le_bytes()[0].min(LAST);
        let (below, above) = bounds(up_to, usize::from(half));
        self.code = self.code.wrapping_sub(u64::from(below).wrapping_mul(unit));
        self.range = u64::from(above.wrapping_sub(below)).wrapping_mul(unit);
        self.widen();
        half
    }

    fn plain(&mut self, _: u32, count: u32) -> u32 {
        self.range >>= count;
        // What the shift cut off belongs to no number; only damage leads there.
        let number = (self.code / self.range).min((1 << count) - 1);
        self.code -= number * self.range;
        self.widen();
        u32::try_from(number).expect("a number of at most 16 bits")
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
