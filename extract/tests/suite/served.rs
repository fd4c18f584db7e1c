//! An image that is read where it is not, as a proxy does.

use std::path::Path;
use std::thread;

use chunk_chunker::Params;
use chunk_extract::{Existing, Image};
use chunk_testing::Numbers;

use crate::counting::Counting;
use crate::images::{blocks, noise};
use crate::store::Store;
use crate::tries::{job, run};

/// Blocks that are built at the same time.
const TOGETHER: u64 = 8;
const MIB: usize = 1 << 20;

fn open(source: &Counting) -> Image<'_> {
    job(source, "image.cidx", Path::new("none"), Existing::Keep).open().expect("opened")
}

/// All bytes, from front to back.
fn read(image: &Image<'_>) -> Vec<u8> {
    let (count, mut bytes) = (image.blocks().count(), Vec::new());
    for start in (0..count).step_by(8) {
        let numbers = start..count.min(start + TOGETHER);
        image.prepare(numbers.clone(), true).expect("fetched");
        bytes.extend(together(image, numbers));
    }
    bytes
}

/// The bytes of some blocks, each built by a thread of its own.
fn together(image: &Image<'_>, numbers: std::ops::Range<u64>) -> Vec<u8> {
    thread::scope(|scope| {
        let building: Vec<_> = numbers.map(|number| scope.spawn(move || image.block(number))).collect();
        let built =
            building.into_iter().map(|block| block.join().expect("no panic").expect("built").to_vec());
        built.collect::<Vec<_>>().concat()
    })
}

/// A store whose newest image has parts of three older ones, and that image.
fn scattered() -> (Store, Vec<u8>) {
    let store = Store::with(Params::new(4096, 16_384, 65_536, 1).expect("within the limits"), 256 << 10);
    let mut newest = Vec::new();
    for version in 0..3 {
        let image = noise(version, 9 * MIB);
        newest.extend(&image[MIB..7 * MIB + 99]);
        store.make("image", &image);
    }
    newest.extend(noise(9, 3 * MIB));
    store.make("image", &newest);
    (store, newest)
}

#[test]
fn who_reads_from_front_to_back_fetches_no_more_than_an_extraction() {
    let (store, newest) = scattered();
    let source = store.source();
    let directory = tempfile::tempdir().expect("a directory");
    let target = directory.path().join("target");
    let report = run(&source, job(&source, "image.cidx", &target, Existing::Keep));
    let served = store.source();
    assert!(read(&open(&served)) == newest);
    let (bytes, requests) = (source.bytes(), report.totals.requests);
    assert!(served.bytes() <= bytes + bytes / 10, "{} instead of {bytes} bytes", served.bytes());
    // What is fetched at a time ends in the middle of what a plan joins.
    let found = served.pack_requests();
    assert!(found <= requests + requests / 2, "{found} instead of {requests} requests");
}

#[test]
fn a_frame_that_several_blocks_want_at_once_is_fetched_once() {
    let params = Params::new(4096, 16_384, 65_536, 1).expect("within the limits");
    let store = Store::with(params, 3 << 20);
    let image = blocks(0..8);
    store.make("image", &image);
    let source = store.source();
    let served = open(&source);
    let before = source.bytes();
    assert!(together(&served, 0..8) == image);
    let fetched = source.bytes() - before;
    assert!(fetched <= image.len() as u64 + (64 << 10), "{fetched} bytes");
}

#[test]
fn blocks_in_any_order_are_right_and_frames_that_came_wrong_are_asked_for_again() {
    let (store, newest) = scattered();
    let source = Counting::lying(store.path(), 4);
    let image = open(&source);
    let mut numbers = Numbers::from_seed(7);
    for _ in 0..60 {
        let number = numbers.below(image.blocks().count());
        let range = image.blocks().range(number);
        let at = |position: u64| usize::try_from(position).expect("small");
        let block = image.block(number).expect("the source lies a few times only");
        assert!(**block == newest[at(range.start)..at(range.end)], "block {number}");
    }
}

#[test]
fn what_fails_to_come_fails_who_wants_it_and_can_be_asked_for_again() {
    let (store, newest) = scattered();
    let source = store.source();
    let image = open(&source);
    let (packs, aside) = (store.path().join("packs"), store.path().join("aside"));
    std::fs::rename(&packs, &aside).expect("moved");
    image.prepare(0..8, true).expect_err("there are no packs");
    thread::scope(|scope| {
        let building: Vec<_> = (0..8)
            .map(|number| {
                let image = &image;
                scope.spawn(move || image.block(number).is_err())
            })
            .collect();
        assert!(building.into_iter().all(|block| block.join().expect("no panic")));
    });
    std::fs::rename(&aside, &packs).expect("moved back");
    assert!(read(&image) == newest);
}
