//! Versions that were lost: publishing their images again restores them, and never makes one the newest unasked.

use std::fs;
use std::num::NonZeroU64;

use chunk_chunker::image::BLOCK;
use chunk_publisher::{MakeError, Outcome, Report, Wish};

use crate::images::mixed;
use crate::inputs::random;
use crate::store::{Store, stream, wish};

fn release(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).unwrap()
}

/// A wish for a label and a release.
fn as_release(label: &str, number: u64) -> Wish {
    Wish { release: Some(release(number)), ..wish("image", Some(label)) }
}

fn bytes(version: u64) -> Vec<u8> {
    mixed(version, BLOCK + 9999)
}

/// A line with these labels, and then without the version of the first.
fn without_first(labels: [&str; 3]) -> Store {
    let store = Store::new();
    for (version, label) in (1..).zip(labels) {
        store.make(&bytes(version), &wish("image", Some(label)));
    }
    let index = format!("image@{}.cidx", labels[0]);
    fs::remove_file(store.path(index)).unwrap();
    store
}

#[track_caller]
fn assert_perhaps_lost(result: Result<Report, MakeError>, path: &str, number: u64) {
    match result {
        Err(MakeError::PerhapsLost { key, missing }) => {
            assert_eq!((key.path(), missing), (path.to_owned(), release(number)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lost_version_is_not_published_as_the_newest_unasked() {
    for labels in [["1.0", "1.1", "1.2"], ["1", "2", "3"]] {
        let store = without_first(labels);
        let before = store.stamps();
        let path = format!("image@{}.cidx", labels[0]);
        assert_perhaps_lost(store.try_make(stream(&bytes(1)), &wish("image", Some(labels[0]))), &path, 1);
        assert_eq!(store.stamps(), before);
    }
}

#[test]
fn a_lost_version_is_restored_byte_by_byte_below_the_newest() {
    for (label, wish) in
        [("1.0", as_release("1.0", 1)), ("1", Wish { release: Some(release(1)), ..wish("image", None) })]
    {
        let whole = Store::new();
        let store = without_first([label, "1.1", "1.2"]);
        for (version, label) in (1..).zip([label, "1.1", "1.2"]) {
            whole.make(&bytes(version), &crate::store::wish("image", Some(label)));
        }
        assert_eq!(store.make(&bytes(1), &wish).outcome, Outcome::Restored);
        assert!(store.published() == whole.published());
        assert_eq!(store.make(&bytes(1), &wish).outcome, Outcome::Unchanged);
        store.assert_newest("image", "1.2");
        store.assert_whole();
    }
}

#[test]
fn a_lost_version_can_be_published_as_the_newest_on_purpose() {
    let store = without_first(["1.0", "1.1", "1.2"]);
    let report = store.make(&bytes(1), &as_release("1.0", 4));
    assert_eq!((report.outcome, report.new_chunks), (Outcome::Published, 0));
    store.assert_newest("image", "1.0");
    store.assert_whole();
}

#[test]
fn a_numbered_version_that_lost_its_packs_too_is_not_published_as_the_newest_unasked() {
    let store = without_first(["1", "2", "3"]);
    for pack in store.packs() {
        fs::remove_file(store.path(pack)).unwrap();
    }
    assert_perhaps_lost(store.try_make(stream(&bytes(1)), &wish("image", Some("1"))), "image@1.cidx", 1);
    assert_eq!(store.make(&bytes(1), &as_release("1", 1)).outcome, Outcome::Restored);
    store.assert_holds("image@1.cidx", &bytes(1));
    store.assert_newest("image", "3");
}

#[test]
fn a_line_that_lacks_versions_goes_on() {
    let store = without_first(["1.0", "1.1", "1.2"]);
    // New bytes are no lost version, and neither is an image that another version is.
    for (number, label, bytes) in
        [(4, "1.3", &random(4, BLOCK)), (5, "1.4", &bytes(2)), (6, "1.5", &bytes(2))]
    {
        let report = store.make(bytes, &wish("image", Some(label)));
        assert_eq!(report.record.description().release, release(number));
        store.assert_newest("image", label);
    }
    store.assert_whole();
}

#[test]
fn a_whole_line_takes_an_image_of_known_chunks_as_its_next_version() {
    let store = Store::new();
    store.make(&bytes(1), &wish("image", Some("a")));
    store.make(&[bytes(1), bytes(2)].concat(), &wish("image", Some("b")));
    store.make(&bytes(1), &wish("image", Some("c")));
    store.assert_newest("image", "c");
}

#[test]
fn a_release_that_a_version_has_is_not_given_to_another() {
    let store = without_first(["1.0", "1.1", "1.2"]);
    for (number, path) in [(2, "image@1.1.cidx"), (3, "image@1.2.cidx")] {
        match store.try_make(stream(&bytes(1)), &as_release("1.0", number)) {
            Err(MakeError::ReleaseTaken { key, .. }) => assert_eq!(key.path(), path),
            other => panic!("{other:?}"),
        }
    }
    // The newest version's release is known although its label is lost.
    fs::remove_file(store.path("image@1.2.cidx")).unwrap();
    assert!(matches!(
        store.try_make(stream(&bytes(1)), &as_release("1.0", 3)),
        Err(MakeError::ReleaseTaken { .. })
    ));
}

#[test]
fn a_release_is_not_given_away_while_a_damaged_version_may_have_it() {
    let store = without_first(["1.0", "1.1", "1.2"]);
    let index = store.read("image@1.1.cidx");
    for left in [0, 47, 100, index.len() - 1] {
        fs::write(store.path("image@1.1.cidx"), &index[..left]).unwrap();
        let made = store.try_make(stream(&bytes(1)), &as_release("1.0", 1));
        // The head says which release it is, as long as there is a head.
        let has_head = left == index.len() - 1;
        match made {
            Err(MakeError::Index { key, .. }) if !has_head => assert_eq!(key.path(), "image@1.1.cidx"),
            Ok(Report { outcome: Outcome::Restored, .. }) if has_head => {}
            other => panic!("{left} bytes: {other:?}"),
        }
    }
}

#[test]
fn releases_go_on_from_the_one_that_was_asked_for() {
    let store = Store::new();
    store.make(&bytes(1), &as_release("seven", 7));
    let next = store.make(&bytes(2), &wish("image", None));
    assert_eq!(next.record.description().label.as_str(), "8");
    store.assert_whole();
}

#[test]
fn restoring_a_version_restores_the_name_of_the_newest_too() {
    let store = without_first(["1.0", "1.1", "1.2"]);
    fs::remove_file(store.path("image.cidx")).unwrap();
    assert_eq!(store.make(&bytes(1), &as_release("1.0", 1)).outcome, Outcome::Restored);
    store.assert_newest("image", "1.2");
    store.assert_whole();
}
