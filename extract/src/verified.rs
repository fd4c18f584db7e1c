//! Bytes that are known to be the image's.
//!
//! A target takes nothing but [`Verified`] blocks, and only [`Check::verify`] makes one.

use chunk_chunker::image::{BLOCK, Blocks};
use chunk_chunker::is_zero;
use chunk_index::Block;

/// Bytes that are known of a block beside its hash: what the target holds in its place, and whether that is right.
const BESIDE: usize = 48;

/// What the blocks of an image must be.
#[derive(Debug)]
pub(crate) struct Check {
    blocks: Blocks,
    said: Vec<Block>,
}

/// A block whose bytes have been compared with the version's identity.
#[derive(Debug)]
pub(crate) struct Verified {
    at: u64,
    bytes: Vec<u8>,
}

impl Check {
    pub(crate) fn new(blocks: Blocks, said: Vec<Block>) -> Self {
        Self { blocks, said }
    }

    /// The blocks of the image.
    pub(crate) fn blocks(&self) -> Blocks {
        self.blocks
    }

    /// Bytes that this, and what is known of each block beside, take in memory.
    pub(crate) fn memory(&self) -> usize {
        self.said.len() * (size_of::<Block>() + BESIDE)
    }

    /// What all blocks must be.
    pub(crate) fn all(&self) -> &[Block] {
        &self.said
    }

    /// Whether `bytes` are block `number`.
    pub(crate) fn is_right(&self, number: u64, bytes: &[u8]) -> bool {
        match self.said(number) {
            Block::Silent => is_zero(bytes),
            Block::Hash(hash) => self.blocks.hash(number, bytes) == hash,
        }
    }

    /// The right to write `bytes` if they are block `number`; otherwise gives them back.
    pub(crate) fn verify(&self, number: u64, bytes: Vec<u8>) -> Result<Verified, Vec<u8>> {
        if !self.is_right(number, &bytes) {
            return Err(bytes);
        }
        Ok(Verified { at: self.blocks.range(number).start, bytes })
    }

    fn said(&self, number: u64) -> Block {
        self.said[usize::try_from(number).expect("blocks are counted in memory")]
    }
}

impl Verified {
    /// Which block of the image it is.
    pub(crate) fn number(&self) -> u64 {
        self.at / BLOCK as u64
    }

    /// Where in the image the block starts.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives the buffer back for the next block.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_bytes_in_the_right_place_are_verified() {
        let block = 1 << 20;
        let image: Vec<u8> = (0..=250).cycle().take(block).chain(vec![0; 100]).collect();
        let blocks = Blocks::of_len(image.len() as u64);
        let check = Check::new(blocks, vec![Block::Hash(blocks.hash(0, &image[..block])), Block::Silent]);
        assert_eq!(check.verify(0, image[..block].to_vec()).map(|block| block.at()), Ok(0));
        let mut wrong = image[..block].to_vec();
        wrong[77] ^= 1;
        assert_eq!(check.verify(0, wrong.clone()).expect_err("one bit differs"), wrong);
        assert!(check.verify(1, image[block..].to_vec()).is_ok());
        assert!(check.verify(1, vec![1; 100]).is_err());
    }
}
