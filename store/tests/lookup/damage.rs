//! Runs that are damaged: a chunk may be missed, it is never looked for in a wrong place.

use std::fs;
use std::path::PathBuf;

use crate::shelf::{Shelf, name};

const CHUNKS: u32 = 8;
/// Length of the run's lines.
const LINES: usize = CHUNKS as usize * 60;

/// Two packs and the one run over them.
fn one_run() -> (Shelf, PathBuf, Vec<u8>) {
    let mut shelf = Shelf::new();
    let mut lookup = shelf.open();
    shelf.write(Some(&mut lookup), &[0, 1, 2]);
    shelf.write(Some(&mut lookup), &[3, 4, 5, 6, 7]);
    lookup.spill();
    let [run] = <[PathBuf; 1]>::try_from(shelf.runs()).unwrap();
    let bytes = fs::read(&run).unwrap();
    (shelf, run, bytes)
}

/// How many chunks are found, each where it is.
fn found(shelf: &Shelf) -> u32 {
    let lookup = shelf.open();
    assert_eq!(shelf.find(&lookup, &name(CHUNKS)), None);
    (0..CHUNKS).map(|number| u32::from(shelf.find(&lookup, &name(number)).is_some())).sum()
}

#[test]
fn no_damaged_byte_of_a_run_leads_to_a_wrong_place() {
    let (shelf, run, bytes) = one_run();
    let lines_at = bytes.len() - LINES;
    let mut missed = 0;
    for at in 0..bytes.len() {
        for flip in [0x01, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            fs::write(&run, damaged).unwrap();
            let found = found(&shelf);
            if at < lines_at {
                assert_eq!(
                    found, CHUNKS,
                    "byte {at}: a run with a damaged head is not used, the packs are read"
                );
            }
            missed += CHUNKS - found;
        }
    }
    assert!(missed >= u32::try_from(LINES).unwrap() * 2, "each damaged line is a chunk that is not found");
    fs::write(&run, bytes).unwrap();
    assert_eq!(found(&shelf), CHUNKS);
}

#[test]
fn a_run_that_is_cut_short_or_too_long_is_not_used() {
    let (shelf, run, bytes) = one_run();
    for len in (0..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
        fs::write(&run, &bytes[..len]).unwrap();
        assert_eq!(found(&shelf), CHUNKS, "{len} bytes");
    }
    for more in [1, 60] {
        fs::write(&run, [bytes.clone(), vec![0; more]].concat()).unwrap();
        assert_eq!(found(&shelf), CHUNKS, "{more} bytes more");
    }
}

#[test]
fn damage_is_not_merged_into_the_next_run() {
    let (mut shelf, run, bytes) = one_run();
    // Every line's first byte: none of them is where it should be any more.
    let mut damaged = bytes.clone();
    for line in damaged[bytes.len() - LINES..].chunks_mut(60) {
        line[0] ^= 0x80;
    }
    fs::write(&run, damaged).unwrap();
    let mut lookup = shelf.open();
    shelf.write(Some(&mut lookup), &(100..110).collect::<Vec<_>>());
    lookup.spill();
    assert_eq!(shelf.runs().len(), 1, "the damaged run was merged");
    assert_eq!(found(&shelf), 0);
    let lookup = shelf.open();
    assert!((100..110).all(|number| shelf.find(&lookup, &name(number)).is_some()));
}

#[test]
fn files_that_are_no_runs_are_left_alone() {
    let (shelf, _, bytes) = one_run();
    for (file, content) in [("README", &b"keep"[..]), ("copy.run.bak", &bytes), ("empty.run", b"")] {
        fs::write(shelf.store.lookup().join(file), content).unwrap();
    }
    assert_eq!(found(&shelf), CHUNKS);
    for file in ["README", "copy.run.bak", "empty.run"] {
        assert!(shelf.store.lookup().join(file).exists(), "{file}");
    }
}
