//! Where the seeds hold which chunks.

use chunk_index::{Entry, ShortName};

/// A place in one of the seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Number of the seed; a lower one is preferred.
    pub(crate) seed: u16,
    /// Offset in the seed.
    pub(crate) offset: u64,
}

/// Bits of a place that hold the offset.
const OFFSET_BITS: u32 = 48;

/// A table of 16 bytes a chunk: sorted by name, read by binary search.
///
/// It selects and does not vouch: chunks of equal short name and of lengths that differ by a multiple of 65536
/// look the same. Whoever reads a chunk checks it.
#[derive(Debug, Default)]
pub(crate) struct Places {
    rows: Vec<(u64, u64)>,
    sorted: bool,
}

impl Places {
    /// Bytes of a chunk in the table.
    pub(crate) const ROW: usize = size_of::<(u64, u64)>();

    /// Notes that the chunk `short` of `len` bytes lies at `place`. Zeros are not noted, nor is a place beyond
    /// what a row holds.
    pub(crate) fn add(&mut self, short: ShortName, len: u32, place: Place) {
        if !short.is_zero() && place.offset >> OFFSET_BITS == 0 {
            self.rows.push((key(short, len), u64::from(place.seed) << OFFSET_BITS | place.offset));
            self.sorted = false;
        }
    }

    /// Makes the table ready to be read. Of several places of a chunk the preferred one is kept.
    pub(crate) fn sort(&mut self) {
        self.rows.sort_unstable();
        self.rows.dedup_by_key(|row| row.0);
        self.rows.shrink_to_fit();
        self.sorted = true;
    }

    /// Where a chunk lies.
    pub(crate) fn find(&self, entry: &Entry) -> Option<Place> {
        debug_assert!(self.sorted || self.rows.is_empty(), "sorted after the last change");
        let key = key(entry.short, entry.len);
        let row = self.rows.binary_search_by_key(&key, |row| row.0).ok()?;
        let place = self.rows[row].1;
        let seed = u16::try_from(place >> OFFSET_BITS).expect("16 bits are left");
        Some(Place { seed, offset: place & ((1 << OFFSET_BITS) - 1) })
    }

    /// How many chunks it knows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes that the table takes in memory.
    pub(crate) fn memory(&self) -> usize {
        self.rows.capacity() * Self::ROW
    }
}

/// Which chunks are looked for: 8 bytes a chunk.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    keys: Vec<u64>,
}

impl Wanted {
    /// Looks for these chunks; zero chunks are nowhere to be found.
    pub(crate) fn of(entries: impl Iterator<Item = Entry>) -> Self {
        let entries = entries.filter(|entry| !entry.short.is_zero());
        let mut keys: Vec<u64> = entries.map(|entry| key(entry.short, entry.len)).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.shrink_to_fit();
        Self { keys }
    }

    /// Whether a chunk is looked for.
    pub(crate) fn has(&self, short: ShortName, len: u32) -> bool {
        self.keys.binary_search(&key(short, len)).is_ok()
    }

    /// Bytes that this takes in memory.
    pub(crate) fn memory(&self) -> usize {
        self.keys.capacity() * size_of::<u64>()
    }

    /// How many chunks are looked for.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

fn key(short: ShortName, len: u32) -> u64 {
    let mut bytes = [0; 8];
    bytes[..ShortName::LEN].copy_from_slice(&short.to_bytes());
    u64::from_le_bytes(bytes) | u64::from(len & 0xffff) << OFFSET_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(short: u8, len: u32) -> Entry {
        Entry { short: ShortName::from_bytes([short; 6]), len, repeats: 0 }
    }

    #[test]
    fn the_first_place_in_the_first_seed_is_found() {
        let mut places = Places::default();
        for (seed, offset) in [(2, 7), (1, 90), (1, 80), (3, 0)] {
            places.add(entry(5, 10).short, 10, Place { seed, offset });
        }
        places.add(entry(6, 10).short, 10, Place { seed: u16::MAX, offset: (1 << 48) - 1 });
        places.sort();
        assert_eq!(places.find(&entry(5, 10)), Some(Place { seed: 1, offset: 80 }));
        assert_eq!(places.find(&entry(6, 10)), Some(Place { seed: u16::MAX, offset: (1 << 48) - 1 }));
        assert_eq!(places.find(&entry(5, 11)), None);
        assert_eq!(places.find(&entry(7, 10)), None);
    }

    #[test]
    fn a_place_beyond_the_table_is_not_noted() {
        let mut places = Places::default();
        places.add(entry(5, 10).short, 10, Place { seed: 0, offset: 1 << 48 });
        places.sort();
        assert_eq!(places.find(&entry(5, 10)), None);
    }
}
