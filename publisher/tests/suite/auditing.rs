//! What an audit finds: whatever it calls whole is given back byte by byte, and nothing else is.

use std::fs;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use chunk_chunker::image::{BLOCK, BlockHash, Blocks};
use chunk_extract::Reader;
use chunk_fetch::DirectorySource;
use chunk_index::{Description, Index, Location, TreeBuilder};
use chunk_publisher::{VersionDamage, annotations, audit, audit_version};
use chunk_store::line::Version;
use chunk_store::{Backend, Directory, Key, Object, PackName, Upload};

use crate::images::mixed;
use crate::inputs::random;
use crate::store::{Store, image, wish};

/// The ranges of the image that a device would not get, found by asking for each block.
fn unreadable(store: &Store, file_name: &str) -> Vec<Range<u64>> {
    let index = store.index(file_name);
    let blocks = Blocks::of_len(index.record().image_len());
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for block in (0..blocks.count()).map(|number| blocks.range(number)) {
        let mut reader = Reader::new(&index, DirectorySource::new(store.directory.root())).unwrap();
        if reader.copy(block.clone(), &mut Vec::new()).is_err() {
            match ranges.last_mut().filter(|last| last.end == block.start) {
                Some(last) => last.end = block.end,
                None => ranges.push(block),
            }
        }
    }
    ranges
}

/// The ranges that an audit finds damaged in one version.
#[track_caller]
fn damaged(store: &Store, file_name: &str) -> Vec<Range<u64>> {
    let version = Version::from_file_name(file_name).unwrap();
    let mut found = audit_version(&store.directory, version, &()).unwrap();
    match found.damaged_versions.pop() {
        None => Vec::new(),
        Some((_, VersionDamage::Image { ranges })) => ranges,
        Some((_, other)) => panic!("{other:?}"),
    }
}

/// What an index says, to be said otherwise.
struct Words {
    description: Description,
    places: Vec<Option<Location>>,
    hashes: Vec<BlockHash>,
}

/// Puts an index in place that says something else, and is well formed.
fn say(store: &Store, file_name: &str, change: impl FnOnce(&mut Words)) {
    let index: Index<Object> = store.index(file_name);
    let mut words = Words {
        description: index.record().description().clone(),
        places: index.entries().map(|placed| placed.location).collect(),
        hashes: index.block_hashes().collect(),
    };
    change(&mut words);
    let mut tree = TreeBuilder::new(index.record().params());
    let mut leaves = Vec::new();
    for (placed, place) in index.entries().zip(&words.places) {
        let entry = placed.entry;
        tree.push(entry.short, entry.len, entry.repeats + 1, *place, &mut leaves).unwrap();
    }
    let front = tree.finish(words.description, index.locator(), &words.hashes, &mut leaves).unwrap();
    fs::write(store.path(file_name), [front.bytes, leaves].concat()).unwrap();
}

const INDEX: &str = "image@1.cidx";

fn published() -> Store {
    let store = Store::new();
    store.make(&mixed(1, 9 * BLOCK + 77), &image());
    assert!(damaged(&store, INDEX).is_empty());
    store
}

#[test]
fn a_damaged_frame_costs_the_blocks_that_it_reaches_into_and_no_others() {
    let template = published();
    for (number, pack) in template.packs().iter().enumerate() {
        let store = template.copy();
        let mut bytes = store.read(pack);
        let at = [16, 30_000][number % 2];
        bytes[at] ^= 1;
        fs::write(store.path(pack), bytes).unwrap();
        let ranges = damaged(&store, INDEX);
        assert!(!ranges.is_empty() && ranges == unreadable(&store, INDEX), "{pack:?}: {ranges:?}");
        assert!(ranges.iter().map(|range| range.end - range.start).sum::<u64>() < 9 * BLOCK as u64);
    }
}

#[test]
fn a_block_hash_that_the_bytes_do_not_have_is_found() {
    let store = published();
    let loud = store.index(INDEX).record().blocks();
    assert!(loud > 2 && loud < 10, "some blocks are silent");
    say(&store, INDEX, |words| words.hashes[1] = BlockHash::from_bytes([7; 32]));
    let ranges = damaged(&store, INDEX);
    assert_eq!(ranges.iter().map(|range| range.end - range.start).sum::<u64>(), BLOCK as u64);
    assert_eq!(ranges, unreadable(&store, INDEX));
}

#[test]
fn an_image_digest_that_the_blocks_do_not_join_to_is_found() {
    let store = published();
    say(&store, INDEX, |words| words.description.blake3[31] ^= 1);
    let version = Version::from_file_name(INDEX).unwrap();
    let found = audit_version(&store.directory, version, &()).unwrap();
    assert!(matches!(found.damaged_versions[..], [(_, VersionDamage::Digest)]), "{found:?}");
}

#[test]
fn a_place_that_holds_another_chunk_or_another_frame_is_found() {
    type Lie = fn(&mut Location);
    let lies: [Lie; 4] = [
        |place| place.first -= 1,
        |place| place.frame.offset += 1,
        |place| place.frame.stored_len -= 1,
        |place| place.frame.plain_len += 1,
    ];
    for lie in lies {
        let store = published();
        say(&store, INDEX, |words| {
            let place = words.places.iter_mut().flatten().find(|place| place.first > 0 && !place.frame.raw);
            lie(place.expect("a frame of several chunks"));
        });
        let ranges = damaged(&store, INDEX);
        assert!(!ranges.is_empty(), "not found");
        assert!(
            unreadable(&store, INDEX).iter().all(|lost| {
                ranges.iter().any(|range| range.start <= lost.start && lost.end <= range.end)
            })
        );
    }
}

#[test]
fn all_damage_to_an_image_of_one_block_is_found() {
    let store = Store::new();
    store.make(&random(2, 70_000), &image());
    say(&store, INDEX, |words| words.hashes[0] = BlockHash::from_bytes([0; 32]));
    assert_eq!(damaged(&store, INDEX), vec![0..70_000]);
}

#[test]
fn chunks_that_repeat_themselves_over_many_blocks_are_rebuilt() {
    let store = Store::new();
    let bytes = [random(3, 5000), vec![0xff; 5 * BLOCK], random(4, 5000)].concat();
    store.make(&bytes, &image());
    store.assert_holds("image.cidx", &bytes);
    assert!(damaged(&store, INDEX).is_empty());
}

/// A store that counts how often packs are opened.
#[derive(Debug)]
struct Counted<'s> {
    store: &'s Directory,
    opened: AtomicUsize,
}

impl Backend for Counted<'_> {
    fn create(&self) -> io::Result<Box<dyn Upload + '_>> {
        self.store.create()
    }

    fn len(&self, key: &Key) -> io::Result<Option<u64>> {
        self.store.len(key)
    }

    fn read_at(&self, key: &Key, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.store.read_at(key, offset, buffer)
    }

    fn packs(&self) -> io::Result<Vec<(PackName, u64)>> {
        self.store.packs()
    }

    fn indexes(&self) -> io::Result<Vec<Version>> {
        self.store.indexes()
    }

    fn open(&self, key: &Key, limit: u64) -> io::Result<Object> {
        self.opened.fetch_add(usize::from(matches!(key, Key::Pack(_))), Ordering::Relaxed);
        self.store.open(key, limit)
    }
}

#[test]
fn blocks_that_versions_have_from_the_same_places_are_rebuilt_once() {
    let store = Store::new();
    let bytes = random(5, 6 * BLOCK);
    // One thread, for several share blocks as they come, and each opens packs of its own.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let opened = || {
        let counted = Counted { store: &store.directory, opened: AtomicUsize::new(0) };
        assert!(pool.install(|| audit(&counted, &())).unwrap().is_clean());
        counted.opened.into_inner()
    };
    store.make(&bytes, &wish("image", Some("1")));
    let packs = store.packs().len();
    assert!(opened() > packs, "each pack is looked into, and opened again for the image");
    let mut described = wish("image", Some("2"));
    described.annotations = annotations([("arch", "riscv64")]).unwrap();
    let once = opened();
    store.make(&bytes, &described);
    assert_eq!(store.packs().len(), packs);
    assert_eq!(opened(), once);
}
