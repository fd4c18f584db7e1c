//! Packs that are lost: making the image again stores what is missing.

use std::fs;

use chunk_chunker::image::BLOCK;
use chunk_publisher::{Outcome, audit};

use crate::images::mixed;
use crate::inputs::random;
use crate::store::{Store, image, wish};

/// Removes a file, or cuts it short.
fn lose(store: &Store, path: &std::path::Path, left: Option<u64>) {
    let path = store.path(path);
    match left {
        Some(len) => fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap(),
        None => fs::remove_file(path).unwrap(),
    }
}

fn remove_runs(store: &Store) {
    for file in store.files().iter().filter(|file| file.starts_with("lookup")) {
        fs::remove_file(store.path(file)).unwrap();
    }
}

#[test]
fn a_lost_pack_is_stored_again_by_the_same_image() {
    let bytes = random(1, 2 * BLOCK / 3);
    let template = Store::new();
    let first = template.make(&bytes, &image());
    assert_eq!(template.packs().len(), 3);
    for pack in template.packs() {
        let len = template.read(&pack).len() as u64;
        for (left, has_runs) in
            [(None, true), (None, false), (Some(0), true), (Some(len / 2), false), (Some(len - 1), true)]
        {
            let store = template.copy();
            lose(&store, &pack, left);
            if !has_runs {
                remove_runs(&store);
            }
            assert!(!audit(&store.directory, &()).unwrap().damaged_versions.is_empty());
            let report = store.make(&bytes, &image());
            assert_eq!((report.outcome, report.id), (Outcome::Mended, first.id));
            assert!((1..=len * 3).contains(&report.pack_bytes), "{} bytes for {len}", report.pack_bytes);
            store.assert_newest("image", "1");
            store.assert_holds("image.cidx", &bytes);
            assert_eq!(store.make(&bytes, &image()).outcome, Outcome::Unchanged);
            if left.is_none() {
                store.assert_whole();
            }
        }
    }
}

#[test]
fn a_store_without_any_pack_gets_them_all_back() {
    let bytes = mixed(2, 3 * BLOCK);
    let store = Store::new();
    store.make(&bytes, &image());
    let whole = store.published();
    for pack in store.packs() {
        lose(&store, &pack, None);
    }
    assert_eq!(store.make(&bytes, &image()).outcome, Outcome::Mended);
    assert_eq!(store.published(), whole);
    store.assert_whole();
}

#[test]
fn an_older_version_is_mended_by_its_label_and_the_newest_stays() {
    let [old, new] = [3, 4].map(|seed| random(seed, 2 * BLOCK));
    let store = Store::new();
    store.make(&old, &image());
    let lost = store.packs();
    store.make(&new, &image());
    let newest = store.read("image.cidx");
    for pack in lost {
        lose(&store, &pack, None);
    }
    assert_eq!(store.make(&old, &wish("image", Some("1"))).outcome, Outcome::Mended);
    assert_eq!(store.read("image.cidx"), newest);
    store.assert_holds("image@1.cidx", &old);
    store.assert_whole();
}

#[test]
fn a_version_whose_two_indexes_lead_to_other_packs_is_mended_under_both_names() {
    // A publisher died between the two steps of mending: the label leads to packs that are there, the newest
    // index to those that are lost.
    let bytes = random(5, 2 * BLOCK);
    let mut store = Store::new();
    store.make(&bytes, &image());
    let stale = store.read("image.cidx");
    for pack in store.packs() {
        lose(&store, &pack, None);
    }
    store.options.frame_len *= 2;
    store.make(&bytes, &image());
    for label in [None, Some("1")] {
        fs::write(store.path("image.cidx"), &stale).unwrap();
        assert!(!audit(&store.directory, &()).unwrap().is_clean());
        store.make(&bytes, &wish("image", label));
        store.assert_newest("image", "1");
        store.assert_whole();
    }
}

#[test]
fn a_version_made_while_packs_are_missing_has_all_it_needs() {
    let first = mixed(6, 3 * BLOCK);
    let mut second = first.clone();
    second[BLOCK..BLOCK + 100].fill(3);
    let store = Store::new();
    store.make(&first, &image());
    lose(&store, &store.packs()[0], None);
    store.make(&second, &image());
    store.assert_holds("image.cidx", &second);
    let found = audit(&store.directory, &()).unwrap();
    assert!(found.damaged_packs.is_empty());
    assert!(found.damaged_versions.iter().all(|(version, _)| version.file_name() == "image@1.cidx"));
}
