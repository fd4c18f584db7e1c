//! Labels name one image for ever, releases count up, and both of a version's names lead to it again.

use std::fs;
use std::io::Write;

use chunk_chunker::image::BLOCK;
use chunk_publisher::{MakeError, Outcome, annotations};

use crate::images::mixed;
use crate::inputs::random;
use crate::store::{Store, image, stream, wish};

fn assert_taken(result: Result<chunk_publisher::Report, MakeError>, path: &str) {
    match result {
        Err(MakeError::LabelTaken { key }) => assert_eq!(key.path(), path),
        other => panic!("{other:?}"),
    }
}

#[test]
fn releases_count_up_whatever_the_labels_are() {
    let store = Store::new();
    let mut releases = Vec::new();
    for (seed, label) in [(1, Some("beta")), (2, None), (3, Some("1.0")), (4, None)] {
        let report = store.make(&random(seed, 9000), &wish("image", label));
        let description = report.record.description();
        releases.push((description.release.get(), description.label.as_str().to_owned()));
    }
    let expected = [(1, "beta"), (2, "2"), (3, "1.0"), (4, "4")];
    assert!(releases.iter().map(|(release, label)| (*release, &label[..])).eq(expected), "{releases:?}");
    store.assert_newest("image", "4");
    store.assert_whole();
}

#[test]
fn a_label_that_looks_like_a_release_is_not_taken_from_its_version() {
    let store = Store::new();
    store.make(&random(1, 9000), &wish("image", Some("2")));
    store.make(&random(2, 9000), &wish("image", Some("3")));
    let third = store.make(&random(3, 9000), &image());
    assert_eq!(third.record.description().label.as_str(), "4");
    assert_eq!(third.record.description().release.get(), 4);
    store.assert_holds("image@2.cidx", &random(1, 9000));
}

/// A publisher died between writing `image.cidx` and `image@2.cidx`.
#[test]
fn a_label_that_only_the_newest_index_knows_of_is_not_taken_from_it() {
    let store = Store::new();
    let [first, second] = [1, 2].map(|seed| random(seed, 9000));
    store.make(&first, &wish("image", Some("2")));
    fs::remove_file(store.path("image@2.cidx")).unwrap();
    assert_taken(store.try_make(stream(&second), &wish("image", Some("2"))), "image@2.cidx");
    let report = store.make(&second, &image());
    assert_eq!(report.record.description().label.as_str(), "3");
    store.assert_holds("image@2.cidx", &first);
    store.assert_newest("image", "3");
    store.assert_whole();
}

#[test]
fn a_label_taken_by_another_image_is_refused_and_the_store_untouched() {
    let store = Store::new();
    let first = mixed(1, 3 * BLOCK);
    store.make(&first, &wish("image", Some("a")));
    store.make(&random(2, BLOCK), &wish("image", Some("b")));
    let mut changed = first.clone();
    changed[2 * BLOCK + 7] ^= 1;
    let longer = [&first[..], &random(3, BLOCK)].concat();
    let before = store.stamps();
    for other in [&changed, &longer, &first[..2 * BLOCK].to_vec(), &random(4, BLOCK), &Vec::new()] {
        assert_taken(store.try_make(stream(other), &wish("image", Some("a"))), "image@a.cidx");
    }
    assert_eq!(store.stamps(), before);
    store.assert_whole();
}

#[test]
fn a_label_taken_by_another_description_of_the_image_is_refused_and_the_store_untouched() {
    let mut store = Store::new();
    let bytes = mixed(1, BLOCK);
    store.make(&bytes, &wish("image", Some("a")));
    let before = store.stamps();
    let mut described = wish("image", Some("a"));
    described.annotations = annotations([("arch", "riscv64")]).unwrap();
    assert_taken(store.try_make(stream(&bytes), &described), "image@a.cidx");
    store.options.sha256 = true;
    assert_taken(store.try_make(stream(&bytes), &wish("image", Some("a"))), "image@a.cidx");
    store.options.sha256 = false;
    store.options.params = chunk_chunker::Params::new(64, 256, 1024, 0).unwrap();
    assert_taken(store.try_make(stream(&bytes), &wish("image", Some("a"))), "image@a.cidx");
    assert_eq!(store.stamps(), before);
}

/// What may become of a file: it is gone, cut short, or damaged.
fn damages(whole: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut flipped = whole.to_vec();
    flipped[whole.len() / 2] ^= 0x40;
    let cut = |len: usize| Some(whole[..len].to_vec());
    vec![None, cut(0), cut(47), cut(whole.len() / 2), cut(whole.len() - 1), Some(flipped)]
}

fn put(store: &Store, file: &str, content: Option<Vec<u8>>) {
    match content {
        Some(bytes) => fs::write(store.path(file), bytes).unwrap(),
        None => fs::remove_file(store.path(file)).unwrap(),
    }
}

#[test]
fn a_newest_index_that_is_lost_or_damaged_is_restored_by_the_same_image() {
    let [first, second] = [1, 2].map(|seed| mixed(seed, BLOCK + 99));
    for label in [None, Some("2")] {
        let store = Store::new();
        store.make(&first, &image());
        store.make(&second, &image());
        for damage in damages(&store.read("image.cidx")) {
            put(&store, "image.cidx", damage);
            assert_eq!(store.make(&second, &wish("image", label)).outcome, Outcome::Unchanged);
            store.assert_newest("image", "2");
            store.assert_whole();
        }
        assert_eq!(store.indexes(), ["image.cidx", "image@1.cidx", "image@2.cidx"]);
    }
}

#[test]
fn a_newest_index_that_is_lost_or_damaged_is_restored_by_an_older_image() {
    let [first, second] = [1, 2].map(|seed| mixed(seed, BLOCK + 99));
    let store = Store::new();
    store.make(&first, &image());
    store.make(&second, &image());
    for damage in damages(&store.read("image.cidx")) {
        put(&store, "image.cidx", damage);
        assert_eq!(store.make(&first, &wish("image", Some("1"))).outcome, Outcome::Unchanged);
        store.assert_newest("image", "2");
        store.assert_whole();
    }
}

#[test]
fn a_newest_index_that_is_lost_or_damaged_is_followed_by_the_next_release() {
    let [first, second, third] = [1, 2, 3].map(|seed| mixed(seed, BLOCK + 99));
    let template = Store::new();
    template.make(&first, &image());
    template.make(&second, &image());
    for damage in damages(&template.read("image.cidx")) {
        let store = template.copy();
        put(&store, "image.cidx", damage);
        let report = store.make(&third, &image());
        assert_eq!(report.record.description().release.get(), 3);
        store.assert_newest("image", "3");
        store.assert_holds("image.cidx", &third);
        store.assert_holds("image@2.cidx", &second);
        store.assert_whole();
    }
}

#[test]
fn a_newest_version_that_lost_its_label_gets_it_back() {
    let [first, second, third] = [1, 2, 3].map(|seed| mixed(seed, BLOCK + 99));
    let template = Store::new();
    template.make(&first, &image());
    template.make(&second, &image());
    put(&template, "image@2.cidx", None);
    for (bytes, label) in [(&second, None), (&second, Some("2")), (&first, Some("1")), (&third, None)] {
        let store = template.copy();
        store.make(bytes, &wish("image", label));
        store.assert_holds("image@2.cidx", &second);
        store.assert_whole();
    }
}

#[test]
fn a_line_whose_releases_are_used_up_is_told_and_left_alone() {
    let store = Store::new();
    let params = store.options.params;
    let description = chunk_index::Description {
        line: "image".parse().unwrap(),
        label: "last".parse().unwrap(),
        release: std::num::NonZeroU64::MAX,
        annotations: chunk_index::Annotations::default(),
        blake3: *blake3::hash(&[]).as_bytes(),
        sha256: None,
    };
    let locator = chunk_index::Locator::new(Vec::new()).unwrap();
    let front =
        chunk_index::TreeBuilder::new(params).finish(description, &locator, &[], &mut Vec::new()).unwrap();
    let mut newest = fs::File::create(store.path("image.cidx")).unwrap();
    newest.write_all(&front.bytes).unwrap();
    let error = store.try_make(stream(b"more"), &image()).unwrap_err();
    assert_eq!(error.to_string(), "the line has run out of releases");
    assert_eq!(store.read("image.cidx"), front.bytes);
}
