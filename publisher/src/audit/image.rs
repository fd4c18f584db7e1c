//! Images: every block rebuilt from the packs and hashed, once for all versions that have it from the same places.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::ops::Range;

use chunk_chunker::image::{BLOCK, BlockHash, BlockTree, Blocks};
use chunk_index::{Block, FrameRef, Index, Location, Locator, Placed};
use chunk_store::{Backend, Object};
use rayon::prelude::*;

use super::damage::VersionDamage;
use super::packs::Packs;
use super::rebuild::{DECODER, Rebuilder};
use crate::error::MakeError;

/// Blocks in hand for each thread: enough to keep packs and frames in use, few enough for memory.
const BLOCKS_PER_THREAD: usize = 16;
/// Blocks of zeros whose hashes are remembered: some 50 MB for 1 TiB of zeros.
const MOST_ZEROS: usize = 1 << 20;

/// What was found out about blocks, for all versions.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Blocks that are what their index says, by all that this depends on.
    whole: HashSet<[u8; 32]>,
    /// Hashes of zeros by the number of the block.
    zeros: HashMap<u64, BlockHash>,
}

/// What is wrong with the image that an index describes. `advance` hears how far the image has been looked at, and
/// may stop that.
pub(super) fn check(
    index: &Index<Object>,
    backend: &dyn Backend,
    packs: &Packs,
    known: &mut Known,
    mut advance: impl FnMut(u64) -> Result<(), MakeError>,
) -> Result<Option<VersionDamage>, MakeError> {
    let record = index.record();
    let blocks = Blocks::of_len(record.image_len());
    let mut told = told(index, blocks);
    let mut tree = BlockTree::new();
    let mut damaged: Vec<Range<u64>> = Vec::new();
    loop {
        let some: Vec<_> = told.by_ref().take(BLOCKS_PER_THREAD * rayon::current_num_threads()).collect();
        let Some(last) = some.last() else { break };
        let end = last.range.end;
        let found = some.par_iter().map_init(
            || Rebuilder::new(backend, packs, index.locator()),
            |rebuilder, told| {
                let rebuilder = rebuilder
                    .as_mut()
                    .map_err(|_| MakeError::store(DECODER)(ErrorKind::OutOfMemory.into()))?;
                Ok(told.look(blocks, index.locator(), known, rebuilder))
            },
        );
        let found: Vec<_> = found.collect::<Result<_, MakeError>>()?;
        for (Told { number, range, .. }, Found { hash, kind }) in some.into_iter().zip(found) {
            tree.push(hash);
            match kind {
                Kind::Zeros => known.learn_zeros(number, blocks, hash),
                Kind::Whole { key } => {
                    known.whole.insert(key);
                }
                Kind::Damaged => match damaged.last_mut().filter(|last| last.end == range.start) {
                    Some(last) => last.end = range.end,
                    None => damaged.push(range),
                },
            }
        }
        advance(end)?;
    }
    Ok(if !damaged.is_empty() {
        Some(VersionDamage::Image { ranges: damaged })
    } else if tree.finish() != record.description().blake3 {
        Some(VersionDamage::Digest)
    } else {
        None
    })
}

/// A block that an index tells of.
struct Told {
    number: u64,
    range: Range<u64>,
    said: Block,
    /// The entries that reach into it.
    entries: Vec<Placed>,
}

/// What became of it.
struct Found {
    /// What it should be; for a silent block, what it is.
    hash: BlockHash,
    kind: Kind,
}

enum Kind {
    Zeros,
    Whole { key: [u8; 32] },
    Damaged,
}

fn told(index: &Index<Object>, blocks: Blocks) -> impl Iterator<Item = Told> {
    let mut rest = index.entries().peekable();
    index.blocks().map(move |(number, said)| {
        let range = blocks.range(number);
        let mut entries = Vec::new();
        while let Some(placed) = rest.next_if(|placed| placed.image.end <= range.end) {
            entries.push(placed);
        }
        // One that goes on behind the block stays for the next.
        entries.extend(rest.peek().filter(|placed| placed.image.start < range.end).cloned());
        Told { number, range, said, entries }
    })
}

impl Told {
    fn look(&self, blocks: Blocks, locator: &Locator, known: &Known, rebuilder: &mut Rebuilder<'_>) -> Found {
        let Block::Hash(hash) = self.said else {
            return Found { hash: known.zeros(self.number, blocks), kind: Kind::Zeros };
        };
        let key = self.key(hash, blocks, locator);
        let is_whole = known.whole.contains(&key)
            || rebuilder
                .rebuild(&self.range, &self.entries)
                .is_some_and(|bytes| blocks.hash(self.number, bytes) == hash);
        Found { hash, kind: if is_whole { Kind::Whole { key } } else { Kind::Damaged } }
    }

    /// Stands for all that decides whether the block is whole: what it should be, where in an image, and where its
    /// bytes lie.
    fn key(&self, hash: BlockHash, blocks: Blocks, locator: &Locator) -> [u8; 32] {
        let mut key = blake3::Hasher::new();
        key.update(hash.as_bytes());
        // A block alone is hashed as none else is.
        for word in [u64::from(blocks.count() == 1), self.range.start, self.range.end] {
            key.update(&word.to_le_bytes());
        }
        for Placed { image, entry, location } in &self.entries {
            let part = image.start.max(self.range.start)..image.end.min(self.range.end);
            // Where in the chunk the block's part begins.
            let within = (part.start - image.start) % u64::from(entry.len);
            for word in [part.start, part.end, within, u64::from(entry.len), u64::from(location.is_some())] {
                key.update(&word.to_le_bytes());
            }
            key.update(&entry.short.to_bytes());
            if let Some(Location { pack, frame, first }) = location {
                let pack = locator.pack(*pack).expect("a checked index names only packs it lists");
                key.update(&pack.name);
                let FrameRef { offset, stored_len, plain_len, raw } = *frame;
                for word in [pack.len, offset, stored_len, plain_len, u32::from(raw), *first] {
                    key.update(&word.to_le_bytes());
                }
            }
        }
        *key.finalize().as_bytes()
    }
}

static ZEROS: [u8; BLOCK] = [0; BLOCK];

impl Known {
    /// The hash of a block of zeros.
    fn zeros(&self, number: u64, blocks: Blocks) -> BlockHash {
        let known = self.zeros.get(&number).filter(|_| is_ordinary(number, blocks));
        known.copied().unwrap_or_else(|| {
            let Range { start, end } = blocks.range(number);
            let len = usize::try_from(end - start).expect("a block is in memory");
            blocks.hash(number, &ZEROS[..len])
        })
    }

    fn learn_zeros(&mut self, number: u64, blocks: Blocks, hash: BlockHash) {
        if is_ordinary(number, blocks) && self.zeros.len() < MOST_ZEROS {
            self.zeros.insert(number, hash);
        }
    }
}

/// Whether zeros have the same hash in all such blocks of this number: none that is short, or alone in its image.
fn is_ordinary(number: u64, blocks: Blocks) -> bool {
    let Range { start, end } = blocks.range(number);
    end - start == BLOCK as u64 && blocks.count() > 1
}
