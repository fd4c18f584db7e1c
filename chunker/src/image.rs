//! The hash of an image, joined from the hashes of its blocks (FORMAT 3).
//!
//! BLAKE3 is a tree, and a block is a complete subtree of it. So blocks are hashed in any order, on any thread,
//! and checked one by one, while the join of their hashes is the very BLAKE3 that any tool prints for the
//! image.

use std::fmt;
use std::ops::Range;

use blake3::hazmat::{self, ChainingValue, HasherExt, Mode};

use crate::hex;

/// Length of a block. Only the last one of an image may be shorter.
pub const BLOCK: usize = 1 << 20;

/// The chaining value of a block in the tree of its image.
///
/// It depends on the place as well as on the bytes. When the image has one block only, it is the root of the
/// tree instead.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockHash([u8; 32]);

impl BlockHash {
    /// A block hash that was stored. Only a comparison with [`Blocks::hash`] tells whether bytes deserve it.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockHash(")?;
        hex::write(f, &self.0)?;
        f.write_str(")")
    }
}

/// The blocks of an image of known length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    image_len: u64,
}

impl Blocks {
    /// The blocks of an image of `image_len` bytes.
    pub const fn of_len(image_len: u64) -> Self {
        Self { image_len }
    }

    /// How many there are; none in an empty image.
    pub const fn count(self) -> u64 {
        self.image_len.div_ceil(BLOCK as u64)
    }

    /// From where to where in the image block `index` lies.
    ///
    /// # Panics
    ///
    /// If there is no such block.
    pub fn range(self, index: u64) -> Range<u64> {
        assert!(index < self.count(), "block {index} of {}", self.count());
        let start = index * BLOCK as u64;
        start..start.saturating_add(BLOCK as u64).min(self.image_len)
    }

    /// Hashes `bytes` as block `index`.
    ///
    /// # Panics
    ///
    /// If there is no such block, or it has another length.
    pub fn hash(self, index: u64, bytes: &[u8]) -> BlockHash {
        let range = self.range(index);
        assert_eq!(bytes.len() as u64, range.end - range.start, "length of block {index}");
        if self.count() == 1 {
            return BlockHash(blake3::hash(bytes).into());
        }
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(range.start).update(bytes);
        BlockHash(hasher.finalize_non_root())
    }
}

/// Joins the hashes of all blocks of an image, given in order, to the BLAKE3 of the image.
///
/// Holds one hash for each level of the tree: at most 29 for the largest image of FORMAT 4.2.
#[derive(Debug, Clone, Default)]
pub struct BlockTree {
    /// Roots of complete subtrees, each larger than the next, but for the two last, which may be equal: a
    /// subtree is completed only when a further block shows that it is not the whole tree.
    subtrees: Vec<ChainingValue>,
    blocks: u64,
}

impl BlockTree {
    /// The tree of an image without blocks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next block.
    pub fn push(&mut self, BlockHash(hash): BlockHash) {
        // A count is the sum of its powers of two, and so many subtrees hold as many blocks.
        while self.subtrees.len() > self.blocks.count_ones() as usize {
            self.join_last_two(hazmat::merge_subtrees_non_root);
        }
        self.subtrees.push(hash);
        self.blocks += 1;
    }

    /// The BLAKE3 of the image.
    pub fn finish(mut self) -> [u8; 32] {
        while self.subtrees.len() > 2 {
            self.join_last_two(hazmat::merge_subtrees_non_root);
        }
        if self.subtrees.len() == 2 {
            self.join_last_two(|left, right, mode| hazmat::merge_subtrees_root(left, right, mode).into());
        }
        // The hash of a single block is the root already.
        self.subtrees.pop().unwrap_or_else(|| blake3::hash(&[]).into())
    }

    fn join_last_two(&mut self, join: fn(&ChainingValue, &ChainingValue, Mode<'_>) -> ChainingValue) {
        let right = self.subtrees.pop().expect("the caller has counted two");
        let left = self.subtrees.pop().expect("the caller has counted two");
        self.subtrees.push(join(&left, &right, Mode::Hash));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(len: usize) -> Vec<u8> {
        // A prime period, so that swapped blocks show.
        (0..=250).cycle().take(len).collect()
    }

    fn joined(image: &[u8]) -> [u8; 32] {
        let blocks = Blocks::of_len(image.len() as u64);
        let mut tree = BlockTree::new();
        for (index, bytes) in (0..).zip(image.chunks(BLOCK)) {
            tree.push(blocks.hash(index, bytes));
        }
        tree.finish()
    }

    #[test]
    fn joined_blocks_are_the_blake3_of_the_image() {
        let image = image(17 * BLOCK + 1);
        let counts = 0..=17;
        for len in counts.flat_map(|count| [count * BLOCK, count * BLOCK + 1, count * BLOCK + 5000]) {
            let image = &image[..len.min(image.len())];
            assert_eq!(joined(image), *blake3::hash(image).as_bytes(), "{len} bytes");
        }
    }

    #[test]
    fn blocks_cover_the_image() {
        assert_eq!(Blocks::of_len(0).count(), 0);
        assert_eq!(Blocks::of_len(1).range(0), 0..1);
        assert_eq!(Blocks::of_len(1 << 20).count(), 1);
        assert_eq!(Blocks::of_len((1 << 20) + 1).range(1), 1 << 20..(1 << 20) + 1);
        assert_eq!(Blocks::of_len(u64::MAX).range((1 << 44) - 1).end, u64::MAX);
    }

    #[test]
    fn the_same_bytes_hash_differently_in_another_place() {
        let blocks = Blocks::of_len(3 << 20);
        let bytes = vec![0; BLOCK];
        assert_ne!(blocks.hash(0, &bytes), blocks.hash(1, &bytes));
    }

    #[test]
    #[should_panic(expected = "block 2 of 2")]
    fn there_is_no_block_behind_the_last() {
        Blocks::of_len(2 << 20).range(2);
    }

    #[test]
    #[should_panic(expected = "length of block 0")]
    fn a_block_is_not_hashed_in_part() {
        Blocks::of_len(2 << 20).hash(0, b"part");
    }
}
