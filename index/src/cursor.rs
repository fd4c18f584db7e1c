//! Reads fields off the front of foreign bytes and knows, for every complaint, where in the file it stands.

use std::ops::Range;

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};

use crate::error::{DecodeError, DecodeErrorKind};

/// FORMAT 4.2, with a limit on what bincode may believe: the longest record. A locator is longer, but is
/// decoded item by item.
type Fixed = Configuration<LittleEndian, Fixint, Limit<65536>>;

/// How record and locator are encoded (FORMAT 4.2).
pub(crate) const FIXED: Fixed =
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<65536>();

/// The length of a slice as the format counts lengths.
pub(crate) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("no address space has more than 64 bits")
}

/// The part of a file's front `bytes` that `range` names.
pub(crate) fn section(bytes: &[u8], range: Range<u64>) -> Result<&[u8], DecodeError> {
    let found = usize::try_from(range.start)
        .ok()
        .zip(usize::try_from(range.end).ok())
        .and_then(|(start, end)| bytes.get(start..end));
    found.ok_or(DecodeError {
        at: length(bytes),
        kind: DecodeErrorKind::Truncated { missing: range.end.saturating_sub(length(bytes)) },
    })
}

/// The unread rest of a part of the file.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    /// File offset of the end of `rest`: the one position that reading does not move.
    end: u64,
}

impl<'a> Cursor<'a> {
    /// A cursor over `bytes`, which start at the file offset `at`.
    pub(crate) fn new(bytes: &'a [u8], at: u64) -> Self {
        let end = at.saturating_add(length(bytes));
        Self { rest: bytes, end }
    }

    /// File offset of the next unread byte.
    pub(crate) fn at(&self) -> u64 {
        self.end.saturating_sub(length(self.rest))
    }

    /// The number of unread bytes.
    pub(crate) fn remaining(&self) -> u64 {
        length(self.rest)
    }

    /// The error `kind`, at the next unread byte.
    pub(crate) fn fail(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { at: self.at(), kind }
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: u64) -> Result<&'a [u8], DecodeError> {
        let split = usize::try_from(count).ok().and_then(|count| self.rest.split_at_checked(count));
        let Some((taken, rest)) = split else {
            return Err(
                self.fail(DecodeErrorKind::Truncated { missing: count.saturating_sub(self.remaining()) })
            );
        };
        self.rest = rest;
        Ok(taken)
    }

    /// The next `count` arrays of `N` bytes.
    pub(crate) fn arrays<const N: usize>(&mut self, count: u64) -> Result<&'a [[u8; N]], DecodeError> {
        let width = u64::try_from(N).expect("an array length has at most 64 bits");
        let (arrays, _) = self.take(count.saturating_mul(width))?.as_chunks::<N>();
        Ok(arrays)
    }

    /// The next varint (FORMAT: its shortest form is the only one accepted).
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        let mut rest = self.rest;
        for shift in (0..64_u32).step_by(7) {
            let Some((&byte, tail)) = rest.split_first() else {
                return Err(DecodeError { at: self.end, kind: DecodeErrorKind::Truncated { missing: 1 } });
            };
            rest = tail;
            // The tenth byte holds the one bit that is left of 64, and nothing may follow it.
            if shift == 63 && byte > 1 {
                return Err(self.fail(DecodeErrorKind::VarintTooLong));
            }
            value |= u64::from(byte & 0x7f).wrapping_shl(shift);
            if byte < 0x80 {
                if byte == 0 && shift > 0 {
                    return Err(self.fail(DecodeErrorKind::VarintNotShortest));
                }
                break;
            }
        }
        self.rest = rest;
        Ok(value)
    }

    /// The next varint, which may be at most `limit`.
    #[inline]
    pub(crate) fn varint_up_to(&mut self, limit: u64, of: &'static str) -> Result<u64, DecodeError> {
        let at_start = self.rest;
        let found = self.varint()?;
        if found > limit {
            self.rest = at_start;
            return Err(self.fail(DecodeErrorKind::Limit { of, limit, found }));
        }
        Ok(found)
    }

    /// The next varint, a count or length from 1 to `limit`.
    #[inline]
    pub(crate) fn varint_from_one(&mut self, limit: u32, of: &'static str) -> Result<u32, DecodeError> {
        let at_start = self.rest;
        let found = self.varint_up_to(u64::from(limit), of)?;
        if found == 0 {
            self.rest = at_start;
            return Err(self.fail(DecodeErrorKind::Zero { of }));
        }
        Ok(u32::try_from(found).expect("it is at most `limit`"))
    }

    /// The next varint, which may have at most 32 bits.
    pub(crate) fn varint_u32(&mut self, of: &'static str) -> Result<u32, DecodeError> {
        let value = self.varint_up_to(u64::from(u32::MAX), of)?;
        Ok(u32::try_from(value).expect("it is at most `u32::MAX`"))
    }

    /// The next field of a record or locator.
    pub(crate) fn field<T: bincode::BorrowDecode<'a, ()>>(&mut self) -> Result<T, DecodeError> {
        match bincode::borrow_decode_from_slice(self.rest, FIXED) {
            Ok((value, used)) => {
                self.rest = self.rest.get(used..).unwrap_or_default();
                Ok(value)
            }
            Err(cause) => Err(self.fail(DecodeErrorKind::from_bincode(&cause))),
        }
    }

    /// The next field of a record or locator, as `accept` takes it. What it refuses is refused at the field.
    pub(crate) fn checked<T: bincode::BorrowDecode<'a, ()>, U>(
        &mut self,
        accept: impl FnOnce(T) -> Result<U, DecodeErrorKind>,
    ) -> Result<U, DecodeError> {
        let start = self.clone();
        accept(self.field()?).map_err(|kind| start.fail(kind))
    }

    /// Succeeds when nothing is left.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            surplus => Err(self.fail(DecodeErrorKind::Surplus { surplus })),
        }
    }
}

/// For [`Cursor::checked`]: lets numbers up to `limit` pass.
pub(crate) fn at_most(limit: u64, of: &'static str) -> impl FnOnce(u64) -> Result<u64, DecodeErrorKind> {
    move |found| {
        let kind = DecodeErrorKind::Limit { of, limit, found };
        (found <= limit).then_some(found).ok_or(kind)
    }
}
