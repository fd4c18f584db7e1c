//! Varints, and signed numbers as varints: 0, -1, 1, -2, 2 and so on are 0, 1, 2, 3, 4.

#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use super::error::PatchError;

/// Appends a varint.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [byte, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(byte & 0x7f);
            return;
        }
        out.push(byte | 0x80);
    }
}

/// Appends a signed number.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, value.wrapping_shl(1).cast_unsigned() ^ value.wrapping_shr(63).cast_unsigned());
}

/// Numbers one after the other.
#[derive(Debug)]
pub(super) struct Numbers<'a> {
    rest: &'a [u8],
    /// What of the script is being read.
    part: &'static str,
}

impl<'a> Numbers<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, part: "script" }
    }

    /// Says what comes next.
    pub(super) fn enter(&mut self, part: &'static str) {
        self.part = part;
    }

    pub(super) fn refuse(&self, rule: &'static str) -> PatchError {
        PatchError::Rule { part: self.part, rule }
    }

    /// The next number.
    pub(super) fn next(&mut self) -> Result<u64, PatchError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or_else(|| self.refuse("it ends too early"))?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            if bits.wrapping_shl(shift).wrapping_shr(shift) != bits {
                return Err(self.refuse("numbers have at most 64 bits"));
            }
            value |= bits.wrapping_shl(shift);
            if byte & 0x80 == 0 {
                if bits == 0 && shift > 0 {
                    return Err(self.refuse("numbers have their shortest form"));
                }
                return Ok(value);
            }
        }
        Err(self.refuse("numbers have at most 64 bits"))
    }

    /// The next signed number.
    pub(super) fn next_signed(&mut self) -> Result<i64, PatchError> {
        let value = self.next()?;
        Ok(value.wrapping_shr(1).cast_signed() ^ (value & 1).cast_signed().wrapping_neg())
    }

    /// The next number, a count of items of at least one byte each: never above the bytes that are left.
    pub(super) fn next_count(&mut self) -> Result<usize, PatchError> {
        let count = self.next()?;
        let count = usize::try_from(count).ok().filter(|count| *count <= self.rest.len());
        count.ok_or_else(|| self.refuse("there are as many items as it says"))
    }

    /// The next `count` numbers.
    pub(super) fn column(&mut self, count: usize) -> Result<Vec<u64>, PatchError> {
        (0..count).map(|_| self.next()).collect()
    }

    /// The next `count` bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], PatchError> {
        let (bytes, rest) =
            self.rest.split_at_checked(count).ok_or_else(|| self.refuse("it ends too early"))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Succeeds when nothing is left.
    pub(super) fn finish(self) -> Result<(), PatchError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.refuse("nothing follows it")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_as_they_were_written() {
        let values = [0, 1, 127, 128, 300, u64::MAX >> 1, u64::MAX];
        let mut bytes = Vec::new();
        for value in values {
            put(&mut bytes, value);
        }
        let signed = [0, 1, -1, 63, -64, 64, i64::MAX, i64::MIN];
        for value in signed {
            put_signed(&mut bytes, value);
        }
        let mut numbers = Numbers::new(&bytes);
        assert_eq!(numbers.column(values.len()).expect("numbers"), values);
        for value in signed {
            assert_eq!(numbers.next_signed().expect("a number"), value);
        }
        numbers.finish().expect("nothing is left");
    }

    #[test]
    fn numbers_in_another_form_are_refused() {
        for bytes in [
            &[0x80, 0][..],
            &[0xff; 10],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
            &[0x80],
            &[],
        ] {
            assert!(Numbers::new(bytes).next().is_err(), "{bytes:?}");
        }
        assert!(Numbers::new(&[3, 0, 0]).next_count().is_err());
    }
}
