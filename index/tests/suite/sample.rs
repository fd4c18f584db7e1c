//! Valid indexes to test with, and a naive reading of what they should say.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use chunk_chunker::Params;
use chunk_chunker::image::BlockHash;
use chunk_index::{
    Annotations, Description, Entry, FrameRef, Location, Locator, PackRef, ShortName, TreeBuilder, Word,
    leaf_lists,
};

pub(crate) const BLOCK: u64 = 1 << 20;
pub(crate) const PACK_LEN: u32 = 1 << 20;

/// Equal chunks that follow each other, as a publisher pushes them.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) short: ShortName,
    pub(crate) len: u32,
    pub(crate) count: u64,
    pub(crate) location: Option<Location>,
}

impl Piece {
    pub(crate) fn entry(&self) -> Entry {
        Entry { short: self.short, len: self.len, repeats: self.count - 1 }
    }

    pub(crate) fn image_len(&self) -> u64 {
        u64::from(self.len) * self.count
    }
}

pub(crate) fn params() -> Params {
    Params::new(64, 256, 1024, 0).unwrap()
}

pub(crate) fn word(text: &str) -> Word {
    text.parse().unwrap()
}

pub(crate) fn description() -> Description {
    let mut annotations = Annotations::default();
    annotations.set(word("arch"), "riscv64").unwrap();
    annotations.set(word("compatible"), "board-a board-b").unwrap();
    Description {
        line: word("image.ext4"),
        label: word("2.1+rc1"),
        release: NonZeroU64::new(7).unwrap(),
        annotations,
        blake3: [0xb3; 32],
        sha256: Some([0x25; 32]),
    }
}

/// A locator of `count` packs.
pub(crate) fn locator(count: u8) -> Locator {
    let pack = |number| PackRef { name: [number; 32], len: PACK_LEN };
    Locator::new((0..count).map(pack).collect()).unwrap()
}

/// Made-up hashes for the blocks that are not silent: it takes no image to test an index.
pub(crate) fn block_hashes(pieces: &[Piece]) -> Vec<BlockHash> {
    let loud = loud_blocks(pieces).into_iter();
    loud.map(|block| BlockHash::from_bytes(*blake3::hash(&block.to_le_bytes()).as_bytes())).collect()
}

/// The blocks that are not silent, found the slow way.
pub(crate) fn loud_blocks(pieces: &[Piece]) -> BTreeSet<u64> {
    let mut loud = BTreeSet::new();
    let mut at = 0;
    for piece in pieces {
        let end = at + piece.image_len();
        if !piece.short.is_zero() {
            loud.extend(at / BLOCK..=(end - 1) / BLOCK);
        }
        at = end;
    }
    loud
}

/// The whole file for these pieces.
pub(crate) fn build(pieces: &[Piece], packs: u8) -> Vec<u8> {
    build_as(description(), pieces, packs)
}

pub(crate) fn build_as(description: Description, pieces: &[Piece], packs: u8) -> Vec<u8> {
    let mut builder = TreeBuilder::new(params());
    let mut leaves = Vec::new();
    for Piece { short, len, count, location } in pieces {
        builder.push(*short, *len, *count, *location, &mut leaves).unwrap();
    }
    let front = builder.finish(description, &locator(packs), &block_hashes(pieces), &mut leaves).unwrap();
    [front.bytes, leaves].concat()
}

/// A short name that ends a leaf of 16 entries, or one that does not.
pub(crate) fn short(number: u32, ends_leaf: bool) -> ShortName {
    let [a, b, c, d] = number.to_le_bytes();
    ShortName::from_bytes([if ends_leaf { 0x20 } else { 0x21 }, a, b, c, d, 1])
}

/// The chunk at `first` of a frame of 1024 plain bytes in pack 0.
pub(crate) fn in_frame(number: u32, first: u32) -> Location {
    let frame = FrameRef { offset: 16 + 600 * number, stored_len: 600, plain_len: 1024, raw: false };
    Location { pack: 0, frame, first }
}

/// Two branches of the least size and the start of a third, with silent blocks, repeats, runs of every form and
/// two packs.
pub(crate) fn small() -> Vec<Piece> {
    let mut pieces = Vec::new();
    for leaf in 0..34 {
        let base = leaf_pieces(leaf, 0);
        // The sixteenth leaf ends a branch only if its hash says so: its last length is tried until it does.
        let wanted = leaf % 16 == 15;
        let found =
            (0..700).map(|extra| leaf_pieces(leaf, extra)).find(|leaf| ends_branch(leaf)).filter(|_| wanted);
        pieces.extend(found.unwrap_or(base));
    }
    pieces
}

/// Whether these pieces, one leaf, have a hash that ends a branch.
pub(crate) fn ends_branch(pieces: &[Piece]) -> bool {
    let lists: Vec<_> = leaf_lists(pieces.iter().map(Piece::entry)).collect();
    assert_eq!(lists.len(), 1, "the pieces are one leaf");
    lists[0].hash()[31].is_multiple_of(64)
}

/// The sixteen entries of leaf number `leaf`; the last chunk is `extra` bytes longer.
fn leaf_pieces(leaf: u32, extra: u32) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for number in 0..16 {
        let id = leaf * 16 + number;
        pieces.push(match number {
            3 if leaf == 5 => Piece { short: ShortName::ZERO, len: 1024, count: 3000, location: None },
            4 => Piece { short: ShortName::ZERO, len: 777, count: 1, location: None },
            9 => Piece {
                short: short(id, true),
                len: 33,
                count: 1 + u64::from(leaf),
                location: Some(in_frame(id, 0)),
            },
            10 => {
                let raw = FrameRef { offset: 9000, stored_len: 500, plain_len: 500, raw: true };
                let location = Some(Location { pack: 1, frame: raw, first: 200 });
                Piece { short: short(id, true), len: 300, count: 1, location }
            }
            15 => {
                Piece { short: short(id, true), len: 50 + extra, count: 1, location: Some(in_frame(id, 7)) }
            }
            // Threes that share a frame, then the next frame.
            _ => Piece {
                short: short(id, false),
                len: 40,
                count: 1,
                location: Some(in_frame(id / 3, id % 3 * 40)),
            },
        });
    }
    pieces
}
