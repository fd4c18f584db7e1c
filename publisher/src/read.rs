//! The pipeline: one pass over an image that finds its chunk list and stores what is new.
//!
//! One thread, this one, does what must happen in order and waits for results; the pool does the rest. Queues
//! between the stages are bounded, so memory depends on the number of threads alone.

use std::ops::Range;

use chunk_chunker::image::{BLOCK, BlockHash, BlockTree, Blocks};
use chunk_index::{Digest, Index, ShortName};
use chunk_store::{Backend, Key, Lookup, Object, Place};
use rayon::ThreadPool;

use crate::Observer;
use crate::block::{Before, Block, Job, Pool};
use crate::cutting::Lines;
use crate::error::{MakeError, SourceError};
use crate::listing::Listing;
use crate::naming::{Batch, Held, Named, NamedChunk, NamedLine};
use crate::neighbours::Neighbours;
use crate::options::Options;
use crate::ordered::Ordered;
use crate::packing::{Added, Found, Packing, Spot};
use crate::places::Places;
use crate::previous::{self, Previous};
use crate::repack::{Moves, repack};
use crate::reuse::{self, strike_out};
use crate::sha::Sha;
use crate::source::Source;

/// Longest image.
const IMAGE_LIMIT: u64 = 1 << 48;
/// Most jobs waiting in one stage, however many threads there are.
const DEEPEST: usize = 32;

/// What reading an image found out.
pub(crate) struct Image {
    pub(crate) len: u64,
    pub(crate) blake3: Digest,
    pub(crate) sha256: Option<Digest>,
    /// Hashes of the blocks that are not silent.
    pub(crate) hashes: Vec<BlockHash>,
    pub(crate) listing: Listing,
    pub(crate) added: Added,
}

/// What the pipeline works with.
pub(crate) struct Tools<'b> {
    /// The version that the image must turn out to be, if its packs are whole.
    pub(crate) frozen: Option<Key>,
    pub(crate) backend: &'b dyn Backend,
    pub(crate) options: &'b Options,
    pub(crate) lookup: &'b mut Lookup,
    pub(crate) pool: &'b ThreadPool,
    pub(crate) observer: &'b dyn Observer,
}

/// Reads an image once, copying what it shares with `previous`.
pub(crate) fn read(
    Tools { frozen, backend, options, lookup, pool, observer }: Tools<'_>,
    source: &mut Source,
    previous: Option<&Index<Object>>,
) -> Result<Image, MakeError> {
    let copied = previous.and_then(|index| Previous::new(index, lookup));
    let befores = previous.filter(|_| copied.is_some()).map(previous::blocks);
    let depth = (pool.current_num_threads() * 2 + 2).min(DEEPEST);
    let params = options.params;
    let frozen = frozen.filter(|_| copied.is_some());
    let packing = Packing::new(backend, lookup, pool, options, depth, frozen);
    let mut pipeline = Pipeline {
        lines: Lines::new(params, copied),
        before: reuse::Before::of(previous),
        packing,
        places: Places::new(&options.scratch),
        options,
        known: previous.map(|index| index.record().description().blake3),
        pool,
        naming: Ordered::new(depth),
        batch: Batch::default(),
        held: Held::default(),
        end: 0,
        tree: BlockTree::new(),
        hashes: Hashes::default(),
        sha: options.sha256.then(Sha::start),
    };
    let total = source.known_len();
    let mut befores = befores.into_iter().flatten();
    let mut blocks: Ordered<Result<Block, SourceError>> = Ordered::new(depth);
    let buffers = Pool::default();
    let (mut index, mut offset) = (0, 0);
    loop {
        while !blocks.is_full()
            && let Some(piece) = source.piece(offset, BLOCK, &buffers)?
        {
            let end = offset + piece.bytes.len() as u64;
            if end > IMAGE_LIMIT {
                return Err(SourceError::TooLong.into());
            }
            let job = Job {
                index,
                // Only the last block, and being the only one, changes how a block is hashed.
                blocks: Blocks::of_len(if piece.is_last { end } else { IMAGE_LIMIT }),
                piece: piece.bytes,
                before: befores.next().unwrap_or(Before::Unknown),
                params,
                pool: buffers.clone(),
            };
            blocks.spawn(pool, move || job.run());
            (index, offset) = (index + 1, end);
        }
        let block = blocks.next();
        // Looked at after the last block too: a stream may have ended because of the same signal.
        if observer.is_cancelled() {
            return Err(MakeError::Cancelled);
        }
        let Some(block) = block else { break };
        pipeline.take(block??)?;
        observer.progress(pipeline.end, total);
    }
    pipeline.finish()
}

struct Pipeline<'b> {
    lines: Lines<'b>,
    before: reuse::Before,
    packing: Packing<'b>,
    places: Places,
    options: &'b Options,
    /// BLAKE3 of the image before.
    known: Option<Digest>,
    pool: &'b ThreadPool,
    naming: Ordered<Named>,
    batch: Batch,
    /// Blocks that hold bytes of lines not yet handed to the naming.
    held: Held,
    end: u64,
    tree: BlockTree,
    hashes: Hashes,
    sha: Option<Sha>,
}

impl Pipeline<'_> {
    fn take(&mut self, block: Block) -> Result<(), MakeError> {
        self.tree.push(block.hash);
        self.hashes.push(block.hash);
        if let Some(sha) = &self.sha {
            sha.push(block.bytes.clone());
        }
        self.held.push(self.end, block.bytes.clone());
        self.end += block.bytes.as_ref().len() as u64;
        self.lines.push(block);
        self.cut()
    }

    fn cut(&mut self) -> Result<(), MakeError> {
        while let Some(line) = self.lines.next() {
            self.batch.push(line);
            if self.batch.is_full() {
                self.name()?;
            }
        }
        // What is still in the batch keeps its blocks.
        self.held.release(self.batch.needs_from().unwrap_or(self.lines.position()));
        Ok(())
    }

    /// Hands the batch to the naming.
    fn name(&mut self) -> Result<(), MakeError> {
        if self.naming.is_full() {
            self.pack_next()?;
        }
        let batch = self.batch.take(&self.held);
        self.naming.spawn(self.pool, move || batch.run());
        Ok(())
    }

    /// Finds the places of the oldest named batch; false if there is none.
    fn pack_next(&mut self) -> Result<bool, MakeError> {
        let Some(named) = self.naming.next() else { return Ok(false) };
        let Named { lines, blocks } = named?;
        let found: Vec<_> = lines.iter().map(|line| self.find(line)).collect();
        let mut reused: Vec<_> =
            lines.iter().zip(&found).map(|(line, found)| self.costs(line, found)).collect();
        let starts = lines.first().is_some_and(|line| line.range.start == 0);
        let ends = self.lines.is_finished() && lines.last().is_some_and(|line| line.range.end == self.end);
        strike_out(&mut reused, (!starts, !ends));
        for ((NamedLine { range, chunk }, found), reused) in lines.into_iter().zip(found).zip(reused) {
            let len = len_of(&range);
            let (short, spot) = match chunk {
                NamedChunk::Known { short, place } => (short, place.map_or(Spot::Nowhere, Spot::Placed)),
                NamedChunk::Zeros => (ShortName::ZERO, Spot::Nowhere),
                NamedChunk::Named(name) => {
                    let short = ShortName::of(&name);
                    // A chunk may have been stored since the batch was looked up as a whole.
                    let spot = match (found, self.packing.find(&name, len)) {
                        (_, Found::New(spot)) => spot,
                        (Found::Old(place), _) if reused.is_some() || self.before.has(short, len) => {
                            Spot::Placed(place)
                        }
                        (Found::Old(_), _) => self.packing.store_again(name, len, blocks.parts(&range))?,
                        _ => self.packing.store(name, len, blocks.parts(&range))?,
                    };
                    (short, spot)
                }
            };
            if spot != Spot::Nowhere {
                self.hashes.speak(range);
            }
            self.packing.tick()?;
            self.places.push(short, len, spot, &self.packing)?;
        }
        Ok(true)
    }

    /// Where a chunk that was cut lies.
    fn find(&self, line: &NamedLine) -> Found {
        match &line.chunk {
            NamedChunk::Named(name) => self.packing.find(name, len_of(&line.range)),
            _ => Found::Nowhere,
        }
    }

    /// The place in an older pack that a device would have to fetch a frame for.
    fn costs(&self, line: &NamedLine, found: &Found) -> Option<Place> {
        match (&line.chunk, found) {
            (NamedChunk::Named(name), Found::Old(place)) => {
                (!self.before.has(ShortName::of(name), place.len)).then_some(*place)
            }
            _ => None,
        }
    }

    fn finish(mut self) -> Result<Image, MakeError> {
        self.lines.finish();
        self.cut()?;
        if !self.batch.is_empty() {
            self.name()?;
        }
        while self.pack_next()? {}
        self.packing.flush()?;
        self.places.drain(&self.packing)?;
        let blake3 = self.tree.finish();
        let moves = if self.known == Some(blake3) {
            // Nothing is written for an image that did not change.
            Moves::default()
        } else {
            repack(&mut self.places, &mut self.packing)?
        };
        let added = self.packing.finish()?;
        let mut listing = Listing::new(self.options.params, &self.options.scratch);
        let mut neighbours = Neighbours::new()?;
        self.places.each(|line| {
            let line = moves.apply(line, &self.packing);
            listing.push(neighbours.join(line, &self.packing))
        })?;
        Ok(Image {
            len: self.end,
            blake3,
            sha256: self.sha.map(Sha::finish).transpose()?,
            hashes: self.hashes.finish(),
            listing,
            added,
        })
    }
}

fn len_of(range: &Range<u64>) -> u32 {
    u32::try_from(range.end - range.start).expect("no chunk is longer than a block")
}

/// The hashes of all blocks, and which of them the index is to carry.
#[derive(Default)]
struct Hashes {
    all: Vec<BlockHash>,
    loud: Vec<bool>,
}

impl Hashes {
    fn push(&mut self, hash: BlockHash) {
        self.all.push(hash);
        self.loud.push(false);
    }

    /// The bytes of `range` are not of a zero chunk.
    fn speak(&mut self, range: Range<u64>) {
        let block = |at: u64| usize::try_from(at / BLOCK as u64).expect("the block is in memory");
        self.loud[block(range.start)..=block(range.end - 1)].fill(true);
    }

    fn finish(self) -> Vec<BlockHash> {
        self.all.into_iter().zip(self.loud).filter_map(|(hash, loud)| loud.then_some(hash)).collect()
    }
}
