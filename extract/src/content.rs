//! What a target holds already, block by block.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use chunk_chunker::image::{BLOCK, BlockHash, BlockTree, Blocks};
use chunk_chunker::is_zero;
use chunk_index::Block;

use crate::job::{ExtractError, Observer, Progress};
use crate::seed::Window;

/// Holes, in blocks, that are hashed to know the BLAKE3 of an image: a second's work.
const MANY_HOLES: usize = 4096;

/// What a block of the target holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// Zeros, as the file system says.
    Hole,
    /// Bytes with this hash.
    Bytes { hash: BlockHash, zero: bool },
    /// Nothing that can be read.
    Nothing,
}

/// The blocks of a target, hashed.
#[derive(Debug)]
pub(crate) struct Content {
    blocks: Blocks,
    held: Vec<Held>,
}

impl Content {
    /// Hashes what `window` holds of an image with these `blocks`.
    pub(crate) fn of(
        window: &Window,
        blocks: Blocks,
        threads: usize,
        observer: &dyn Observer,
        progress: &(dyn Fn(u64, u64) -> Progress + Sync),
    ) -> Result<Self, ExtractError> {
        let count = usize::try_from(blocks.count()).expect("blocks are counted in memory");
        let extents = window.extents();
        let held = Mutex::new(vec![Held::Nothing; count]);
        let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..threads.clamp(1, count.max(1)) {
                scope.spawn(|| {
                    let mut buffer = Vec::with_capacity(BLOCK);
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= blocks.count() || observer.is_cancelled() {
                            break;
                        }
                        let range = blocks.range(number);
                        let found = block(window, &extents, blocks, number, &mut buffer);
                        let place = usize::try_from(number).expect("blocks are counted in memory");
                        held.lock().expect("nobody panics with it")[place] = found;
                        let done = done.fetch_add(range.end - range.start, Ordering::Relaxed);
                        observer.progress(&progress(done + (range.end - range.start), total(blocks)));
                    }
                });
            }
        });
        if observer.is_cancelled() {
            return Err(ExtractError::Cancelled);
        }
        Ok(Self { blocks, held: held.into_inner().expect("nobody panics with it") })
    }

    /// Which blocks do not have these hashes, ascending; none if there are too many holes to hash.
    pub(crate) fn differing(&self, hashes: &[BlockHash]) -> Option<Vec<u64>> {
        if self.holes() > MANY_HOLES {
            return None;
        }
        let said: Vec<Block> = hashes.iter().copied().map(Block::Hash).collect();
        let kept = self.kept(&said);
        Some((0..).zip(kept).filter(|(_, kept)| !kept).map(|(number, _)| number).collect())
    }

    /// Which blocks are what `said` says of them.
    pub(crate) fn kept(&self, said: &[Block]) -> Vec<bool> {
        let zeros = vec![0; BLOCK];
        let right = |(number, (held, said)): (u64, (&Held, &Block))| match (held, said) {
            (Held::Nothing, _) => false,
            (Held::Hole, Block::Silent) => true,
            (Held::Hole, Block::Hash(hash)) => {
                let range = self.blocks.range(number);
                self.blocks.hash(number, &zeros[..len(&range)]) == *hash
            }
            (Held::Bytes { zero, .. }, Block::Silent) => *zero,
            (Held::Bytes { hash, .. }, Block::Hash(said)) => hash == said,
        };
        (0..).zip(self.held.iter().zip(said)).map(right).collect()
    }

    /// The BLAKE3 of the image, if all of it could be read and it has not too many holes to hash.
    pub(crate) fn blake3(&self) -> Option<[u8; 32]> {
        let mut tree = BlockTree::new();
        self.hashes()?.into_iter().for_each(|hash| tree.push(hash));
        Some(tree.finish())
    }

    /// The hashes of all blocks, if all of them could be read and there are not too many holes to hash.
    pub(crate) fn hashes(&self) -> Option<Vec<BlockHash>> {
        if self.holes() > MANY_HOLES || self.held.contains(&Held::Nothing) {
            return None;
        }
        let zeros = vec![0; BLOCK];
        let hash = |(number, held): (u64, &Held)| match held {
            Held::Bytes { hash, .. } => *hash,
            _ => self.blocks.hash(number, &zeros[..len(&self.blocks.range(number))]),
        };
        Some((0..).zip(&self.held).map(hash).collect())
    }

    fn holes(&self) -> usize {
        self.held.iter().filter(|held| **held == Held::Hole).count()
    }
}

fn len(block: &Range<u64>) -> usize {
    usize::try_from(block.end - block.start).expect("a block is in memory")
}

fn total(blocks: Blocks) -> u64 {
    blocks.count().checked_sub(1).map_or(0, |last| blocks.range(last).end)
}

fn block(window: &Window, extents: &[Range<u64>], blocks: Blocks, number: u64, buffer: &mut Vec<u8>) -> Held {
    let range = blocks.range(number);
    if range.end > window.size() {
        return Held::Nothing;
    }
    let first = extents.partition_point(|extent| extent.end <= range.start);
    if extents.get(first).is_none_or(|extent| extent.start >= range.end) {
        return Held::Hole;
    }
    buffer.resize(len(&range), 0);
    match window.read(range.start, buffer) {
        Ok(()) => Held::Bytes { hash: blocks.hash(number, buffer), zero: is_zero(buffer) },
        Err(_) => Held::Nothing,
    }
}
