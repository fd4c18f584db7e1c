//! An image that is published again: nothing is written.

use chunk_chunker::image::BLOCK;
use chunk_publisher::{Outcome, annotations};

use crate::images::mixed;
use crate::inputs::random;
use crate::store::{Store, figures, image, stream, wish};

const UNCHANGED: (Outcome, u64, u64, u64, u64) = (Outcome::Unchanged, 0, 0, 0, 0);

#[test]
fn the_same_image_again_is_unchanged_and_nothing_is_written() {
    for bytes in [mixed(1, 3 * BLOCK + 5), Vec::new(), vec![0; 2 * BLOCK]] {
        let store = Store::new();
        let first = store.make(&bytes, &wish("image", Some("a")));
        let before = store.stamps();
        for again in [wish("image", None), wish("image", Some("a"))] {
            let report = store.make(&bytes, &again);
            assert_eq!(figures(&report), UNCHANGED);
            assert_eq!((report.id, report.index_bytes), (first.id, first.index_bytes));
            assert_eq!(report.record, first.record);
        }
        assert_eq!(store.stamps(), before);
        store.assert_whole();
    }
}

#[test]
fn the_same_image_again_by_the_same_publisher_is_unchanged() {
    let store = Store::new();
    let bytes = mixed(2, 2 * BLOCK);
    let mut publisher = store.publisher();
    publisher.make(stream(&bytes), &image(), &()).unwrap();
    let before = store.stamps();
    let again = publisher.make(stream(&bytes), &image(), &()).unwrap();
    assert_eq!(figures(&again), UNCHANGED);
    assert_eq!(store.stamps(), before);
}

#[test]
fn an_older_version_again_by_its_label_is_unchanged() {
    let store = Store::new();
    let [old, new] = [3, 4].map(|seed| mixed(seed, BLOCK + 9));
    store.make(&old, &wish("image", Some("old")));
    store.make(&new, &wish("image", Some("new")));
    let before = store.stamps();
    assert_eq!(figures(&store.make(&old, &wish("image", Some("old")))), UNCHANGED);
    assert_eq!(store.stamps(), before);
    store.assert_newest("image", "new");
}

#[test]
fn an_older_image_again_without_a_label_is_the_next_version() {
    let store = Store::new();
    let [old, new] = [5, 6].map(|seed| mixed(seed, BLOCK + 9));
    store.make(&old, &image());
    store.make(&new, &image());
    let again = store.make(&old, &image());
    assert_eq!(again.outcome, Outcome::Published);
    assert_eq!(again.record.description().release.get(), 3);
    store.assert_newest("image", "3");
    store.assert_holds("image.cidx", &old);
    store.assert_whole();
}

#[test]
fn the_same_image_with_another_description_is_the_next_version() {
    let mut store = Store::new();
    let bytes = mixed(7, BLOCK);
    store.make(&bytes, &image());
    let mut described = image();
    described.annotations = annotations([("arch", "riscv64")]).unwrap();
    let second = store.make(&bytes, &described);
    assert_eq!((second.outcome, second.packs), (Outcome::Published, 0));
    store.options.sha256 = true;
    let third = store.make(&bytes, &described);
    assert_eq!((third.outcome, third.packs), (Outcome::Published, 0));
    assert_eq!(store.make(&bytes, &described).outcome, Outcome::Unchanged);
    assert_eq!(store.indexes().len(), 4);
    store.assert_whole();
}

#[test]
fn the_same_image_in_another_line_stores_next_to_nothing() {
    let store = Store::new();
    let bytes = mixed(8, 2 * BLOCK);
    let first = store.make(&bytes, &wish("one", None));
    let second = store.make(&bytes, &wish("two", None));
    // Of a frame that two batches share, the one that wants less than half stores that again.
    assert!(second.new_bytes * 8 < first.new_bytes, "{} of {}", second.new_bytes, first.new_bytes);
    assert_ne!(first.id, second.id);
    store.assert_holds("two.cidx", &bytes);
}

#[test]
fn an_image_that_another_line_has_stores_nothing_again() {
    let mut store = Store::new();
    store.options.frame_len = 300_000;
    let bytes = random(7, 6_000_000);
    store.make(&bytes, &wish("image", None));
    let report = store.make(&bytes, &wish("other", None));
    assert_eq!(
        (report.outcome, report.new_bytes, report.again_bytes, report.packs),
        (Outcome::Published, 0, 0, 0)
    );
}
