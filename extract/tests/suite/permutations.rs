//! Updates in place in which every byte moves and none has to be fetched.

use std::fs;

use chunk_chunker::image::BLOCK;
use chunk_extract::{Existing, Limits, Options, Report};

use crate::images::{Numbers, blocks, noise};
use crate::store::Store;
use crate::tries::{assert_is, job, run};

/// Room for that many old bytes is room for all.
const PLENTY: u64 = 1 << 40;

/// Makes `new` of `old` in place.
fn update(old: &[u8], new: &[u8], saved: u64, threads: usize) -> Report {
    let store = Store::new();
    let index = store.make("new", new);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let target = directory.path().join("target");
    fs::write(&target, old).expect("written");
    let source = store.source();
    let mut job = job(&source, index, &target, Existing::Update);
    job.options = Options { limits: Limits { saved, ..Limits::default() }, threads, ..Options::default() };
    let report = run(&source, job);
    assert_is(&target, new);
    assert_eq!(report.late, 0, "old bytes were planned with and not found: {report:?}");
    report
}

#[test]
fn any_permutation_of_blocks_is_made_without_a_byte_of_download() {
    let mut numbers = Numbers::new();
    println!("{}", numbers.how_to_repeat());
    for threads in [1, 2, 8] {
        for _ in 0..8 {
            let count = 2 + numbers.below(12) as u64;
            let mut order: Vec<u64> = (0..count).collect();
            let old = blocks(order.iter().copied());
            match numbers.below(4) {
                0 => order.rotate_left(1),
                1 => order.rotate_right(numbers.below(2)),
                2 => order.reverse(),
                _ => numbers.shuffle(&mut order),
            }
            // Not only at the ends of blocks: chunks lie across them.
            let tail = noise(1000, numbers.below(BLOCK));
            let old = [&old[..], &tail[..]].concat();
            let new = [&tail[..], &blocks(order.iter().copied())[..]].concat();
            let report = update(&old, &new, PLENTY, threads);
            // The chunks around each seam are new.
            let seams = 8192 * 2 * (count + 2);
            assert!(report.totals.missing <= seams, "order {order:?}: {report:?}");
        }
    }
}

#[test]
fn blocks_that_change_places_need_no_download_and_no_more_room_than_one_of_them() {
    // Chunks that fit blocks exactly: nothing is new.
    let image = |order: &[u64]| -> Vec<u8> {
        order.iter().flat_map(|number| noise(*number, 8192).into_iter().cycle().take(BLOCK)).collect()
    };
    let old: Vec<u8> = image(&[0, 1, 2, 3, 4, 5]);
    for order in [[1, 0, 2, 3, 4, 5], [1, 2, 3, 4, 5, 0], [5, 0, 1, 2, 3, 4], [5, 4, 3, 2, 1, 0]] {
        let report = update(&old, &image(&order), BLOCK as u64, 4);
        assert!(report.totals.saved <= BLOCK as u64);
        assert!(report.totals.missing < 6 * 2 * 8192, "{order:?}: {report:?}");
    }
}

#[test]
fn what_finds_no_room_to_be_saved_is_fetched_and_nothing_else() {
    let (old, new) = (blocks(0..6), blocks([1, 2, 3, 4, 5, 0]));
    let plenty = update(&old, &new, PLENTY, 2);
    let none = update(&old, &new, 0, 2);
    assert_eq!(none.totals.saved, 0);
    let more = none.totals.missing - plenty.totals.missing;
    assert!(more > 0, "a cycle without room costs something");
    assert!(more <= BLOCK as u64 + 2 * 8192, "only one block of the cycle is lost: {more}");
}

#[test]
fn an_insertion_at_the_front_moves_everything_and_fetches_only_the_insertion() {
    let old = blocks(0..8);
    let new = [noise(99, 5000), old.clone()].concat();
    for threads in [1, 4] {
        let report = update(&old, &new, 64 << 10, threads);
        assert!(report.totals.missing < 5000 + 4 * 8192, "{report:?}");
        let back = update(&new, &old, 64 << 10, threads);
        assert!(back.totals.missing < 4 * 8192, "{back:?}");
    }
}
