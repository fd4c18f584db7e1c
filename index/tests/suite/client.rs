//! A client that fetches only parts of an index learns what the whole would have told it.

use std::ops::Range;

use crate::random::random_pieces;
use crate::sample::{Piece, build, small};
use chunk_index::{DecodeErrorKind, Head, HeadError, Index, LeafList, Placed, leaf_lists};

/// Reads `file` as a network client does; lists with a hash in `known` are not read but taken from there.
fn fetched(file: &[u8], known: &[LeafList]) -> Vec<Placed> {
    let fetch =
        |range: Range<u64>| &file[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
    let mut enough = 10;
    let head = loop {
        match Head::decode(fetch(0..enough)) {
            Ok(head) => break head,
            Err(HeadError::Incomplete { needed }) if needed > enough => enough = needed,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(head.len(), enough, "the head asks for no more than it is");
    let blocks = head.decode_blocks(fetch(head.blocks())).unwrap();
    assert_eq!(u64::try_from(blocks.len()).unwrap(), head.record().blocks());
    let mut placed = Vec::new();
    for branch in head.branches() {
        for leaf in head.decode_branch(branch, fetch(branch.file())).unwrap() {
            let list = match known.iter().find(|list| list.hash() == leaf.hash()) {
                Some(list) => list.clone(),
                None => head.decode_list(&leaf, fetch(leaf.list())).unwrap(),
            };
            let locations = head.decode_map(&leaf, &list, fetch(leaf.map())).unwrap();
            let mut image_at = leaf.image().start;
            for (entry, location) in list.entries().iter().zip(locations) {
                let start = image_at;
                image_at += u64::from(entry.len) * (entry.repeats + 1);
                placed.push(Placed { image: start..image_at, entry: *entry, location });
            }
            assert_eq!(image_at, leaf.image().end);
        }
    }
    placed
}

#[test]
fn a_client_that_fetches_part_by_part_learns_the_same() {
    for pieces in [vec![], small(), random_pieces(10_000)] {
        let file = build(&pieces, 2);
        let index = Index::decode(&file).unwrap();
        assert_eq!(fetched(&file, &[]), index.entries().collect::<Vec<_>>());
    }
}

#[test]
fn a_client_that_knows_the_old_chunks_fetches_few_lists() {
    let old = random_pieces(10_000);
    let mut new = old.clone();
    new.drain(5000..5003);
    let file = build(&new, 1);
    let index = Index::decode(&file).unwrap();
    let known: Vec<LeafList> = leaf_lists(old.iter().map(Piece::entry)).collect();
    let unknown = index.leaves().filter(|leaf| known.iter().all(|list| list.hash() != leaf.hash())).count();
    assert!((1..=8).contains(&unknown), "{unknown} lists to fetch");
    assert_eq!(fetched(&file, &known), index.entries().collect::<Vec<_>>());
}

#[test]
fn a_head_is_read_off_the_front_of_more_bytes() {
    let file = build(&small(), 2);
    let whole = Index::decode(&file).unwrap();
    let len = usize::try_from(whole.head().len()).unwrap();
    assert_eq!(Head::decode(&file).as_ref(), Ok(whole.head()));
    assert_eq!(Head::decode(&file[..len]).as_ref(), Ok(whole.head()));
    for short in 0..len {
        let needed = if short < 48 { 48 } else { whole.head().len() };
        assert_eq!(Head::decode(&file[..short]), Err(HeadError::Incomplete { needed }));
    }
}

#[test]
fn parts_of_another_node_are_refused() {
    let file = build(&small(), 2);
    let index = Index::decode(&file).unwrap();
    let head = index.head();
    let bytes =
        |range: Range<u64>| &file[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
    let [first, second, ..] = head.branches() else { panic!("the sample has branches") };
    let refused = |error: chunk_index::DecodeError| matches!(error.kind, DecodeErrorKind::Digest);
    let other = bytes(second.list().start..second.list().start + first.file().end - first.file().start);
    assert!(refused(head.decode_branch(first, other).unwrap_err()));
    let leaves = head.decode_branch(first, bytes(first.file())).unwrap();
    assert!(refused(head.decode_list(&leaves[0], bytes(leaves[1].list())).unwrap_err()));
    let other = head.decode_list(&leaves[1], bytes(leaves[1].list())).unwrap();
    assert!(refused(head.decode_map(&leaves[0], &other, bytes(leaves[0].map())).unwrap_err()));
    assert!(refused(head.decode_blocks(&bytes(head.blocks())[32..]).err().unwrap()));
}
