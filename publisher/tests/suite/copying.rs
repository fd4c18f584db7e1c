//! Later versions: what is copied from the version before is what cutting would have found.

use chunk_chunker::Params;
use chunk_chunker::image::BLOCK;
use chunk_index::Record;
use proptest::prelude::*;

use crate::images::{any_edit, any_image, mixed};
use crate::inputs::random;
use crate::reference;
use crate::store::{Store, image};

/// All of a record but what counts versions.
fn content(record: &Record) -> impl PartialEq + std::fmt::Debug {
    let description = record.description();
    (
        (record.image_len(), description.blake3, description.sha256),
        (record.entries(), record.chunks(), *record.tree()),
        (record.blocks(), *record.blocks_hash()),
    )
}

/// Publishes the versions one after the other, and each alone.
fn assert_copied_right(params: Params, versions: &[Vec<u8>]) {
    let mut line = Store::new();
    line.options.params = params;
    for version in versions {
        let report = line.make(version, &image());
        line.assert_holds("image.cidx", version);
        let mut alone = Store::new();
        alone.options.params = params;
        let alone = alone.make(version, &image());
        assert_eq!(content(&report.record), content(&alone.record));
    }
    line.assert_whole();
}

fn small() -> Params {
    Params::new(64, 256, 1024, 0).unwrap()
}

fn usual() -> Params {
    Params::new(1024, 4096, 32768, 2).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_version_made_after_another_is_the_one_made_alone(
        first in any_image(),
        steps in prop::collection::vec(prop::collection::vec(any_edit(), 1..4), 1..4),
        params in prop_oneof![Just(small()), Just(usual()), Just(Params::new(2048, 8192, 1 << 20, 3).unwrap())],
    ) {
        let mut versions = vec![first];
        for edits in steps {
            let mut next = versions.last().unwrap().clone();
            for edit in edits {
                edit.apply(&mut next);
            }
            next.truncate(6 * BLOCK);
            versions.push(next);
        }
        assert_copied_right(params, &versions);
    }
}

#[test]
fn versions_of_every_length_around_a_block_are_copied_right() {
    let longest = random(1, 3 * BLOCK + 2);
    let lengths = [
        2 * BLOCK,
        2 * BLOCK + 1,
        2 * BLOCK - 1,
        0,
        1,
        BLOCK,
        BLOCK + 1,
        BLOCK - 1,
        3 * BLOCK + 2,
        BLOCK,
        3 * BLOCK,
        1,
        3 * BLOCK - 1,
        0,
    ];
    let versions: Vec<_> = lengths.iter().map(|len| longest[..*len].to_vec()).collect();
    assert_copied_right(usual(), &versions);
}

#[test]
fn much_longer_and_much_shorter_versions_are_copied_right() {
    let long = mixed(2, 6 * BLOCK + 100);
    let versions = [long[..5000].to_vec(), long.clone(), long[..BLOCK + 5000].to_vec(), long];
    assert_copied_right(usual(), &versions);
}

#[test]
fn one_byte_changed_next_to_each_border_of_a_block_is_found() {
    let first = random(3, 3 * BLOCK);
    let mut versions = vec![first.clone()];
    for at in [0, BLOCK - 1, BLOCK, 2 * BLOCK - 1, 2 * BLOCK, 3 * BLOCK - 1] {
        let mut next = first.clone();
        next[at] ^= 1;
        versions.push(next);
    }
    assert_copied_right(usual(), &versions);
}

/// The last block of the first version is zeros, and so is as much of the second one's: but there it goes on.
#[test]
fn zeros_that_the_end_of_a_version_cut_short_go_on_in_a_longer_one() {
    let mut first = random(4, 50_000);
    first.resize(2 * BLOCK - 10, 0);
    let last_chunk = *reference::cuts(usual(), &first).iter().rev().nth(1).unwrap();
    assert!(last_chunk > (2 * BLOCK) as u64 - 32_768, "more than the rest of the block is needed to fill it");
    let mut second = first.clone();
    second.resize(2 * BLOCK, 0);
    second.extend(random(5, BLOCK));
    assert_copied_right(usual(), &[first.clone(), second.clone(), first]);
}

/// FORMAT 2 tries no cut at the last byte of an image when an odd number of bytes is left. A version that ends
/// one byte behind a cut of the version before must not have that cut.
#[test]
fn a_version_cut_off_one_byte_behind_a_cut_is_cut_as_if_nothing_had_been_before() {
    let prefix = random(6, 2 * BLOCK - 4096);
    let cuts = reference::cuts(small(), &prefix);
    // The last chunks of the prefix may change with what follows it.
    let start = usize::try_from(cuts[cuts.len() - 9]).unwrap();
    let ends_before_last_byte = |version: &[u8]| {
        let cuts = reference::cuts(small(), &[&version[start..], &[1; 2048][..]].concat());
        let wanted = (2 * BLOCK - 1 - start) as u64;
        let found = cuts.iter().position(|cut| *cut == wanted);
        found.is_some_and(|at| (cuts[at] - cuts[at - 1]).is_multiple_of(2))
    };
    let second = (0..100_000)
        .map(|seed| [&prefix[..], &random(seed, 4096)].concat())
        .find(|version| ends_before_last_byte(version))
        .expect("one of many tails has a cut there");
    let first = [&second[..], &vec![1; BLOCK]].concat();
    let last = |image: &[u8]| *reference::cuts(small(), image).iter().rev().nth(1).unwrap();
    assert_ne!(last(&second), 2 * BLOCK as u64 - 1, "the second version has no cut there");
    assert_copied_right(small(), &[first, second]);
}

#[test]
fn only_what_changed_is_stored_again() {
    let store = Store::new();
    let first = random(7, 4 * BLOCK);
    store.make(&first, &image());
    let mut second = first.clone();
    second[2 * BLOCK + 500..2 * BLOCK + 600].fill(1);
    second.splice(1000..1000, *b"inserted");
    let report = store.make(&second, &image());
    assert!((2..8).contains(&report.new_chunks), "{} chunks", report.new_chunks);
    store.assert_holds("image.cidx", &second);
}

#[test]
fn versions_cut_with_other_parameters_share_nothing_and_do_no_harm() {
    let mut store = Store::new();
    let first = mixed(8, 3 * BLOCK);
    store.make(&first, &image());
    store.options.params = small();
    let report = store.make(&first, &image());
    assert_eq!(
        report.record.description().release.get(),
        2,
        "the same bytes cut otherwise are a new version"
    );
    store.assert_holds("image@1.cidx", &first);
    store.assert_holds("image@2.cidx", &first);
    store.assert_newest("image", "2");
    store.assert_whole();
}
