//! Packs that are gone, of another length, or unreadable count as absent.

use std::fs;
use std::io;

use chunk_store::{Lookup, Unreadable};
use chunk_testing::{Fault, Faulty};

use crate::shelf::{Shelf, name};

/// A shelf of two packs, which a run covers or not.
fn two_packs(covered: bool) -> (Shelf, [chunk_store::pack::Sealed; 2]) {
    let mut shelf = Shelf::new();
    let mut lookup = shelf.open();
    let packs =
        [shelf.write(Some(&mut lookup), &[1, 2, 3, 4]), shelf.write(Some(&mut lookup), &[5, 6, 7, 8])];
    if covered {
        lookup.spill();
    }
    (shelf, packs)
}

#[test]
fn chunks_of_a_removed_pack_are_not_found() {
    for covered in [false, true] {
        let (shelf, [first, second]) = two_packs(covered);
        fs::remove_file(shelf.pack_path(&first.name)).unwrap();
        let lookup = shelf.open();
        assert_eq!(lookup.slot_of(&first.name, first.len), None);
        assert!(lookup.slot_of(&second.name, second.len).is_some());
        assert!((1..5).all(|number| shelf.find(&lookup, &name(number)).is_none()));
        assert!((5..9).all(|number| shelf.find(&lookup, &name(number)).is_some()));
        assert!(lookup.unreadable().is_empty(), "nobody says that a pack should be there");
    }
}

#[test]
fn chunks_of_a_pack_of_another_length_are_not_found() {
    for covered in [false, true] {
        let (shelf, [first, _]) = two_packs(covered);
        for len in [0, 1, 63, 64, first.len - 1, first.len + 1] {
            let path = shelf.pack_path(&first.name);
            let whole = fs::read(&path).unwrap();
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len).unwrap();
            let lookup = shelf.open();
            assert!((1..5).all(|number| shelf.find(&lookup, &name(number)).is_none()), "{len} bytes");
            assert!((5..9).all(|number| shelf.find(&lookup, &name(number)).is_some()));
            for stated in [first.len, len] {
                assert_eq!(lookup.slot_of(&first.name, stated), None, "{len} bytes");
            }
            let unreadable: Vec<_> = lookup.unreadable().iter().map(|(name, _)| *name).collect();
            assert_eq!(unreadable, [first.name], "{len} bytes");
            fs::write(&path, whole).unwrap();
        }
        let lookup = shelf.open();
        assert!((1..9).all(|number| shelf.find(&lookup, &name(number)).is_some()));
    }
}

#[test]
fn a_pack_that_is_no_pack_is_told_and_absent() {
    let (shelf, [first, _]) = two_packs(false);
    let mut bytes = fs::read(shelf.pack_path(&first.name)).unwrap();
    // The last byte but the trailer is the table's.
    let at = bytes.len() - 49;
    bytes[at] ^= 1;
    fs::write(shelf.pack_path(&first.name), bytes).unwrap();
    let lookup = shelf.open();
    assert!(
        matches!(lookup.unreadable(), [(name, Unreadable::Table(_))] if *name == first.name),
        "{:?}",
        lookup.unreadable()
    );
    assert_eq!(lookup.slot_of(&first.name, first.len), None);
    assert!((1..5).all(|number| shelf.find(&lookup, &name(number)).is_none()));
    assert!((5..9).all(|number| shelf.find(&lookup, &name(number)).is_some()));
}

#[test]
fn a_pack_that_cannot_be_read_now_is_told_and_absent() {
    let (shelf, packs) = two_packs(false);
    // Operation 0 lists the packs; header, trailer and table of the first one follow.
    for at in 1..=3 {
        let backend = Faulty::new(&shelf.store, at, Fault::Once);
        let lookup = Lookup::open(&backend, None).unwrap();
        let [(lost, Unreadable::Io(error))] = lookup.unreadable() else {
            panic!("operation {at}: {:?}", lookup.unreadable());
        };
        assert_eq!(error.kind(), io::ErrorKind::Other);
        for pack in packs {
            assert_eq!(lookup.slot_of(&pack.name, pack.len).is_none(), pack.name == *lost);
        }
        assert_eq!((1..9).filter(|number| shelf.find(&lookup, &name(*number)).is_some()).count(), 4);
    }
}

#[test]
fn a_store_whose_packs_cannot_be_listed_is_an_error() {
    let (shelf, _) = two_packs(false);
    assert!(Lookup::open(&Faulty::new(&shelf.store, 0, Fault::Once), None).is_err());
}

#[test]
fn a_chunk_that_comes_again_in_a_later_pack_is_found_when_the_first_is_gone() {
    let mut shelf = Shelf::new();
    let first = shelf.write(None, &[1, 2]);
    let second = shelf.write(None, &[2, 3]);
    fs::remove_file(shelf.pack_path(&first.name)).unwrap();
    let lookup = shelf.open();
    assert_eq!(shelf.find(&lookup, &name(1)), None);
    assert_eq!(shelf.find(&lookup, &name(2)).unwrap().pack, second.name);
}
