//! A store on a disk that loses its power: what was reported is there, and nothing is half there.

use std::sync::atomic::{AtomicBool, Ordering};

use chunk_publisher::Publisher;
use chunk_testing::{Disk, Faulty, PowerCut};

use crate::inputs::random;
use crate::store::{Store, image, stream};

/// An image that shares most of its chunks with the others.
fn version(number: u64) -> Vec<u8> {
    let mut image = random(0, 100_000);
    image.splice(30_000..30_000, random(number, 60_000));
    image
}

#[test]
fn a_version_that_was_reported_survives_a_power_cut_at_once() {
    for leaves in [PowerCut::NamesWithoutBytes, PowerCut::Nothing] {
        let Some(mut disk) = Disk::new(32 << 20) else { return };
        for number in 1..=3 {
            let store = Store::at(&disk.root());
            store.make(&version(number), &image());
            disk.cut_power(leaves).unwrap();
            drop(store);
            disk.restart().unwrap();
            let store = Store::at(&disk.root());
            store.assert_newest("image", &number.to_string());
            store.assert_holds("image.cidx", &version(number));
            store.assert_whole();
        }
    }
}

#[test]
fn a_power_cut_at_any_operation_leaves_whole_versions_and_the_next_make_succeeds() {
    for leaves in [PowerCut::NamesWithoutBytes, PowerCut::Nothing] {
        let Some(mut disk) = Disk::new(32 << 20) else { return };
        Store::at(&disk.root()).make(&version(1), &image());
        let mut number = 1;
        for at in 0.. {
            let was_cut = AtomicBool::new(false);
            let reported = {
                let store = Store::at(&disk.root());
                let backend = Faulty::calling(&store.directory, at, || {
                    disk.cut_power(leaves).unwrap();
                    was_cut.store(true, Ordering::SeqCst);
                });
                Publisher::new(&backend, store.options.clone())
                    .and_then(|mut publisher| publisher.make(stream(&version(number + 1)), &image(), &()))
            };
            if !was_cut.load(Ordering::SeqCst) {
                assert!(at > 10, "only {at} operations");
                reported.unwrap();
                break;
            }
            disk.restart().unwrap();
            let store = Store::at(&disk.root());
            let newest = store.index("image.cidx").record().description().release.get();
            assert!(
                newest == number + 1 || (newest == number && reported.is_err()),
                "{newest} after {number}"
            );
            store.assert_holds("image.cidx", &version(newest));
            store.assert_whole();

            number += 1;
            store.make(&version(number), &image());
            store.assert_newest("image", &number.to_string());
            store.assert_holds("image.cidx", &version(number));
            store.assert_whole();
        }
    }
}
