//! Which chunks a seed holds: cut and named on all cores.
//!
//! The seed is scanned in units, each by one thread. Content-defined cuts find back into step within a few
//! chunks, so a unit starts a little before its first byte and tells only of the chunks that start within it.
//! What cannot be read is left out, and the scan starts anew behind it.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use chunk_chunker::{Chunks, Name, Params, is_zero};
use chunk_index::ShortName;

use crate::seed::{SECTOR, Seed};

use super::sparse::in_step;

/// Bytes of a unit.
const UNIT: u64 = 16 << 20;
/// Largest chunks read before a unit to get into step.
const LEAD_CHUNKS: u64 = 8;
/// Pieces in a row that fail one by one before larger steps are taken.
const PATIENCE: u32 = 64;
/// Largest step over what cannot be read.
const STRIDE: u64 = 1 << 20;

/// A chunk of a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where it lies.
    pub(crate) offset: u64,
    /// Its short name.
    pub(crate) short: ShortName,
    /// Its length.
    pub(crate) len: u32,
}

/// Bytes of a seed that could not be read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// Where.
    pub(crate) range: Range<u64>,
    /// The first error met there.
    pub(crate) error: io::Error,
}

/// How to scan.
pub(crate) struct Scan<'a> {
    /// How the image was cut.
    pub(crate) params: Params,
    /// Threads to use.
    pub(crate) threads: usize,
    /// Which chunks are worth telling of.
    pub(crate) wanted: &'a (dyn Fn(ShortName, u32) -> bool + Sync),
    /// Called with bytes done; returns whether to go on.
    pub(crate) progress: &'a (dyn Fn(u64) -> bool + Sync),
}

impl std::fmt::Debug for Scan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan").field("params", &self.params).field("threads", &self.threads).finish()
    }
}

impl Scan<'_> {
    /// The wanted chunks in `seed` but for long holes, and what was unreadable.
    pub(crate) fn run_all(&self, seed: &Seed) -> (Vec<Found>, Vec<Unreadable>) {
        let extents = seed.extents();
        match seed.as_window() {
            Some(_) => self.run(seed, in_step(self.params, seed, extents, &|| (self.progress)(0))),
            None => self.run(seed, extents),
        }
    }

    /// The wanted chunks in `parts` of `seed`, which ascend, and what was unreadable.
    pub(crate) fn run(&self, seed: &Seed, parts: Vec<Range<u64>>) -> (Vec<Found>, Vec<Unreadable>) {
        let units: Vec<Unit> = parts.into_iter().flat_map(Unit::of_extent).collect();
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::with_capacity(units.len()));
        thread::scope(|scope| {
            for _ in 0..self.threads.clamp(1, units.len().max(1)) {
                scope.spawn(|| {
                    while let Some((number, unit)) = {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        units.get(number).map(|unit| (number, unit))
                    } {
                        let result = self.unit(seed, unit);
                        done.lock().expect("no scan panics").push((number, result));
                        if !(self.progress)(unit.range.end - unit.range.start) {
                            next.store(units.len(), Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let mut done = done.into_inner().expect("no scan panics");
        done.sort_unstable_by_key(|(number, _)| *number);
        let (mut found, mut unreadable) = (Vec::new(), Vec::new());
        for (_, (chunks, gaps)) in done {
            found.extend(chunks);
            unreadable.extend(gaps);
        }
        (found, unreadable)
    }

    fn unit(&self, seed: &Seed, unit: &Unit) -> (Vec<Found>, Vec<Unreadable>) {
        let largest = u64::from(self.params.max());
        let end = unit.range.end.saturating_add(largest).min(unit.extent.end);
        let mut at = unit.range.start.saturating_sub(LEAD_CHUNKS * largest).max(unit.extent.start);
        let (mut found, mut unreadable) = (Vec::new(), Vec::new());
        while at < unit.range.end {
            let start = at;
            let mut reader = Reach { seed, at: &mut at, end, error: None };
            let mut chunks = Chunks::new(self.params, &mut reader);
            // It never fails: a reader ends where it cannot read, so what lies before is cut all the same.
            while let Ok(Some(chunk)) = chunks.next_chunk() {
                let offset = start + chunk.offset;
                if offset >= unit.range.end {
                    return (found, unreadable);
                }
                if offset >= unit.range.start {
                    let short = if is_zero(chunk.bytes) {
                        ShortName::ZERO
                    } else {
                        ShortName::of(&Name::of(chunk.bytes))
                    };
                    let len = u32::try_from(chunk.bytes.len()).expect("chunks are small");
                    if (self.wanted)(short, len) {
                        found.push(Found { offset, short, len });
                    }
                }
            }
            let Some(error) = reader.error else { break };
            let from = at;
            at = next_readable(seed, at, end);
            if unit.range.contains(&from) {
                unreadable.push(Unreadable { range: from..at, error });
            }
        }
        (found, unreadable)
    }
}

/// Part of an extent, for one thread.
struct Unit {
    extent: Range<u64>,
    range: Range<u64>,
}

impl Unit {
    fn of_extent(extent: Range<u64>) -> impl Iterator<Item = Self> {
        let count = (extent.end - extent.start).div_ceil(UNIT);
        (0..count).map(move |number| {
            let start = extent.start + number * UNIT;
            Self { range: start..(start + UNIT).min(extent.end), extent: extent.clone() }
        })
    }
}

/// Where the next sector begins that can be read.
fn next_readable(seed: &Seed, from: u64, end: u64) -> u64 {
    let mut at = from;
    let mut failures = 0;
    let mut step = SECTOR;
    while at < end {
        let next = (at / SECTOR * SECTOR).saturating_add(step).min(end);
        let len = usize::try_from((end - at).min(SECTOR)).expect("a sector is small");
        // The first sector is the one that failed.
        if failures > 0 && seed.read_near_error(at, &mut vec![0; len]).is_ok() {
            break;
        }
        failures += 1;
        if failures > PATIENCE {
            step = (step * 2).min(STRIDE);
        }
        at = next;
    }
    at
}

/// Reads a seed as a stream up to what cannot be read, with its position where the caller sees it.
struct Reach<'a> {
    seed: &'a Seed,
    at: &'a mut u64,
    end: u64,
    /// Why it ended before its time.
    error: Option<io::Error>,
}

impl Read for Reach<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end - *self.at;
        let len = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if len == 0 {
            // Nothing more is wanted, and what lies behind may be nothing at all.
            return Ok(0);
        }
        let mut result = self.seed.read(*self.at, &mut buffer[..len]).map(|()| len);
        if result.is_err() {
            // Sector by sector up to the one that fails.
            let sector = usize::try_from(SECTOR - *self.at % SECTOR).expect("a sector is small").min(len);
            result = self.seed.read_near_error(*self.at, &mut buffer[..sector]).map(|()| sector);
        }
        match result {
            Ok(len) => {
                *self.at += len as u64;
                Ok(len)
            }
            Err(error) => {
                self.error = Some(error);
                Ok(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::seed::Window;

    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(b"scan").finalize_xof().fill(&mut bytes);
        bytes
    }

    fn seed(bytes: &[u8]) -> (tempfile::NamedTempFile, Seed) {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(bytes).expect("written");
        let seed = Seed::window("seed".into(), Window::open(file.path(), None).expect("open"));
        (file, seed)
    }

    fn run(seed: &Seed, threads: usize) -> Vec<Found> {
        let scan = Scan { params: Params::DEFAULT, threads, wanted: &|_, _| true, progress: &|_| true };
        scan.run_all(seed).0
    }

    #[test]
    fn units_tell_of_the_same_chunks_as_one_pass() {
        let bytes = noise(40 << 20);
        let (_file, seed) = seed(&bytes);
        let mut whole = Vec::new();
        let mut chunks = Chunks::new(Params::DEFAULT, bytes.as_slice());
        while let Some(chunk) = chunks.next_chunk().expect("in memory") {
            let len = u32::try_from(chunk.bytes.len()).expect("small");
            whole.push(Found { offset: chunk.offset, short: ShortName::of(&Name::of(chunk.bytes)), len });
        }
        assert!(run(&seed, 1) == whole, "one thread");
        assert!(run(&seed, 3) == whole, "three threads");
    }

    #[test]
    fn zeros_are_told_as_zeros() {
        let (_file, seed) = seed(&vec![0; 1 << 20]);
        let found = run(&seed, 2);
        assert_eq!(found.len(), 32);
        assert!(found.iter().all(|found| found.short.is_zero() && found.len == 32768));
    }

    #[test]
    fn a_cancelled_scan_ends_early() {
        let (_file, seed) = seed(&noise(40 << 20));
        let scan = Scan { params: Params::DEFAULT, threads: 1, wanted: &|_, _| true, progress: &|_| false };
        let (found, _) = scan.run_all(&seed);
        assert!(found.iter().all(|found| found.offset < UNIT));
    }
}
