//! Which chunks of the target lie in the base, and where: of equal chunks, the one nearest to where the copies so far
//! have led.

use std::ops::Range;

use chunk_index::{Entry, ShortName};

use super::parts::{Part, Source, push};

/// Zeros from here on are said to be zeros; shorter runs are copied where the base has zeros too, as parts of longer
/// copies.
const LONG_ZEROS: u64 = 1 << 20;

/// The chunks of the base.
struct Chunks {
    /// In the order of the base: key and offset.
    placed: Vec<(u64, u64)>,
    /// Numbers of `placed`, by key and then offset.
    by_key: Vec<u32>,
    zeros: Vec<Range<u64>>,
}

/// Stands for a chunk: all of its short name, and as much of its length as there is room for.
fn key(entry: &Entry) -> u64 {
    let mut bytes = [0; 8];
    bytes[..ShortName::LEN].copy_from_slice(&entry.short.to_bytes());
    u64::from_le_bytes(bytes) | u64::from(entry.len & 0xffff) << 48
}

impl Chunks {
    fn of(entries: &[Entry]) -> Self {
        let mut chunks = Self { placed: Vec::new(), by_key: Vec::new(), zeros: Vec::new() };
        let mut at = 0;
        for entry in entries {
            let (len, count) = (u64::from(entry.len), entry.repeats + 1);
            if entry.short.is_zero() {
                let run = at..at + len * count;
                match chunks.zeros.last_mut().filter(|last| last.end == at) {
                    Some(last) => last.end = run.end,
                    None => chunks.zeros.push(run),
                }
            } else {
                chunks.placed.extend((0..count).map(|repeat| (key(entry), at + repeat * len)));
            }
            at += len * count;
        }
        // More chunks than 32 bits can count would take 64 GiB here: the rest is not found.
        let count = u32::try_from(chunks.placed.len()).unwrap_or(u32::MAX);
        chunks.by_key = (0..count).collect();
        chunks.by_key.sort_unstable_by_key(|number| chunks.placed[*number as usize]);
        chunks
    }

    /// The number of the chunk of this key that lies nearest to `wanted`.
    fn nearest(&self, key: u64, wanted: u64) -> Option<usize> {
        let chunk = |place: usize| self.placed[self.by_key[place] as usize];
        let behind = self.by_key.partition_point(|number| self.placed[*number as usize] < (key, wanted));
        let candidates = [behind.checked_sub(1), Some(behind).filter(|place| *place < self.by_key.len())];
        let same = candidates.into_iter().flatten().filter(|place| chunk(*place).0 == key);
        let nearest = same.min_by_key(|place| chunk(*place).1.abs_diff(wanted))?;
        Some(self.by_key[nearest] as usize)
    }

    fn are_zeros(&self, range: &Range<u64>) -> bool {
        let number = self.zeros.partition_point(|run| run.end <= range.start);
        self.zeros.get(number).is_some_and(|run| run.start <= range.start && range.end <= run.end)
    }
}

/// The parts of an image of these chunks, as an image of the chunks `base` has them.
pub(super) fn align(base: &[Entry], target: &[Entry]) -> Vec<Part> {
    let chunks = Chunks::of(base);
    let mut parts = Vec::new();
    let mut at = 0;
    // What the last copy says of where the next bytes would lie, and the number of the chunk behind it.
    let mut shift = 0_i64;
    let mut next = 0;
    for entry in target {
        let (len, count) = (u64::from(entry.len), entry.repeats + 1);
        if entry.short.is_zero() {
            let run = at..at + len * count;
            let there = at.saturating_add_signed(shift);
            let copied = run.end - run.start < LONG_ZEROS
                && chunks.are_zeros(&(there..there.saturating_add(run.end - run.start)));
            push(&mut parts, run.clone(), if copied { Source::Copy(there) } else { Source::Zero });
            at = run.end;
            continue;
        }
        let key = key(entry);
        for _ in 0..count {
            let there = at.saturating_add_signed(shift);
            let goes_on = chunks.placed.get(next).is_some_and(|chunk| *chunk == (key, there));
            let found = if goes_on { Some(next) } else { chunks.nearest(key, there) };
            let source = match found {
                Some(number) => {
                    let offset = chunks.placed[number].1;
                    // Images are far shorter than 2^63 bytes.
                    shift = offset.wrapping_sub(at).cast_signed();
                    next = number + 1;
                    Source::Copy(offset)
                }
                None => Source::New,
            };
            push(&mut parts, at..at + len, source);
            at += len;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: u8) -> Entry {
        Entry { short: ShortName::from_bytes([name; 6]), len: 1000 * u32::from(name) + 1, repeats: 0 }
    }

    fn len(names: &[u8]) -> u64 {
        names.iter().map(|name| u64::from(chunk(*name).len)).sum()
    }

    #[test]
    fn of_equal_chunks_the_nearest_is_taken() {
        let base: Vec<_> = [1, 9, 2, 9, 3].map(chunk).to_vec();
        let parts = align(&base, &[2, 9, 3].map(chunk));
        assert_eq!(parts, [Part { target: 0..len(&[2, 9, 3]), source: Source::Copy(len(&[1, 9])) }]);
        let parts = align(&base, &[1, 9, 7, 9].map(chunk));
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[2].source, Source::Copy(len(&[1, 9, 2])));
    }

    #[test]
    fn short_zeros_that_the_base_has_too_are_part_of_the_copy() {
        let zeros = Entry { short: ShortName::ZERO, len: 500, repeats: 3 };
        let base = [chunk(1), zeros, chunk(2)];
        let parts = align(&base, &base);
        assert_eq!(parts, [Part { target: 0..len(&[1, 2]) + 2000, source: Source::Copy(0) }]);
        let parts = align(&base, &[chunk(1), Entry { repeats: 4, ..zeros }, chunk(2)]);
        assert_eq!(parts[1], Part { target: len(&[1])..len(&[1]) + 2500, source: Source::Zero });
    }
}
