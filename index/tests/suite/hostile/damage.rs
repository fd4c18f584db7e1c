//! Damage without intent, and with: flips, cuts, and changes whose checks have been made right again.

use chunk_index::{Entry, Index, Placed, TreeBuilder};
use proptest::prelude::*;

use super::forge::{Forge, Leaf, Run, runs};
use super::many;
use crate::sample::build;

#[test]
fn every_truncation_is_refused() {
    let file = many().file();
    for end in 0..file.len() {
        assert!(Index::decode(&file[..end]).is_err(), "an index of its first {end} bytes passes");
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let mut file = many().file();
    for at in 0..file.len() {
        for bit in 0..8 {
            file[at] ^= 1 << bit;
            assert!(Index::decode(&file).is_err(), "bit {bit} of byte {at} is not missed");
            file[at] ^= 1 << bit;
        }
    }
    Index::decode(&file).unwrap();
}

#[test]
fn every_changed_byte_of_a_tiny_index_is_refused() {
    let mut file = build(&crate::sample::small()[..20], 2);
    for at in 0..file.len() {
        let right = file[at];
        for wrong in (0..=255).filter(|wrong| *wrong != right) {
            file[at] = wrong;
            assert!(Index::decode(&file).is_err(), "byte {at} may be {wrong}");
        }
        file[at] = right;
    }
}

/// A file that decodes must be the very file that its content is written as.
fn expect_canonical(file: &[u8]) -> Result<(), TestCaseError> {
    let Ok(index) = Index::decode(file) else { return Ok(()) };
    let mut builder = TreeBuilder::new(index.record().params());
    let mut leaves = Vec::new();
    for Placed { entry: Entry { short, len, repeats }, location, .. } in index.entries() {
        builder.push(short, len, repeats + 1, location, &mut leaves).unwrap();
    }
    prop_assert!(index.blocks().count() < 1 << 20);
    let blocks: Vec<_> = index.block_hashes().collect();
    let description = index.record().description().clone();
    let front = builder.finish(description, index.locator(), &blocks, &mut leaves).unwrap();
    prop_assert_eq!(&[front.bytes, leaves].concat(), file);
    Ok(())
}

/// Overwrites, inserts or removes a byte.
fn mutate(bytes: &mut Vec<u8>, at: prop::sample::Index, value: u8, kind: u8) {
    match kind {
        0 => bytes.insert(at.index(bytes.len() + 1), value),
        1 => drop(bytes.remove(at.index(bytes.len()))),
        _ => {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
    }
}

/// One leaf in which every part has something to say.
fn rich() -> Forge {
    let lines = [(1, 10, 0), (2, 20, 2), (0, 1024, 5), (3, 300, 0), (0, 7, 0), (3, 40, 1)];
    let next = Run { at: None, ..Run::default() };
    let apart = Run { first: 4096, ..Run::default() };
    let map = runs(&[Run { count: 2, ..Run::default() }, next, Run { at: Some((1, 116)), ..apart }]);
    let mut forge = many().with_leaves(vec![Leaf::of(&lines, map)]);
    forge.blocks.truncate(1);
    forge.record.blocks = 1;
    forge.record.chunks = 14;
    forge
}

/// Makes the stated totals follow the content, where that still can be read.
fn recount(forge: &mut Forge) {
    let leaf = &forge.branches[0][0];
    let mut probe = forge.clone();
    for _ in 0..3 {
        match Index::decode(probe.file()).map_err(|error| error.kind) {
            Err(chunk_index::DecodeErrorKind::Sum { of: "entries", found, .. }) if leaf.entries != found => {
                probe.branches[0][0].entries = found;
                probe.record.entries = found;
            }
            Err(chunk_index::DecodeErrorKind::Sum { of: "image bytes", found, .. }) if found < 1 << 20 => {
                probe.branches[0][0].image_len = found;
                probe.record.image_len = found;
            }
            Err(chunk_index::DecodeErrorKind::Sum { of: "chunks", found, .. }) => probe.record.chunks = found,
            _ => break,
        }
    }
    *forge = probe;
}

#[test]
fn the_leaf_that_is_mutated_is_right() {
    expect_canonical(&rich().file()).unwrap();
    Index::decode(rich().file()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn a_changed_leaf_with_right_hashes_is_refused_or_canonical(
        changes in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>(), any::<u8>(), 0..6_u8), 1..3),
    ) {
        let mut forge = rich();
        for (in_list, at, value, kind) in changes {
            let leaf = &mut forge.branches[0][0];
            // Small values are the ones that mean something.
            let value = if kind % 2 == 0 { value % 8 } else { value };
            mutate(if in_list { &mut leaf.list } else { &mut leaf.map }, at, value, kind);
        }
        recount(&mut forge);
        expect_canonical(&forge.file())?;
    }
}
