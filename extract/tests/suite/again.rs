//! Wrong bytes of indexes and patches: asked for again, past caches and elsewhere.

use std::ops::Range;

use chunk_extract::{Existing, ExtractError, IndexError, Job};
use chunk_fetch::{FetchError, Source};

use crate::counting::Counting;
use crate::images::noise;
use crate::store::Store;
use crate::tries::{assert_is, fail, job, seed};

/// A source whose answers for some objects have a bit flipped in their middle, unless they are doubted enough.
struct Stale {
    inner: Counting,
    /// What the objects' names contain.
    objects: &'static str,
    /// The doubt from which on answers are right.
    right_from: u32,
}

impl Stale {
    fn spoil(&self, object: &str, doubt: u32, buffer: &mut [u8]) {
        if object.contains(self.objects) && doubt < self.right_from {
            let middle = buffer.len() / 2;
            buffer[middle] ^= 1;
        }
    }
}

impl Source for Stale {
    fn read(&self, object: &str, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), FetchError> {
        self.read_again(object, range, 0, buffer)
    }

    fn read_again(
        &self,
        object: &str,
        range: Range<u64>,
        doubt: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<(), FetchError> {
        self.inner.read(object, range, buffer)?;
        self.spoil(object, doubt, buffer);
        Ok(())
    }

    fn open(&self, object: &str, at_most: u64, buffer: &mut Vec<u8>) -> Result<u64, FetchError> {
        self.open_again(object, at_most, 0, buffer)
    }

    fn open_again(
        &self,
        object: &str,
        at_most: u64,
        doubt: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<u64, FetchError> {
        let len = self.inner.open(object, at_most, buffer)?;
        self.spoil(object, doubt, buffer);
        Ok(len)
    }

    fn locate(&self, object: &str) -> String {
        format!("somewhere/{object}")
    }
}

fn stale(store: &Store, objects: &'static str, right_from: u32) -> Stale {
    Stale { inner: store.source(), objects, right_from }
}

#[test]
fn a_damaged_index_is_asked_for_again_until_it_is_right() {
    let store = Store::new();
    let image = noise(1, 6 << 20);
    store.make("image", &image);
    for right_from in [1, 2, 3] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let target = directory.path().join("target");
        let source = stale(&store, ".cidx", right_from);
        let report = job(&source, "image.cidx", &target, Existing::Keep).run().expect("made");
        assert_eq!(source.inner.bytes(), report.totals.download + report.index.bytes + report.late);
        assert_is(&target, &image);
    }
}

#[test]
fn an_index_that_stays_damaged_is_told_by_its_place() {
    let store = Store::new();
    store.make("image", &noise(1, 6 << 20));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let target = directory.path().join("target");
    let source = stale(&store, ".cidx", u32::MAX);
    match fail(job(&source, "image.cidx", &target, Existing::Keep)) {
        ExtractError::Index(IndexError::Damaged { location, .. }) => {
            assert_eq!(location, "somewhere/image.cidx");
        }
        other => panic!("{other:?}"),
    }
    assert!(!target.exists());
}

#[test]
fn damaged_patches_are_asked_for_again_and_frames_left_alone() {
    let old = noise(1, 4 << 20);
    let mut new = old.clone();
    new.splice(3 << 20..3 << 20, noise(2, 100_000));
    new.splice(1 << 20..1 << 20, noise(3, 100_000));
    let store = Store::new();
    store.make("image", &old);
    store.make_patched("image", &new);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let held = directory.path().join("old");
    std::fs::write(&held, &old).expect("written");
    for right_from in [1, 2, 3] {
        let target = directory.path().join(format!("new{right_from}"));
        let source = stale(&store, "patches/", right_from);
        let job = job(&source, "image.cidx", &target, Existing::Keep);
        let report = Job { seeds: vec![seed(&held, None)], ..job }.run().expect("made");
        assert_eq!(source.inner.pack_requests(), 0, "{report:?}");
        assert!(report.totals.patched > 0 && report.late > 0, "{report:?}");
        assert_eq!(source.inner.bytes(), report.totals.download + report.index.bytes + report.late);
        assert_is(&target, &new);
    }
}
