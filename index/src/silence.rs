//! Which blocks are silent: those wholly within zero chunks, which carry no hash (FORMAT 3).

use chunk_chunker::image::{BLOCK, Blocks};

#[expect(clippy::as_conversions, reason = "a constant, and `try_from` is not const")]
const BLOCK_LEN: u64 = BLOCK as u64;

/// Counts the blocks that are not silent while the chunk list goes by.
#[derive(Debug, Default, Clone)]
pub(crate) struct LoudBlocks {
    image_at: u64,
    /// The blocks before this one are counted.
    next: u64,
    count: u64,
}

impl LoudBlocks {
    /// The next `len` bytes of the image are zero chunks or are not.
    pub(crate) fn push(&mut self, zero: bool, len: u64) {
        let end = self.image_at.saturating_add(len);
        if !zero && len > 0 {
            let first = self.next.max(self.image_at / BLOCK_LEN);
            self.next = Blocks::of_len(end).count();
            self.count = self.count.saturating_add(self.next.saturating_sub(first));
        }
        self.image_at = end;
    }

    /// Blocks so far that have a hash.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}
