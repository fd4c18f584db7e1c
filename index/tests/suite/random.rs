//! Long chunk lists.

use chunk_index::{FrameRef, Location, ShortName};

use crate::sample::Piece;

/// A reproducible list of `count` chunks without zeros or repeats.
pub(crate) fn random_pieces(count: u64) -> Vec<Piece> {
    let frame = FrameRef { offset: 16, stored_len: 9, plain_len: 4096, raw: false };
    let piece = |number: u64| {
        let hash = *blake3::hash(&number.to_le_bytes()).as_bytes();
        let short = ShortName::from_bytes(*hash.first_chunk().unwrap());
        let len = 1 + u32::from(u16::from_le_bytes([hash[6], hash[7]])) % 1024;
        Piece { short, len, count: 1, location: Some(Location { pack: 0, frame, first: 0 }) }
    };
    (0..count).map(piece).collect()
}
