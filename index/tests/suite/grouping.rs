//! Where leaves and branches end, and what that spares a client.

use std::collections::HashSet;

use crate::random::random_pieces;
use crate::sample::{Piece, build, build_as, description, ends_branch, in_frame, short, small, word};
use chunk_chunker::Params;
use chunk_chunker::image::BlockHash;
use chunk_index::{
    Block, FrameRef, Index, Location, Locator, NodeRef, PackRef, ShortName, TreeBuilder, leaf_lists,
};

fn leaf_hashes(pieces: &[Piece]) -> Vec<[u8; 32]> {
    leaf_lists(pieces.iter().map(Piece::entry)).map(|list| *list.hash()).collect()
}

#[test]
fn an_edit_changes_few_leaves_and_few_branches() {
    let pieces = random_pieces(60_000);
    let branches = |file: &[u8]| -> HashSet<[u8; 32]> {
        Index::decode(file).unwrap().head().branches().iter().map(|branch| *branch.hash()).collect()
    };
    let old_leaves: HashSet<_> = leaf_hashes(&pieces).into_iter().collect();
    let old_branches = branches(&build(&pieces, 1));
    assert!(old_leaves.len() > 1000 && old_branches.len() > 8, "the list is long enough to tell");
    for at in (0..60_000).step_by(5999) {
        let mut inserted = pieces.clone();
        inserted.splice(at..at, random_pieces(60_007).split_off(60_000));
        let mut deleted = pieces.clone();
        deleted.drain(at..at + 2);
        for edited in [inserted, deleted] {
            let new_leaves =
                leaf_hashes(&edited).into_iter().filter(|hash| !old_leaves.contains(hash)).count();
            assert!(new_leaves <= 8, "{new_leaves} new leaves after an edit at {at}");
            let new_branches = branches(&build(&edited, 1)).difference(&old_branches).count();
            assert!(new_branches <= 3, "{new_branches} new branches after an edit at {at}");
        }
    }
}

#[test]
fn leaves_and_branches_have_the_sizes_of_the_format() {
    let mut pieces = random_pieces(40_000);
    // Where no name ends a leaf, the limit does.
    for piece in &mut pieces[10_000..20_000] {
        let mut bytes = piece.short.to_bytes();
        bytes[0] = 1;
        piece.short = ShortName::from_bytes(bytes);
    }
    let file = build(&pieces, 1);
    let index = Index::decode(&file).unwrap();
    let leaves: Vec<NodeRef> = index.leaves().collect();
    let sizes = leaves.iter().rev().skip(1).map(NodeRef::entries);
    assert!(sizes.clone().all(|size| (16..=256).contains(&size)));
    assert!(sizes.filter(|size| *size == 256).count() >= 38);
    assert_eq!(leaves.iter().filter(|leaf| leaf.is_last()).count(), 1);
    assert!(leaves.last().unwrap().is_last());
    assert!(leaves.windows(2).all(|pair| pair[0].file().end == pair[1].file().start));
    assert!(leaves.windows(2).all(|pair| pair[0].image().end == pair[1].image().start));
}

#[test]
fn a_branch_of_512_leaves_is_full() {
    // Leaves of 16 whose hash never ends a branch.
    let mut pieces: Vec<Piece> = Vec::new();
    for leaf in 0..513_u32 {
        let of = |extra: u32| -> Vec<Piece> {
            let location = Some(in_frame(0, 0));
            let piece = |number| Piece {
                short: short(leaf * 16 + number, true),
                len: 20 + extra,
                count: 1,
                location,
            };
            (0..16).map(piece).collect()
        };
        pieces.extend((0..9).map(of).find(|leaf| !ends_branch(leaf)).unwrap());
    }
    let file = build(&pieces, 1);
    let index = Index::decode(&file).unwrap();
    let entries: Vec<u64> = index.head().branches().iter().map(NodeRef::entries).collect();
    assert_eq!(entries, [512 * 16, 16]);
}

#[test]
fn an_empty_image_has_an_index() {
    let file = build(&[], 0);
    let index = Index::decode(&file).unwrap();
    assert_eq!(index.head().len(), u64::try_from(file.len()).unwrap());
    assert_eq!((index.entries().count(), index.blocks().count(), index.leaves().count()), (0, 0, 0));
}

#[test]
fn an_image_of_nothing_but_zeros_costs_one_entry() {
    let zeros = Piece { short: ShortName::ZERO, len: 1024, count: (1 << 48) / 1024, location: None };
    let file = build(&[zeros], 0);
    let index = Index::decode(&file).unwrap();
    assert_eq!(
        (index.record().image_len(), index.entries().count(), index.block_hashes().count()),
        (1 << 48, 1, 0)
    );
    assert!(file.len() < 700, "{} bytes", file.len());
}

#[test]
fn places_are_found_around_the_length_where_a_varint_grows() {
    // Head and branches say how far they reach, in one byte more from 2^14 on. Annotations bring both ends to
    // every length around that step.
    let pieces = &small()[..100];
    let mut ends = Vec::new();
    for padding in 15_000..16_000 {
        let mut description = description();
        for (key, start) in [("pad-a", 0), ("pad-b", 4000), ("pad-c", 8000), ("pad-d", 12_000)] {
            let len = 4000.min(padding - start);
            description.annotations.set(word(key), &"x".repeat(len)).unwrap();
        }
        let file = build_as(description, pieces, 2);
        let index = Index::decode(&file).unwrap();
        ends.extend([index.head().len(), index.head().leaves().start]);
    }
    let reached = |end: u64| ends.iter().filter(|found| **found == end).count();
    assert!([-2, -1, 1, 2].iter().all(|step| reached((1_u64 << 14).wrapping_add_signed(*step)) == 2));
}

#[test]
fn the_small_sample_has_what_the_hostile_tests_rely_on() {
    let file = build(&small(), 2);
    let index = Index::decode(&file).unwrap();
    assert_eq!(index.head().branches().len(), 3);
    assert_eq!(index.leaves().count(), 34);
    assert!(index.blocks().any(|(_, block)| block == Block::Silent));
    assert!(file.len() < 10_000, "{} bytes are too many to damage one by one", file.len());
}

#[test]
fn an_entry_of_a_long_list_costs_less_than_ten_bytes() {
    // Chunks of 9 KiB on average in frames of 256 KiB, all stored for this version.
    let mut frame = FrameRef { offset: 16, stored_len: 100_003, plain_len: 1 << 18, raw: false };
    let mut there = Location { pack: 0, frame, first: 0 };
    let mut builder = TreeBuilder::new(Params::new(2048, 8192, 65536, 2).unwrap());
    let mut leaves = Vec::new();
    let mut image_len = 0_u64;
    for Piece { short, .. } in random_pieces(200_000) {
        let [low, high, ..] = *blake3::hash(&short.to_bytes()).as_bytes();
        let len = 2048 + u32::from(u16::from_le_bytes([low, high])) % 14_337;
        if there.first + len > frame.plain_len {
            frame.offset = u32::try_from(frame.end()).unwrap();
            if frame.offset > 60 << 20 {
                (there.pack, frame.offset) = (there.pack + 1, 16);
            }
            there = Location { frame, first: 0, ..there };
        }
        builder.push(short, len, 1, Some(there), &mut leaves).unwrap();
        there.first += len;
        image_len += u64::from(len);
    }
    let hashes = vec![BlockHash::from_bytes([7; 32]); usize::try_from(image_len.div_ceil(1 << 20)).unwrap()];
    let packs = vec![PackRef { name: [1; 32], len: 64 << 20 }; usize::try_from(there.pack).unwrap() + 1];
    let front = builder.finish(description(), &Locator::new(packs).unwrap(), &hashes, &mut leaves).unwrap();
    let tree = front.bytes.len() + leaves.len() - 32 * hashes.len();
    assert!(tree < 200_000 * 10, "{tree} bytes without block hashes");
    Index::decode([front.bytes, leaves].concat()).unwrap();
}
