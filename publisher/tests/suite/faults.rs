//! A store that fails at every operation in turn: what was published stays whole, and the next make succeeds.

use std::fs;

use chunk_publisher::{Outcome, Publisher, audit};
use chunk_testing::{Fault, Faulty};

use crate::inputs::random;
use crate::store::{Store, image, stream, wish};

/// What a publisher is about to do when the store fails.
struct Scene {
    /// The store before.
    store: Store,
    /// Images of all versions in it.
    published: Vec<Vec<u8>>,
    /// The image to publish.
    image: Vec<u8>,
    /// Label of the version that it becomes.
    label: &'static str,
    /// What becomes of it.
    outcome: Outcome,
}

/// Three packs' worth of chunks.
fn first() -> Vec<u8> {
    random(1, 150_000)
}

fn second() -> Vec<u8> {
    let mut image = first();
    image.splice(40_000..40_000, random(2, 70_000));
    image
}

fn store_with(images: &[Vec<u8>]) -> Store {
    let mut store = Store::new();
    store.options.pack_len = 80 << 10;
    for bytes in images {
        store.make(bytes, &image());
    }
    store
}

/// Lets every operation fail, each in every way.
fn try_all(scene: &Scene) {
    for fault in Fault::ALL {
        let mut at = 0;
        while fails_well(scene, fault, at) {
            at += 1;
        }
        assert!(at > 5, "{fault:?}: only {at} operations");
    }
}

/// Publishes with a fault at operation `at`; false if there is no such operation.
fn fails_well(scene: &Scene, fault: Fault, at: u64) -> bool {
    let mut store = scene.store.copy();
    store.options.pack_len = scene.store.options.pack_len;
    let faulty = Faulty::new(&store.directory, at, fault);
    let mut publisher = None;
    let result = Publisher::new(&faulty, store.options.clone())
        .and_then(|new| publisher.insert(new).make(stream(&scene.image), &image(), &()));
    if !faulty.was_met() {
        assert_eq!(result.unwrap().outcome, scene.outcome);
        return false;
    }
    assert!(result.is_err(), "{fault:?} {at}: {result:?}");
    assert_as_good_as_before(scene, &store);

    // The same publisher tries again, as soon as the store works again.
    if matches!(fault, Fault::Once | Fault::Unanswered)
        && let Some(mut publisher) = publisher
    {
        publisher.make(stream(&scene.image), &image(), &()).unwrap();
        assert_published(scene, &store);
    }
    store.make(&scene.image, &image());
    assert_published(scene, &store);
    assert_eq!(store.make(&scene.image, &image()).outcome, Outcome::Unchanged);
    true
}

/// Every version that is there is whole, and none is lost.
fn assert_as_good_as_before(scene: &Scene, store: &Store) {
    store.assert_tidy();
    let found = audit(&store.directory, &()).unwrap();
    assert!(found.damaged_packs.is_empty(), "{found:?}");
    if scene.outcome != Outcome::Mended {
        assert!(found.damaged_versions.is_empty(), "{found:?}");
    }
    for file_name in store.indexes() {
        let hash = store.index(&file_name).record().description().blake3;
        let mut known = scene.published.iter().chain([&scene.image]);
        assert!(
            known.any(|image| hash == *blake3::hash(image).as_bytes()),
            "{file_name} is an image of nobody"
        );
    }
    for label in 1..=scene.published.len() {
        let before = scene.store.path(format!("image@{label}.cidx"));
        if scene.outcome != Outcome::Mended && before.exists() {
            assert_eq!(store.read(format!("image@{label}.cidx")), fs::read(before).unwrap());
        }
    }
}

fn assert_published(scene: &Scene, store: &Store) {
    store.assert_newest("image", scene.label);
    store.assert_holds("image.cidx", &scene.image);
    for (label, image) in (1..).zip(&scene.published) {
        store.assert_holds(&format!("image@{label}.cidx"), image);
    }
    assert_eq!(store.indexes().len(), 1 + scene.label.parse::<usize>().unwrap());
    store.assert_whole();
}

#[test]
fn a_first_version_is_published_whole_or_not_at_all() {
    try_all(&Scene {
        store: store_with(&[]),
        published: Vec::new(),
        image: first(),
        label: "1",
        outcome: Outcome::Published,
    });
}

#[test]
fn a_next_version_is_published_whole_or_not_at_all() {
    try_all(&Scene {
        store: store_with(&[first()]),
        published: vec![first()],
        image: second(),
        label: "2",
        outcome: Outcome::Published,
    });
}

#[test]
fn a_next_version_after_a_crash_is_published_whole_or_not_at_all() {
    let scene = Scene {
        store: store_with(&[first()]),
        published: vec![first()],
        image: second(),
        label: "2",
        outcome: Outcome::Published,
    };
    fs::remove_file(scene.store.path("image@1.cidx")).unwrap();
    try_all(&scene);
}

#[test]
fn a_version_without_its_newest_index_gets_it_back_or_stays() {
    let scene = Scene {
        store: store_with(&[first()]),
        published: vec![first()],
        image: first(),
        label: "1",
        outcome: Outcome::Unchanged,
    };
    fs::remove_file(scene.store.path("image.cidx")).unwrap();
    try_all(&scene);
}

#[test]
fn a_version_is_mended_or_stays_as_it_was() {
    let scene = Scene {
        store: store_with(&[first()]),
        published: vec![first()],
        image: first(),
        label: "1",
        outcome: Outcome::Mended,
    };
    fs::remove_file(scene.store.path(&scene.store.packs()[0])).unwrap();
    try_all(&scene);
}

#[test]
fn a_label_is_refused_whatever_fails() {
    let scene = store_with(&[first()]);
    let wish = wish("image", Some("1"));
    for fault in Fault::ALL {
        for at in 0.. {
            let faulty = Faulty::new(&scene.directory, at, fault);
            let before = scene.stamps();
            let result = Publisher::new(&faulty, scene.options.clone())
                .and_then(|mut publisher| publisher.make(stream(&second()), &wish, &()));
            assert!(result.is_err());
            assert_eq!(scene.stamps(), before, "{fault:?} {at}");
            if !faulty.was_met() {
                break;
            }
        }
    }
    scene.assert_whole();
}
