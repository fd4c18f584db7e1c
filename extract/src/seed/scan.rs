//! Which chunks a seed holds: cut and named on all cores.
//!
//! The seed is scanned in units, each by one thread. Content-defined cuts find back into step within a few
//! chunks, so a unit starts a little before its first byte and tells only of the chunks that start within it.
//! Zeros are cut by their length alone: what follows those that run from one unit into the next is cut again, once it is
//! known where they began. What cannot be read is left out, and the scan starts anew behind it.

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
        self.cut_behind_zeros(seed, &units, &mut done);
        let (mut found, mut unreadable) = (Vec::new(), Vec::new());
        for (_, scanned) in done {
            found.extend(scanned.found);
            unreadable.extend(scanned.unreadable);
        }
        (found, unreadable)
    }

    /// Brings units that began among zeros into step with those that these zeros began in.
    fn cut_behind_zeros(&self, seed: &Seed, units: &[Unit], done: &mut [(usize, Scanned)]) {
        let zero_chunk = u64::from(self.params.zero_chunk());
        // The cut behind which there are only zeros up to the unit's start, and the unit that follows.
        let (mut cut, mut next) = (None, 0);
        for (number, scanned) in done {
            let unit = &units[*number];
            cut = cut.filter(|_| *number == next && unit.range.start > unit.extent.start);
            next = *number + 1;
            let off = |from: u64| cut.filter(|cut| !from.abs_diff(*cut).is_multiple_of(zero_chunk));
            let before = scanned.zeros_from.filter(|from| *from < unit.range.start);
            if let Some((cut, end)) = scanned.zeros_until.and_then(|(from, end)| Some((off(from)?, end))) {
                let start = cut + end.saturating_sub(cut) / zero_chunk * zero_chunk;
                let lead = LEAD_CHUNKS * u64::from(self.params.max());
                let range = start.max(unit.range.start)..start.saturating_add(lead).min(unit.range.end);
                let again = self.unit(seed, &Unit { range: range.clone(), extent: start..unit.extent.end });
                scanned.found.retain(|found| found.offset >= range.end);
                scanned.found.splice(..0, again.found);
                if range.end == unit.range.end {
                    scanned.zeros_from = again.zeros_from;
                }
            } else if before.and_then(off).is_some() {
                // Zeros throughout, which nobody looks for by their place.
                scanned.found.clear();
            }
            cut = scanned.zeros_from.map(|from| cut.filter(|_| before.is_some()).unwrap_or(from));
        }
    }

    fn unit(&self, seed: &Seed, unit: &Unit) -> Scanned {
        let largest = u64::from(self.params.max());
        let end = unit.range.end.saturating_add(largest).min(unit.extent.end);
        let mut at = unit.range.start.saturating_sub(LEAD_CHUNKS * largest).max(unit.extent.start);
        let mut scanned = Scanned::default();
        while at < unit.range.end {
            let start = at;
            scanned.zeros_from = None;
            let mut reader = Reach { seed, at: &mut at, end, error: None };
            let mut chunks = Chunks::new(self.params, &mut reader);
            // It never fails: a reader ends where it cannot read, so what lies before is cut all the same.
            while let Ok(Some(chunk)) = chunks.next_chunk() {
                let offset = start + chunk.offset;
                if offset >= unit.range.end {
                    return scanned;
                }
                let is_zero = is_zero(chunk.bytes);
                scanned.note_zeros(unit, offset, chunk.bytes, is_zero);
                if offset >= unit.range.start {
                    let short = if is_zero { ShortName::ZERO } else { ShortName::of(&Name::of(chunk.bytes)) };
                    let len = u32::try_from(chunk.bytes.len()).expect("chunks are small");
                    if (self.wanted)(short, len) {
                        scanned.found.push(Found { offset, short, len });
                    }
                }
            }
            let Some(error) = reader.error else { break };
            let from = at;
            at = next_readable(seed, at, end);
            if unit.range.contains(&from) {
                scanned.unreadable.push(Unreadable { range: from..at, error });
                scanned.zeros_from = None;
            }
        }
        scanned
    }
}

/// What came of a unit.
#[derive(Default)]
struct Scanned {
    found: Vec<Found>,
    unreadable: Vec<Unreadable>,
    /// The first cut of the zeros that it ends with, if it does.
    zeros_from: Option<u64>,
    /// The first cut of the zeros that run over its start, if they do and end in it, and where they end.
    zeros_until: Option<(u64, u64)>,
}

impl Scanned {
    fn note_zeros(&mut self, unit: &Unit, offset: u64, bytes: &[u8], is_zero: bool) {
        if is_zero {
            self.zeros_from.get_or_insert(offset);
            return;
        }
        let end = offset + bytes.iter().take_while(|byte| **byte == 0).count() as u64;
        let from = self.zeros_from.take().filter(|from| *from < unit.range.start);
        if let Some(from) = from.filter(|_| offset + bytes.len() as u64 > unit.range.start) {
            self.zeros_until.get_or_insert((from, end));
        }
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
    use std::os::unix::fs::FileExt;
    use std::sync::Arc;

    use chunk_testing::Numbers;

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
    fn chunks_behind_zeros_are_those_of_one_pass_wherever_units_meet() {
        let noise = noise(44 << 20);
        let mut numbers = Numbers::from_seed(Numbers::seed_or(1));
        for case in 0..6 {
            let mut bytes = noise.clone();
            let mut holes = Vec::new();
            for unit in [UNIT, 2 * UNIT] {
                let [before, behind] = [6 << 20, 11 << 20].map(|most| numbers.below(most));
                let [before, behind] = [before, behind].map(|len| usize::try_from(len).expect("small"));
                let middle = usize::try_from(unit).expect("small");
                holes.push(middle - before..middle + behind);
            }
            if case == 0 {
                // Over all of a unit.
                holes.truncate(1);
                holes[0] = (15 << 20) + 77..(33 << 20) + 7;
            }
            let sparse = tempfile::tempfile().expect("a temporary file");
            sparse.set_len(bytes.len() as u64).expect("a hole");
            let mut at = 0;
            for hole in holes {
                bytes[hole.clone()].fill(0);
                sparse.write_all_at(&bytes[at..hole.start], at as u64).expect("written");
                at = hole.end;
            }
            sparse.write_all_at(&bytes[at..], at as u64).expect("written");
            let mut whole = Vec::new();
            let mut chunks = Chunks::new(Params::DEFAULT, bytes.as_slice());
            while let Some(chunk) = chunks.next_chunk().expect("in memory") {
                if !is_zero(chunk.bytes) {
                    whole.push((chunk.offset, chunk.bytes.len()));
                }
            }
            let loud = |seed: &Seed| -> Vec<(u64, usize)> {
                let found = run(seed, 2).into_iter().filter(|found| !found.short.is_zero());
                found.map(|found| (found.offset, found.len as usize)).collect()
            };
            let (_file, dense) = seed(&bytes);
            assert!(loud(&dense) == whole, "case {case}, dense");
            let sparse = Seed::window("seed".into(), Window::of(Arc::new(sparse), None).expect("open"));
            assert!(loud(&sparse) == whole, "case {case}, sparse");
        }
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
