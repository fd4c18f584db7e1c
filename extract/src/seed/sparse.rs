//! Cutting on behind a hole as if its zeros had been read.
//!
//! A scan that starts where a hole ends is out of step with an image that was cut through it, and one that ends where
//! the hole starts misses the chunk that runs into it. Zeros without end are cut into chunks of one length, so where a
//! chunk starts behind any number of them follows from where the first of them starts.

use std::io::{self, Read};
use std::ops::Range;

use chunk_chunker::{Chunks, Params};

use crate::seed::Seed;

/// Largest chunks before the end of an extent from which its last cut is found.
const LEAD_CHUNKS: u64 = 8;

/// The `extents` of `seed`, the rest of which is zeros, each from the cut in the hole before it that a scan of everything
/// would find, to where the chunk of its last byte ends at the latest. Asks `goes_on` between them.
pub(super) fn in_step(
    params: Params,
    seed: &Seed,
    extents: Vec<Range<u64>>,
    goes_on: &dyn Fn() -> bool,
) -> Vec<Range<u64>> {
    let (largest, zeros) = (u64::from(params.max()), u64::from(params.zero_chunk()));
    let mut parts: Vec<Range<u64>> = Vec::with_capacity(extents.len());
    // Where a chunk starts behind which there are only zeros up to the next extent.
    let mut cut = 0;
    for extent in extents {
        if !goes_on() {
            break;
        }
        let start = match extent.start.checked_sub(cut) {
            Some(hole) => cut + hole / zeros * zeros,
            // What lies between is no longer than a chunk.
            None => extent.start,
        };
        let end = extent.end.saturating_add(largest).min(seed.size());
        match parts.last_mut().filter(|last| start <= last.end) {
            Some(last) => last.end = end,
            None => parts.push(start..end),
        }
        let part = parts.last().expect("one was just added");
        cut = last_cut(params, seed, part.start, extent.end).unwrap_or(extent.end);
    }
    parts
}

/// Where the chunk ends that the byte before `end` is in; none if that cannot be read. Zeros follow.
fn last_cut(params: Params, seed: &Seed, start: u64, end: u64) -> Option<u64> {
    let largest = u64::from(params.max());
    let from = end.saturating_sub(LEAD_CHUNKS * largest).max(start);
    let reader = ThenZeros { seed, at: from, end, zeros: largest };
    let mut chunks = Chunks::new(params, reader);
    while let Some(chunk) = chunks.next_chunk().ok()? {
        let cut = from + chunk.offset + chunk.bytes.len() as u64;
        if cut >= end {
            return Some(cut);
        }
    }
    None
}

/// Bytes of a seed, and zeros behind them.
struct ThenZeros<'a> {
    seed: &'a Seed,
    at: u64,
    end: u64,
    zeros: u64,
}

impl Read for ThenZeros<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let is_data = self.at < self.end;
        let left = if is_data { self.end - self.at } else { self.zeros };
        let len = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if is_data {
            self.seed.read(self.at, &mut buffer[..len])?;
            self.at += len as u64;
        } else {
            buffer[..len].fill(0);
            self.zeros -= len as u64;
        }
        Ok(len)
    }
}
