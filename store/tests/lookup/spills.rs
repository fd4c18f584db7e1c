//! When runs are written and merged, and what becomes of those that cannot be.

use chunk_chunker::Name;
use chunk_store::pack::Writer;
use chunk_store::{Backend, Frame, Lookup, Place};
use chunk_testing::{Fault, Faulty};

use crate::shelf::{Shelf, name};

#[test]
fn runs_stay_few_however_many_packs_there_are() {
    let mut shelf = Shelf::new();
    let mut lookup = shelf.open();
    for pack in 0..100 {
        shelf.write(Some(&mut lookup), &[2 * pack, 2 * pack + 1]);
        lookup.spill();
        // Each run is more than twice as long as the next.
        assert!(shelf.runs().len() <= 8, "{} runs after {pack} packs", shelf.runs().len());
    }
    let lookup = shelf.open();
    for number in 0..200 {
        assert!(shelf.find(&lookup, &name(number)).is_some());
    }
}

#[test]
fn a_lookup_with_nothing_new_writes_nothing() {
    let mut shelf = Shelf::new();
    let mut lookup = shelf.open();
    lookup.spill();
    assert!(shelf.runs().is_empty());
    shelf.write(Some(&mut lookup), &[1, 2]);
    lookup.spill();
    let runs = shelf.runs();
    assert_eq!(runs.len(), 1);
    lookup.spill();
    shelf.open().spill();
    assert_eq!(shelf.runs(), runs);
}

#[test]
fn packs_that_a_run_covers_are_not_read_again() {
    let mut shelf = Shelf::new();
    let mut lookup = shelf.open();
    shelf.write(Some(&mut lookup), &[1, 2]);
    lookup.spill();
    // Listing the packs is one operation; the next would be reading one.
    let backend = Faulty::new(&shelf.store, 1, Fault::FromThenOn);
    let lookup = Lookup::open(&backend, Some(&shelf.store.lookup())).unwrap();
    assert!(!backend.was_met());
    assert!(shelf.find(&lookup, &name(1)).is_some());
}

#[test]
fn chunks_of_a_pack_that_was_never_completed_are_in_no_run() {
    let mut shelf = Shelf::new();
    let mut lookup = shelf.open();
    shelf.write(Some(&mut lookup), &[1]);
    let unfinished = lookup.reserve();
    let frame = Frame { offset: 16, stored_len: 100, plain_len: 100, raw: true };
    lookup.insert(name(2), Place { pack: unfinished, frame, first: 0, len: 8 });
    assert_eq!(lookup.pack(unfinished), None);
    lookup.spill();
    let lookup = shelf.open();
    assert!(shelf.find(&lookup, &name(1)).is_some());
    assert_eq!(lookup.find(&name(2), 8), None);
}

#[test]
fn runs_that_cannot_be_written_cost_nothing_but_time() {
    let mut shelf = Shelf::new();
    let nowhere = shelf.store.lookup().join("missing");
    let mut lookup = Lookup::open(&shelf.store, Some(&nowhere)).unwrap();
    shelf.write(Some(&mut lookup), &[1, 2]);
    lookup.spill();
    assert!(shelf.find(&lookup, &name(1)).is_some());
    let lookup = Lookup::open(&shelf.store, Some(&nowhere)).unwrap();
    assert!(shelf.find(&lookup, &name(2)).is_some());
}

#[test]
fn a_store_of_more_chunks_than_fit_in_memory_spills_while_it_is_learned() {
    const CHUNKS: u32 = 100_000;
    const PACKS: u32 = 3;
    let shelf = Shelf::new();
    // Nobody compares these names with the bytes here, so made-up ones do.
    let made_up = |number: u32| Name::of(&number.to_le_bytes());
    for pack in 0..PACKS {
        let lines: Vec<_> = (0..CHUNKS).map(|number| (made_up(pack * CHUNKS + number), 1)).collect();
        let mut writer = Writer::new(&shelf.store).unwrap();
        writer.push(&vec![7; lines.len()], true, &lines).unwrap();
        writer.seal().unwrap();
    }
    let packs = shelf.store.packs().unwrap();
    let lookup = shelf.open();
    assert_eq!(shelf.runs().len(), 1);
    for number in (0..CHUNKS * PACKS).step_by(97) {
        let place = lookup.find(&made_up(number), 1).expect("every chunk is found");
        assert_eq!(place.first, number % CHUNKS);
        assert!(packs.contains(&lookup.pack(place.pack).unwrap()));
    }
    assert_eq!(lookup.find(&made_up(CHUNKS * PACKS), 1), None);
}

#[test]
fn chunks_of_a_pack_that_was_given_up_can_be_forgotten_and_no_others() {
    let mut shelf = Shelf::new();
    let mut lookup = shelf.open_without_runs();
    shelf.write(Some(&mut lookup), &[1]);
    let unfinished = lookup.reserve();
    let frame = Frame { offset: 16, stored_len: 100, plain_len: 100, raw: true };
    lookup.insert(name(2), Place { pack: unfinished, frame, first: 0, len: 8 });
    lookup.spill();
    assert!(lookup.find(&name(2), 8).is_some(), "it can be wanted again while the pack is written");
    lookup.forget_unfinished();
    assert_eq!(lookup.find(&name(2), 8), None);
    assert!(shelf.find(&lookup, &name(1)).is_some());
}
