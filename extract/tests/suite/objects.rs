//! Indexes that stay in the store, and of which only parts are fetched.

use std::fs;

use chunk_extract::{Existing, Expected, ExtractError};
use chunk_index::Index;

use crate::images::{blocks, noise};
use crate::store::Store;
use crate::tries::{assert_is, fail, job, run, seed};

/// An image whose index is a few times what is fetched of it at first.
fn large() -> (Store, Vec<u8>) {
    let store = Store::new();
    let image = blocks(0..16);
    store.make("old", &image);
    (store, image)
}

fn index_len(store: &Store, name: &str) -> u64 {
    fs::metadata(store.path().join(format!("{name}.cidx"))).expect("published").len()
}

#[test]
fn an_image_that_is_there_costs_the_front_of_its_index() {
    let (store, image) = large();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let target = directory.path().join("target");
    fs::write(&target, &image).expect("written");
    let source = store.source();
    let report = run(&source, job(&source, "old.cidx", &target, Existing::Keep));
    assert_eq!((report.written, report.index.requests), (0, 1));
    assert!(report.index.bytes < index_len(&store, "old") / 2, "{:?}", report.index);
}

#[test]
fn what_the_seed_tells_of_the_index_is_not_fetched() {
    let (store, mut image) = large();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (old, target) = (directory.path().join("old"), directory.path().join("target"));
    fs::write(&old, &image).expect("written");
    image[9 << 20..(9 << 20) + 10].copy_from_slice(b"overwrites");
    store.make("new", &image);
    let source = store.source();
    let mut with_seed = job(&source, "new.cidx", &target, Existing::Keep);
    with_seed.seeds = vec![seed(&old, Some(store.lists("old")))];
    let report = run(&source, with_seed);
    assert_is(&target, &image);
    assert!(report.index.bytes < index_len(&store, "new") / 2, "{:?}", report.index);
    assert!(report.totals.missing <= 3 * 8192, "{:?}", report.totals);

    fs::remove_file(&target).expect("it was made");
    let report = run(&source, job(&source, "new.cidx", &target, Existing::Keep));
    assert_is(&target, &image);
    assert!(report.index.bytes >= index_len(&store, "new") * 9 / 10, "nothing told of it");
}

#[test]
fn a_pinned_version_is_the_only_one_made() {
    let (store, image) = large();
    let other = store.make("other", &noise(1, 100));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let target = directory.path().join("target");
    let source = store.source();
    for by_object in [true, false] {
        let pinned = |expected| {
            let mut job = if by_object {
                job(&source, "old.cidx", &target, Existing::Keep)
            } else {
                job(&source, store.index("old"), &target, Existing::Keep)
            };
            job.options.expect = Some(Expected(expected));
            job
        };
        let error = fail(pinned(*other.id().as_bytes()));
        assert!(matches!(error, ExtractError::Unexpected { id } if id == store.index("old").id()));
        assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 0, "nothing was made");
        run(&source, pinned(*blake3::hash(&image).as_bytes()));
        fs::remove_file(&target).expect("it was made");
        run(&source, pinned(*store.index("old").id().as_bytes()));
        fs::remove_file(&target).expect("it was made");
    }
}

#[test]
fn an_index_that_is_cut_off_or_changed_anywhere_makes_no_image() {
    let store = Store::new();
    let image = [noise(1, 9000), vec![0; 40_000], noise(2, 5000)].concat();
    store.make("new", &image);
    let path = store.path().join("new.cidx");
    let whole = fs::read(&path).expect("published");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let target = directory.path().join("target");
    let source = store.source();
    let attempt = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("written");
        let by_object = job(&source, "new.cidx", &target, Existing::Keep).run();
        match by_object {
            Err(error) => {
                assert!(matches!(error, ExtractError::Index(_) | ExtractError::Store(_)), "{error:?}");
            }
            // What the record says beside the image may change without notice here: nobody pinned it.
            Ok(_) => assert_is(&target, &image),
        }
        let _ = fs::remove_file(&target);
        let _ = fs::remove_file(directory.path().join("target.part"));
        Index::decode(bytes.to_vec()).is_err()
    };
    for len in 0..whole.len() {
        assert!(attempt(&whole[..len]), "{len} bytes");
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        attempt(&changed);
    }
}
