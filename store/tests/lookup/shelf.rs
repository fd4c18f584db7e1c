//! A store of packs whose content the tests know.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use chunk_chunker::Name;
use chunk_store::pack::{Sealed, Writer};
use chunk_store::{Backend, Compressor, Directory, Frame, Key, Lookup, PackName, Place};
use tempfile::TempDir;

/// Chunks in one frame.
const PER_FRAME: usize = 3;

/// Where a chunk lies, in words that outlive a [`Lookup`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) pack: PackName,
    pub(crate) frame: Frame,
    pub(crate) first: u32,
    pub(crate) len: u32,
}

pub(crate) struct Shelf {
    root: TempDir,
    pub(crate) store: Directory,
    /// Every place of every chunk that was ever stored, whether its pack is still there or not.
    pub(crate) spots: HashMap<Name, Vec<Spot>>,
}

/// The bytes of chunk `number`.
pub(crate) fn chunk(number: u32) -> Vec<u8> {
    number.to_le_bytes().repeat(2 + number as usize % 5)
}

pub(crate) fn name(number: u32) -> Name {
    Name::of(&chunk(number))
}

impl Shelf {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = Directory::open_for_writing(root.path()).unwrap();
        Self { root, store, spots: HashMap::new() }
    }

    /// Writes a pack of these chunks as a publisher does, telling `lookup` while it writes.
    pub(crate) fn write(&mut self, lookup: Option<&mut Lookup>, numbers: &[u32]) -> Sealed {
        let mut compressor = Compressor::new(1).unwrap();
        let mut writer = Writer::new(&self.store).unwrap();
        let mut places: Vec<(Name, Frame, u32, u32)> = Vec::new();
        for numbers in numbers.chunks(PER_FRAME) {
            let plain: Vec<u8> = numbers.iter().flat_map(|number| chunk(*number)).collect();
            let lines: Vec<_> = numbers
                .iter()
                .map(|number| (name(*number), u32::try_from(chunk(*number).len()).unwrap()))
                .collect();
            let (stored, raw) = compressor.compress(plain).unwrap();
            let frame = writer.push(&stored, raw, &lines).unwrap();
            let mut first = 0;
            for (name, len) in lines {
                places.push((name, frame, first, len));
                first += len;
            }
        }
        let sealed = writer.seal().unwrap();
        if let Some(lookup) = lookup {
            let pack = lookup.reserve();
            for &(name, frame, first, len) in &places {
                lookup.insert(name, Place { pack, frame, first, len });
            }
            lookup.seal(pack, sealed.name, sealed.len);
        }
        for (name, frame, first, len) in places {
            self.spots.entry(name).or_default().push(Spot { pack: sealed.name, frame, first, len });
        }
        sealed
    }

    pub(crate) fn open(&self) -> Lookup {
        Lookup::open(&self.store, Some(&self.store.lookup())).unwrap()
    }

    pub(crate) fn open_without_runs(&self) -> Lookup {
        Lookup::open(&self.store, None).unwrap()
    }

    pub(crate) fn pack_path(&self, pack: &PackName) -> PathBuf {
        self.root.path().join(Key::pack(pack).path())
    }

    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.store.lookup()).unwrap().map(|entry| entry.unwrap().path());
        let mut runs: Vec<_> = entries.collect();
        runs.sort();
        runs
    }

    /// What `lookup` says of a chunk. A place that the chunk does not have fails the test.
    pub(crate) fn find(&self, lookup: &Lookup, name: &Name) -> Option<Spot> {
        let spots = self.spots.get(name).map(Vec::as_slice).unwrap_or_default();
        let len = spots.first().map_or(1, |spot| spot.len);
        assert_eq!(lookup.find(name, len + 1), None, "found with a length that it does not have");
        let place = lookup.find(name, len)?;
        let (pack, pack_len) = lookup.pack(place.pack).expect("a place lies in a pack that has a name");
        assert_eq!(self.store.len(&Key::pack(&pack)).unwrap(), Some(pack_len), "the pack is there");
        let spot = Spot { pack, frame: place.frame, first: place.first, len: place.len };
        assert!(spots.contains(&spot), "{name} is said to lie at {spot:?}, it lies at {spots:?}");
        Some(spot)
    }
}
