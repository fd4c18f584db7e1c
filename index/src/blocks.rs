//! The blocks of a whole index: which are silent, and the hashes of the others.

use std::ops::Range;

use chunk_chunker::image::{BlockHash, Blocks};

use crate::entries::Entries;
use crate::index::CHECKED;
use crate::record::Record;

/// What an index says of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// It lies wholly within zero chunks, so it is zero.
    Silent,
    /// Its bytes have this hash.
    Hash(BlockHash),
}

/// Tells the silent blocks from the others by the entries, and gives the others their hashes.
pub(crate) struct BlockWalk<'a, H> {
    blocks: Blocks,
    numbers: Range<u64>,
    entries: Entries<'a>,
    hashes: H,
    /// The image bytes of the first entry, not zero, that ends after the blocks given so far.
    loud: Option<Range<u64>>,
}

impl<'a, H: Iterator<Item = BlockHash>> BlockWalk<'a, H> {
    pub(crate) fn new(record: &Record, mut entries: Entries<'a>, hashes: H) -> Self {
        let blocks = Blocks::of_len(record.image_len());
        let loud = next_loud(&mut entries);
        Self { blocks, numbers: 0..blocks.count(), entries, hashes, loud }
    }
}

fn next_loud(entries: &mut Entries<'_>) -> Option<Range<u64>> {
    entries.find(|placed| !placed.entry.short.is_zero()).map(|placed| placed.image)
}

impl<H: Iterator<Item = BlockHash>> Iterator for BlockWalk<'_, H> {
    type Item = (u64, Block);

    fn next(&mut self) -> Option<(u64, Block)> {
        let number = self.numbers.next()?;
        let block = self.blocks.range(number);
        while self.loud.as_ref().is_some_and(|loud| loud.end <= block.start) {
            self.loud = next_loud(&mut self.entries);
        }
        if self.loud.as_ref().is_none_or(|loud| loud.start >= block.end) {
            return Some((number, Block::Silent));
        }
        Some((number, Block::Hash(self.hashes.next().expect(CHECKED))))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.numbers.size_hint()
    }
}
