//! Reads the base front to back in pieces, with a view of what comes next.

use std::io;

use crate::base::Base;

/// Bytes that are read at once.
const PIECE: u32 = 1 << 16;

/// A moving view of the base.
pub(super) struct Window<'a, B: ?Sized> {
    base: &'a B,
    base_len: u32,
    start: u32,
    bytes: Vec<u8>,
}

impl<'a, B: Base + ?Sized> Window<'a, B> {
    pub(super) fn new(base: &'a B, base_len: u32) -> Self {
        Self { base, base_len, start: 0, bytes: Vec::new() }
    }

    /// The bytes from `at` on: at least `ahead`, but where the base ends.
    pub(super) fn at(&mut self, at: u32, ahead: u32) -> io::Result<&[u8]> {
        let end = self.start as usize + self.bytes.len();
        let wanted = (at as usize + ahead as usize).min(self.base_len as usize);
        if at < self.start || wanted > end {
            let len = self.base_len.saturating_sub(at).min(PIECE.max(ahead));
            self.bytes.resize(len as usize, 0);
            self.base.read_at(u64::from(at), &mut self.bytes)?;
            self.start = at;
        }
        Ok(self.bytes.get((at - self.start) as usize..).unwrap_or_default())
    }

    /// The four bytes at `at` as a number; beyond the base are zeros.
    pub(super) fn word(&mut self, at: u32) -> io::Result<u32> {
        Ok(self.at(at, 4)?.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)))
    }

    /// The eight bytes at `at` as a number; beyond the base are zeros.
    pub(super) fn long(&mut self, at: u32) -> io::Result<u64> {
        Ok(self.at(at, 8)?.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)))
    }
}
