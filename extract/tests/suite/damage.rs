//! Stores that are damaged, and servers that give wrong bytes.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use chunk_extract::{Existing, ExtractError, IndexError, ReadError};
use chunk_fetch::{FetchError, FetchErrorKind, Source};
use chunk_store::{Key, PackName};

use crate::counting::Counting;
use crate::images::{blocks, noise};
use crate::store::Store;
use crate::tries::{assert_is, fail, job, part_of, run};

/// The packs of a store, in the order of their names.
fn packs(store: &Store) -> Vec<PathBuf> {
    let entries = fs::read_dir(store.path().join("packs")).expect("a store");
    let mut packs: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    packs.sort();
    packs
}

/// Damages a pack and tries to make the image, in so many requests; then mends the pack and makes it.
fn mean(store: &Store, pack: &Path, most: u64, damage: impl FnOnce(&mut Vec<u8>)) -> ExtractError {
    let whole = fs::read(pack).expect("a pack");
    let mut damaged = whole.clone();
    damage(&mut damaged);
    fs::write(pack, damaged).expect("written");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let target = directory.path().join("target");
    let source = store.source();
    let error = fail(job(&source, store.index("new"), &target, Existing::Keep));
    assert!(!target.exists(), "no image is half there");
    assert!(source.requests() < most, "{} requests", source.requests());
    fs::write(pack, whole).expect("written");
    let fresh = store.source();
    let report = run(&fresh, job(&fresh, store.index("new"), &target, Existing::Keep));
    assert_eq!(report.late, 0, "the store is whole again");
    assert_is(&target, &fs::read(store.path().join("image")).expect("kept for comparison"));
    error
}

/// A store of one image of 2 MiB in at least two packs.
fn store() -> Store {
    let store = Store::new();
    let image = blocks(0..2);
    store.make("new", &image);
    fs::write(store.path().join("image"), image).expect("written");
    assert!(packs(&store).len() > 1);
    store
}

#[test]
fn a_flipped_bit_in_a_pack_is_found_and_nothing_wrong_is_written() {
    let store = store();
    for pack in packs(&store) {
        let len = fs::metadata(&pack).expect("a pack").len();
        for part in 1..6 {
            let at = usize::try_from(len * part / 8).expect("small");
            // Those planned, and four for the frame; not one for each of its chunks, nor for other frames.
            match mean(&store, &pack, 30, |bytes| bytes[at] ^= 0x10) {
                ExtractError::Store(
                    ReadError::Frame { object, range, .. } | ReadError::Chunk { object, range, .. },
                ) => {
                    assert!(pack.ends_with(&object), "{object}");
                    assert!(range.contains(&(at as u64)), "byte {at} in {range:?}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_pack_that_ends_early_or_is_empty_is_told_as_short() {
    let store = store();
    let pack = packs(&store).remove(0);
    for len in [0, 1, 100_000] {
        match mean(&store, &pack, 10, |bytes| bytes.truncate(len)) {
            ExtractError::Store(ReadError::Fetch(error)) => {
                assert!(matches!(error.kind, FetchErrorKind::Short), "{error:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_pack_in_the_place_of_another_is_no_source_of_bytes() {
    let store = store();
    let packs = packs(&store);
    let other = fs::read(&packs[1]).expect("a pack");
    // Four for each frame of the blocks that are worked at.
    let error = mean(&store, &packs[0], 2 * 4 * 34, |bytes| {
        let len = bytes.len();
        *bytes = other;
        bytes.resize(len, 0);
    });
    assert!(matches!(error, ExtractError::Store(ReadError::Frame { .. } | ReadError::Chunk { .. })));
}

#[test]
fn a_missing_pack_is_told_by_its_name() {
    let store = store();
    let pack = packs(&store).remove(0);
    let hidden = pack.with_extension("hidden");
    fs::rename(&pack, &hidden).expect("renamed");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let target = directory.path().join("target");
    let source = store.source();
    match fail(job(&source, store.index("new"), &target, Existing::Keep)) {
        ExtractError::Store(ReadError::Fetch(error)) => {
            assert!(matches!(error.kind, FetchErrorKind::Missing), "{error:?}");
            assert!(error.location.ends_with(pack.file_name().expect("a name").to_str().expect("ASCII")));
        }
        other => panic!("{other:?}"),
    }
    assert!(!target.exists());
}

#[test]
fn what_was_written_before_the_damage_was_met_is_not_fetched_again() {
    let store = Store::new();
    let image = blocks(0..6);
    store.make("new", &image);
    let index = store.index("new");
    let last = index.entries().last().expect("an entry").location.expect("not zeros").pack;
    let name = index.locator().pack(last).expect("listed").name;
    let pack = store.path().join(Key::pack(&PackName::from_bytes(name)).path());
    let whole = fs::read(&pack).expect("a pack");
    fs::write(&pack, vec![0xee; whole.len()]).expect("written");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let target = directory.path().join("target");
    let source = store.source();
    fail(job(&source, store.index("new"), &target, Existing::Keep));
    assert!(part_of(&target).exists(), "what was written stays");
    fs::write(&pack, whole).expect("written");
    let report = run(&source, job(&source, index, &target, Existing::Keep));
    assert!(report.totals.kept >= 2 << 20, "{report:?}");
    assert_is(&target, &image);
}

#[test]
fn wrong_answers_are_asked_for_again_and_the_right_ones_used() {
    let store = Store::new();
    let image = [blocks(0..1), vec![0; 300_000], noise(7, 500_000)].concat();
    store.make("new", &image);
    for wrong in [1, 2, 3] {
        let source = Counting::lying(store.path(), wrong);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let target = directory.path().join("target");
        let report = run(&source, job(&source, store.index("new"), &target, Existing::Keep));
        assert!(report.late > 0, "something was asked for again: {report:?}");
        assert_is(&target, &image);
    }
}

/// A source one of whose reads fails.
struct Hiccup {
    inner: Counting,
    /// Reads before that one.
    left: AtomicU64,
}

impl Hiccup {
    fn at(store: &Store, before: u64) -> Self {
        Self { inner: store.source(), left: AtomicU64::new(before) }
    }

    fn read_or_fail(&self, object: &str) -> Result<(), FetchError> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            0 => Err(FetchError {
                location: object.to_owned(),
                range: 0..0,
                kind: FetchErrorKind::Io(io::Error::from_raw_os_error(5)),
            }),
            _ => Ok(()),
        }
    }
}

impl Source for Hiccup {
    fn read(&self, object: &str, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), FetchError> {
        self.read_or_fail(object)?;
        self.inner.read(object, range, buffer)
    }

    fn open(&self, object: &str, at_most: u64, buffer: &mut Vec<u8>) -> Result<u64, FetchError> {
        self.read_or_fail(object)?;
        self.inner.open(object, at_most, buffer)
    }
}

#[test]
fn a_read_that_fails_once_is_told_as_what_it_is_and_remembered_by_nobody() {
    let store = store();
    let image = fs::read(store.path().join("image")).expect("kept for comparison");
    for before in 0.. {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let target = directory.path().join("target");
        let source = Hiccup::at(&store, before);
        let by_name = || job(&source, "new.cidx", &target, Existing::Keep);
        match by_name().run() {
            Ok(_) => {
                assert!(before > 2, "each of the reads has failed once: {before}");
                break;
            }
            Err(
                ExtractError::Index(IndexError::Fetch(error)) | ExtractError::Store(ReadError::Fetch(error)),
            ) => assert!(matches!(error.kind, FetchErrorKind::Io(_)), "read {before}: {error:?}"),
            Err(error) => panic!("read {before}: {error:?}"),
        }
        assert!(!target.exists(), "read {before}");
        by_name().run().expect("it is over");
        assert_is(&target, &image);
    }
}
