//! What holds for every chunk list: it reads back as it was written, in whole and in parts, and edits stay
//! local.

use crate::sample::{BLOCK, PACK_LEN, Piece, block_hashes, build, description, locator, loud_blocks, params};
use chunk_index::{
    Block, Entry, FrameRef, Index, LeafList, Location, PatchRef, Placed, ShortName, TreeBuilder, Ways,
    leaf_lists,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Where the next chunk lies, seen from the one before.
#[derive(Debug, Clone)]
enum Next {
    Behind,
    FollowingFrame { stored_len: u32, spare: u32 },
    Anywhere { pack: u8, offset: u32, spare: u32, raw: bool },
}

fn any_next() -> impl Strategy<Value = Next> {
    prop_oneof![
        4 => Just(Next::Behind),
        2 => (1..2000_u32, 0..3000_u32).prop_map(|(stored_len, spare)| Next::FollowingFrame { stored_len, spare }),
        1 => (0..3_u8, 0..PACK_LEN / 2, 0..3000_u32, any::<bool>())
            .prop_map(|(pack, offset, spare, raw)| Next::Anywhere { pack, offset, spare, raw }),
    ]
}

impl Next {
    fn place(self, len: u32, behind: Option<Location>) -> Location {
        match (self, behind) {
            (Next::Behind, Some(behind)) if behind.first + len <= behind.frame.plain_len => behind,
            (Next::FollowingFrame { stored_len, spare }, Some(Location { pack, frame, .. }))
                if frame.end() + u64::from(stored_len) <= u64::from(PACK_LEN) =>
            {
                let offset = u32::try_from(frame.end()).unwrap();
                Location {
                    pack,
                    frame: FrameRef { offset, stored_len, plain_len: len + spare, raw: false },
                    first: 0,
                }
            }
            (Next::Anywhere { pack, offset, spare, raw }, _) => {
                let plain_len = len + spare;
                let frame = FrameRef { offset, stored_len: plain_len, plain_len, raw };
                Location { pack: u32::from(pack), frame, first: spare }
            }
            _ => {
                let frame = FrameRef { offset: 16, stored_len: 99, plain_len: 4 << 20, raw: false };
                Location { pack: 0, frame, first: 0 }
            }
        }
    }
}

fn any_piece() -> impl Strategy<Value = (ShortName, u32, u64, Next)> {
    let short = prop_oneof![
        1 => Just(ShortName::ZERO),
        // Few names, so that neighbours are often equal.
        3 => (1..4_u8).prop_map(|low| ShortName::from_bytes([low, 0, 0, 0, 0, 0])),
        9 => any::<[u8; 6]>().prop_map(ShortName::from_bytes),
    ];
    let len = prop_oneof![2 => Just(64_u32), 3 => 1..=1024_u32, 1 => Just(1024_u32)];
    let count = prop_oneof![9 => Just(1_u64), 2 => 1..9_u64, 1 => 1..5000_u64];
    (short, len, count, any_next())
}

fn any_pieces(most: usize) -> impl Strategy<Value = Vec<Piece>> {
    vec(any_piece(), 0..most).prop_map(|pieces| {
        let mut behind = None;
        let mut last: Option<Piece> = None;
        let place = |(short, len, count, next): (ShortName, u32, u64, Next)| {
            // Neighbours that look alike are the same chunk, as they nearly always are, so they lie in one place.
            let alike = last.as_ref().filter(|last| last.short == short && last.len == len);
            let location = match alike {
                Some(last) => last.location,
                None => (!short.is_zero()).then(|| next.place(len, behind)),
            };
            behind = location.map(|location| Location { first: location.first + len, ..location }).or(behind);
            let piece = Piece { short, len, count, location };
            last = Some(piece.clone());
            piece
        };
        pieces.into_iter().map(place).collect()
    })
}

proptest! {
    #[test]
    fn an_index_says_what_its_builder_was_told(pieces in any_pieces(2000)) {
        let file = build(&pieces, 3);
        let index = Index::decode(&file).unwrap();
        let expected = merged(&pieces);
        let mut image_at = 0;
        let expected: Vec<Placed> = expected.into_iter().map(|(entry, location)| {
            let start = image_at;
            image_at += u64::from(entry.len) * (entry.repeats + 1);
            Placed { image: start..image_at, entry, location }
        }).collect();
        prop_assert_eq!(index.entries().collect::<Vec<_>>(), expected.clone());
        let record = index.record();
        prop_assert_eq!(record.description(), &description());
        prop_assert_eq!(record.params(), params());
        prop_assert_eq!(record.image_len(), image_at);
        prop_assert_eq!(record.entries(), u64::try_from(expected.len()).unwrap());
        prop_assert_eq!(record.chunks(), pieces.iter().map(|piece| piece.count).sum::<u64>());
        prop_assert_eq!(index.locator(), &locator(3));
    }

    #[test]
    fn an_index_built_from_its_own_entries_is_the_same_file(pieces in any_pieces(800)) {
        let file = build(&pieces, 3);
        let index = Index::decode(file.as_slice()).unwrap();
        prop_assert_eq!(rebuilt(&index), &file[..]);
    }

    #[test]
    fn patches_change_no_version(pieces in any_pieces(800), bases in vec(any::<[u8; 32]>(), 1..10)) {
        let file = build(&pieces, 3);
        let index = Index::decode(file.as_slice()).unwrap();
        let patch = |(next, base)| PatchRef { base, base_len: 5, name: [7; 32], len: 9, next };
        let next = [None].into_iter().chain((0..).map(Some));
        let ways = Ways::new(next.zip(bases).map(patch).collect()).unwrap();
        let more = [&index.with_ways(ways.clone()).unwrap().bytes, index.leaf_bytes()].concat();
        let more = Index::decode(more.as_slice()).unwrap();
        prop_assert_eq!(more.id(), index.id());
        prop_assert!(more.entries().eq(index.entries()));
        prop_assert_eq!(more.locator().ways(), &ways);
        // The one encoding of it: the builder writes the same.
        prop_assert_eq!(rebuilt(&more), more.bytes());
    }

    #[test]
    fn entries_from_an_offset_start_with_the_one_that_holds_it(pieces in any_pieces(800), part in 0..=100_u64) {
        let file = build(&pieces, 3);
        let index = Index::decode(&file).unwrap();
        let offset = index.record().image_len() * part / 100;
        let expected: Vec<_> = index.entries().filter(|placed| placed.image.end > offset).collect();
        prop_assert_eq!(index.entries_from(offset).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn silent_blocks_are_those_that_no_stored_chunk_touches(pieces in any_pieces(40)) {
        let file = build(&pieces, 3);
        let index = Index::decode(&file).unwrap();
        let loud = loud_blocks(&pieces);
        let mut hashes = block_hashes(&pieces).into_iter();
        let expected: Vec<(u64, Block)> = (0..index.record().image_len().div_ceil(BLOCK))
            .map(|number| if loud.contains(&number) { (number, Block::Hash(hashes.next().unwrap())) } else { (number, Block::Silent) })
            .collect();
        prop_assert_eq!(index.blocks().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn known_chunks_rebuild_the_hashes_of_the_leaves(pieces in any_pieces(2000)) {
        let file = build(&pieces, 3);
        let index = Index::decode(&file).unwrap();
        let leaves: Vec<[u8; 32]> = index.leaves().map(|leaf| *leaf.hash()).collect();
        let hashes = |lists: Vec<LeafList>| -> Vec<[u8; 32]> { lists.iter().map(|list| *list.hash()).collect() };
        let joined = leaf_lists(index.entries().map(|placed| placed.entry)).collect();
        let one_by_one = leaf_lists(pieces.iter().flat_map(|piece| {
            (0..piece.count).map(|_| Entry { repeats: 0, ..piece.entry() })
        })).collect();
        prop_assert_eq!(&hashes(joined), &leaves);
        prop_assert_eq!(&hashes(one_by_one), &leaves);
    }
}

#[test]
fn chunks_that_look_alike_but_lie_apart_stay_apart() {
    let short = ShortName::from_bytes([7; 6]);
    let frame = FrameRef { offset: 16, stored_len: 99, plain_len: 4000, raw: false };
    let at = |first| Some(Location { pack: 0, frame, first });
    let piece = |count, location| Piece { short, len: 500, count, location };
    let pieces = [piece(1, at(0)), piece(2, at(500)), piece(1, at(500)), piece(1, at(0))];
    let index = Index::decode(build(&pieces, 3)).unwrap();
    let entries: Vec<_> = index.entries().map(|placed| (placed.entry.repeats, placed.location)).collect();
    assert_eq!(entries, [(0, at(0)), (2, at(500)), (0, at(0))]);
}

/// What the entries should be: equal neighbours joined, with the location of the first.
fn merged(pieces: &[Piece]) -> Vec<(Entry, Option<Location>)> {
    let mut entries: Vec<(Entry, Option<Location>)> = Vec::new();
    for piece in pieces {
        match entries.last_mut() {
            Some((last, _)) if last.short == piece.short && last.len == piece.len => {
                last.repeats += piece.count;
            }
            _ => entries.push((piece.entry(), piece.location)),
        }
    }
    entries
}

/// The file that a builder makes of what `index` says.
fn rebuilt(index: &Index<&[u8]>) -> Vec<u8> {
    let record = index.record();
    let mut builder = TreeBuilder::new(record.params());
    let mut leaves = Vec::new();
    for Placed { entry: Entry { short, len, repeats }, location, .. } in index.entries() {
        builder.push(short, len, repeats + 1, location, &mut leaves).unwrap();
    }
    let blocks: Vec<_> = index.block_hashes().collect();
    let front = builder.finish(record.description().clone(), index.locator(), &blocks, &mut leaves).unwrap();
    assert_eq!(&front.record, record);
    [front.bytes, leaves].concat()
}
