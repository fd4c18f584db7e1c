//! Lies in the maps of leaves.

use chunk_index::{
    BuildError, DecodeErrorKind, FrameRef, Index, Location, LocationError, ShortName, TreeBuilder,
};

use super::forge::{Forge, Leaf, Line, Run, runs, varint};
use super::{limit, many, refusal};
use crate::sample::{PACK_LEN, description, locator, params};

/// Four entries that lie in packs and a zero chunk between them.
const LINES: [Line; 5] = [(1, 10, 0), (2, 20, 0), (0, 1024, 0), (3, 30, 0), (4, 40, 0)];

fn forge(map: Vec<u8>) -> Forge {
    let mut forge = many().with_leaves(vec![Leaf::of(&LINES, map)]);
    forge.blocks.truncate(1);
    forge.record.blocks = 1;
    forge.record.chunks = 5;
    forge
}

fn refusal_of_runs(list: &[Run]) -> DecodeErrorKind {
    refusal(&forge(runs(list)))
}

fn refused(run: Run) -> LocationError {
    match refusal_of_runs(&[Run { count: 4, ..run }]) {
        DecodeErrorKind::Location(cause) => cause,
        other => panic!("{other:?}"),
    }
}

fn run(count: u64) -> Run {
    Run { count, ..Run::default() }
}

#[test]
fn a_zero_chunk_does_not_interrupt_a_run() {
    let file = forge(runs(&[Run { first: 5, ..run(4) }])).file();
    let index = Index::decode(&file).unwrap();
    let firsts: Vec<_> =
        index.entries().map(|placed| placed.location.map(|location| location.first)).collect();
    assert_eq!(firsts, [Some(5), Some(15), None, Some(35), Some(65)]);
}

#[test]
fn the_next_frame_lies_behind_the_one_before() {
    let file =
        forge(runs(&[run(2), Run { at: None, stored_len: 7, ..run(1) }, Run { at: None, ..run(1) }])).file();
    let index = Index::decode(&file).unwrap();
    let offsets: Vec<_> =
        index.entries().filter_map(|placed| placed.location).map(|location| location.frame.offset).collect();
    assert_eq!(offsets, [16, 16, 116, 123]);
}

#[test]
fn runs_that_do_not_cover_the_entries_exactly_are_refused() {
    let covered = |covered| DecodeErrorKind::Coverage { stored: 4, covered };
    assert_eq!(refusal_of_runs(&[]), covered(0));
    assert_eq!(refusal_of_runs(&[run(3)]), covered(3));
    assert_eq!(refusal_of_runs(&[run(5)]), covered(5));
    assert_eq!(refusal_of_runs(&[run(4), Run { at: None, ..run(1) }]), covered(5));
    assert_eq!(refusal_of_runs(&[run(1), Run { at: None, ..run((1 << 63) - 1) }]), covered(1 << 63));
    let of = "number of entries in a run";
    assert_eq!(refusal_of_runs(&[run(0)]), DecodeErrorKind::Zero { of });
}

#[test]
fn a_count_of_runs_is_not_believed() {
    let map = [varint(u64::MAX), runs(&[run(4)])[1..].to_vec()].concat();
    assert_eq!(refusal(&forge(map)), DecodeErrorKind::Truncated { missing: 1 });
}

#[test]
fn a_first_run_in_the_next_frame_is_refused() {
    assert_eq!(refusal_of_runs(&[Run { at: None, ..run(4) }]), DecodeErrorKind::NoPreviousRun);
}

#[test]
fn runs_in_a_longer_form_are_refused() {
    // Two runs where one would do, and a frame that is stated though it is the next.
    let continued = Run { first: 30, ..run(2) };
    assert_eq!(refusal_of_runs(&[run(2), continued]), DecodeErrorKind::RunNotShortest);
    let restated = Run { at: Some((0, 116)), ..run(2) };
    assert_eq!(refusal_of_runs(&[run(2), restated]), DecodeErrorKind::RunNotShortest);
    // Another place of the same frame is a run of its own, and a frame elsewhere is stated.
    let apart = Run { first: 31, ..run(2) };
    Index::decode(forge(runs(&[run(2), apart])).file()).unwrap();
    let elsewhere = Run { at: Some((1, 116)), ..run(2) };
    Index::decode(forge(runs(&[run(2), elsewhere])).file()).unwrap();
}

#[test]
fn runs_outside_their_frame_are_refused() {
    let fits = Run { count: 4, plain_len: 105, first: 5, ..Run::default() };
    Index::decode(forge(runs(&[fits])).file()).unwrap();
    let outside = |first, len, plain_len| LocationError::OutsideFrame { first, len, plain_len };
    assert_eq!(refused(Run { plain_len: 104, ..fits }), outside(65, 40, 104));
    assert_eq!(refused(Run { first: 106, ..fits }), outside(106, 10, 105));
    assert_eq!(refused(Run { first: u64::from(u32::MAX), ..fits }), outside(u32::MAX, 10, 105));
}

#[test]
fn frames_outside_their_pack_are_refused() {
    let fits = Run { at: Some((1, u64::from(PACK_LEN) - 100)), ..run(4) };
    Index::decode(forge(runs(&[fits])).file()).unwrap();
    let outside = |end| LocationError::OutsidePack { end, pack_len: PACK_LEN };
    assert_eq!(refused(Run { stored_len: 101, ..fits }), outside(u64::from(PACK_LEN) + 1));
    let max = u64::from(u32::MAX);
    assert_eq!(refused(Run { at: Some((0, max)), stored_len: max, ..fits }), outside(2 * max));
    let next = Run { at: None, ..run(2) };
    let last = DecodeErrorKind::Location(outside(u64::from(PACK_LEN) + 100));
    assert_eq!(refusal_of_runs(&[Run { count: 2, ..fits }, next]), last);
}

#[test]
fn packs_that_the_locator_lacks_are_refused() {
    assert_eq!(refused(Run { at: Some((2, 16)), ..run(4) }), LocationError::UnknownPack { pack: 2 });
    let max = u64::from(u32::MAX);
    assert_eq!(refused(Run { at: Some((max, 16)), ..run(4) }), LocationError::UnknownPack { pack: u32::MAX });
}

#[test]
fn frames_that_no_pack_has_are_refused() {
    assert_eq!(refused(Run { stored_len: 0, ..run(4) }), LocationError::EmptyFrame);
    assert_eq!(refused(Run { plain_len: 0, ..run(4) }), LocationError::EmptyFrame);
    let plain_len = (4 << 20) + 1;
    assert_eq!(
        refused(Run { plain_len: plain_len.into(), ..run(4) }),
        LocationError::FrameTooLong { plain_len }
    );
    let raw = Run { raw: true, stored_len: 200, plain_len: 201, ..run(4) };
    assert_eq!(refused(raw), LocationError::RawLengths { stored_len: 200, plain_len: 201 });
}

#[test]
fn numbers_beyond_32_bits_are_refused() {
    let (max, found) = (u64::from(u32::MAX), 1 << 32);
    let refused = |change: Run| refusal_of_runs(&[change]);
    assert_eq!(refused(Run { at: Some((found, 16)), ..run(4) }), limit("number of a pack", max, found));
    assert_eq!(refused(Run { at: Some((0, found)), ..run(4) }), limit("offset of a frame", max, found));
    assert_eq!(refused(Run { stored_len: found, ..run(4) }), limit("stored length of a frame", max, found));
    assert_eq!(refused(Run { plain_len: found, ..run(4) }), limit("plain length of a frame", max, found));
    assert_eq!(refused(Run { first: found, ..run(4) }), limit("offset in a frame", max, found));
}

#[test]
fn a_map_with_bytes_missing_or_left_over_is_refused() {
    let map = runs(&[run(4)]);
    for end in 0..map.len() {
        assert!(matches!(refusal(&forge(map[..end].to_vec())), DecodeErrorKind::Truncated { .. }));
    }
    assert_eq!(refusal(&forge([map, vec![0]].concat())), DecodeErrorKind::Surplus { surplus: 1 });
}

#[test]
fn a_damaged_map_is_refused() {
    let file = forge(runs(&[run(4)])).file();
    let map = Index::decode(&file).unwrap().leaves().next().unwrap().map();
    for at in map {
        let mut damaged = file.clone();
        damaged[usize::try_from(at).unwrap()] ^= 0x40;
        assert_eq!(super::refusal_of(&damaged), DecodeErrorKind::Check);
    }
}

#[test]
fn a_builder_refuses_what_no_reader_would_take() {
    let short = ShortName::from_bytes([1; 6]);
    let frame = FrameRef { offset: 16, stored_len: 50, plain_len: 100, raw: false };
    let there = Location { pack: 0, frame, first: 0 };
    let push = |short, len, count, location| {
        TreeBuilder::new(params()).push(short, len, count, location, &mut Vec::new())
    };
    let outside = LocationError::OutsideFrame { first: 0, len: 101, plain_len: 100 };
    assert_eq!(push(short, 100, 1, Some(there)), Ok(()));
    assert_eq!(push(short, 101, 1, Some(there)), Err(BuildError::Location(outside)));
    assert_eq!(push(short, 0, 1, Some(there)), Err(BuildError::ChunkLength { len: 0, max: 1024 }));
    assert_eq!(push(short, 1025, 1, Some(there)), Err(BuildError::ChunkLength { len: 1025, max: 1024 }));
    assert_eq!(push(short, 1, 0, Some(there)), Err(BuildError::NoChunk));
    assert_eq!(push(short, 1, 1, None), Err(BuildError::Unlocated));
    assert_eq!(push(ShortName::ZERO, 1, 1, Some(there)), Err(BuildError::LocatedZero));
    assert_eq!(push(ShortName::ZERO, 1024, 1 << 38, None), Ok(()));
    let too_long = Err(BuildError::ImageTooLong { limit: 1 << 48 });
    assert_eq!(push(ShortName::ZERO, 1024, (1 << 38) + 1, None), too_long);
    assert_eq!(push(ShortName::ZERO, 1024, u64::MAX, None), too_long);
}

#[test]
fn a_builder_refuses_locators_and_blocks_that_do_not_fit() {
    let frame = FrameRef { offset: PACK_LEN - 50, stored_len: 50, plain_len: 100, raw: false };
    let finish = |pack, stored_len, blocks: &[_]| {
        let mut builder = TreeBuilder::new(params());
        let there = Location { pack, frame: FrameRef { stored_len, ..frame }, first: 0 };
        builder.push(ShortName::from_bytes([1; 6]), 9, 1, Some(there), &mut Vec::new()).unwrap();
        builder.finish(description(), &locator(2), blocks, &mut Vec::new()).map(|front| front.record.chunks())
    };
    let block = chunk_chunker::image::BlockHash::from_bytes([0; 32]);
    assert_eq!(finish(1, 50, &[block]), Ok(1));
    assert_eq!(finish(1, 50, &[]), Err(BuildError::Blocks { expected: 1, found: 0 }));
    let unknown = LocationError::UnknownPack { pack: 2 };
    assert_eq!(finish(2, 50, &[block]), Err(BuildError::Location(unknown)));
    let outside = LocationError::OutsidePack { end: u64::from(PACK_LEN) + 1, pack_len: PACK_LEN };
    assert_eq!(finish(1, 51, &[block]), Err(BuildError::Location(outside)));
}
