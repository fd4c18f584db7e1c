//! An image that is rebuilt where somebody looks at it.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chunk_chunker::image::{BLOCK, Blocks};
use chunk_fetch::{Source, join};
use chunk_index::{FrameRef, Locator, Placed, Record, VersionId};
use chunk_store::{Decoder, Frame, Key, PackName};

use crate::ReadError;
use crate::job::{ExtractError, Job};
use crate::places::Places;
use crate::recipe::Recipe;
use crate::seed::Seed;
use crate::survey::{Known, Looked};
use crate::verified::Check;

/// Bytes of finished blocks that are kept for the next reader.
const KEPT: usize = 32 << 20;
/// Largest gap between two frames of a block that is fetched with them.
const GAP: u64 = 16 << 10;
/// Longest request.
const LONGEST: u64 = 1 << 20;
/// How often the store is asked for frames that turn out wrong.
const DOUBTS: u32 = 3;

/// An image of which any part can be read, from seeds and from a store, as if it were there.
///
/// Many threads may read at once. Every block is checked before any of its bytes are given.
pub struct Image<'a> {
    source: &'a dyn Source,
    recipe: Recipe,
    check: Check,
    places: Places,
    seeds: Vec<Seed>,
    kept: Mutex<VecDeque<(u64, Arc<Vec<u8>>)>>,
}

impl std::fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Image").field(&self.id()).finish()
    }
}

impl<'a> Job<'a> {
    /// The image, to be read in any order instead of written. The destination does not matter.
    pub fn open(mut self) -> Result<Image<'a>, ExtractError> {
        let index = self.open_index()?;
        let Looked::Wrong(survey, index) = self.look(index, None, false)? else {
            unreachable!("there is no target to be right")
        };
        let Known { survey, mut recipe, object, places } = self.survey(survey, index)?;
        // Whoever looks for a chunk that a seed turns out not to have needs to know where it lies.
        recipe.fetch_maps(self.source, &object, |_, _| true)?;
        let check = Check::new(recipe.blocks(), recipe.said()?);
        let seeds = survey.parts.into_iter().map(|part| part.seed).collect();
        Ok(Image { source: self.source, recipe, check, places, seeds, kept: Mutex::default() })
    }
}

impl Image<'_> {
    /// What the version is.
    pub fn record(&self) -> &Record {
        self.recipe.record()
    }

    /// The version's id.
    pub fn id(&self) -> VersionId {
        self.recipe.head().id()
    }

    /// The blocks of the image: the unit in which it is rebuilt.
    pub fn blocks(&self) -> Blocks {
        self.recipe.blocks()
    }

    /// The bytes of block `number`, which must be one of [`Image::blocks`].
    pub fn block(&self, number: u64) -> Result<Arc<Vec<u8>>, ReadError> {
        if let Some((_, bytes)) = self.kept().iter().find(|(kept, _)| *kept == number) {
            return Ok(Arc::clone(bytes));
        }
        let bytes = Arc::new(self.build(number)?);
        let mut kept = self.kept();
        kept.push_back((number, Arc::clone(&bytes)));
        while kept.len() * BLOCK > KEPT {
            kept.pop_front();
        }
        Ok(bytes)
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(u64, Arc<Vec<u8>>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn build(&self, number: u64) -> Result<Vec<u8>, ReadError> {
        let block = self.blocks().range(number);
        let entries: Vec<Placed> = self
            .recipe
            .entries_from(block.start)
            .take_while(|placed| placed.image.start < block.end)
            .collect();
        let mut buffer = vec![0; in_memory(block.end - block.start)];
        let missing: Vec<&Placed> =
            entries.iter().filter(|placed| !self.fill_from_seed(placed, &block, &mut buffer)).collect();
        self.fill_from_store(&missing, 0, &block, &mut buffer)?;
        let all: Vec<&Placed> = entries.iter().collect();
        for doubt in 0..=DOUBTS {
            match self.check.verify(number, buffer) {
                Ok(verified) => return Ok(verified.into_buffer()),
                Err(wrong) if doubt < DOUBTS => {
                    // A seed was not what it seemed, or the store; the store is asked for all of it.
                    buffer = wrong;
                    self.fill_from_store(&all, doubt, &block, &mut buffer)?;
                }
                Err(_) => break,
            }
        }
        Err(ReadError::Block { image: block })
    }

    /// Whether the chunk of `placed` could be read from a seed, or is zero.
    fn fill_from_seed(&self, placed: &Placed, block: &Range<u64>, buffer: &mut [u8]) -> bool {
        if placed.entry.short.is_zero() {
            return true;
        }
        let Some(place) = self.places.find(&placed.entry) else { return false };
        let mut chunk = vec![0; placed.entry.len as usize];
        let read = self.seeds[usize::from(place.seed)].read(place.offset, &mut chunk);
        if read.is_ok() {
            spread(placed, block, &chunk, buffer);
        }
        read.is_ok()
    }

    /// Fills the places of `entries` with what the store has; frames that lie together are asked for together.
    fn fill_from_store(
        &self,
        entries: &[&Placed],
        doubt: u32,
        block: &Range<u64>,
        buffer: &mut [u8],
    ) -> Result<(), ReadError> {
        let mut wanted: Vec<(u32, FrameRef)> =
            entries.iter().filter_map(|placed| placed.location.map(|at| (at.pack, at.frame))).collect();
        wanted.sort_unstable_by_key(|(pack, frame)| (*pack, frame.offset));
        wanted.dedup();
        let mut frames: HashMap<(u32, u32), Vec<u8>> = HashMap::new();
        let mut decoder = Decoder::new().map_err(ReadError::Decoder)?;
        for pack in wanted.chunk_by(|one, other| one.0 == other.0) {
            self.fetch_frames(pack, doubt, &mut decoder, &mut frames)?;
        }
        for placed in entries {
            match placed.location.map(|at| (at, frames.get(&(at.pack, at.frame.offset)))) {
                Some((at, Some(frame))) => {
                    let chunk = &frame[at.first as usize..][..placed.entry.len as usize];
                    spread(placed, block, chunk, buffer);
                }
                Some((_, None)) => {}
                None => spread(placed, block, &vec![0; placed.entry.len as usize], buffer),
            }
        }
        Ok(())
    }

    /// Fetches and decodes frames of one pack. Damaged ones are left out: the block's hash will tell.
    fn fetch_frames(
        &self,
        wanted: &[(u32, FrameRef)],
        doubt: u32,
        decoder: &mut Decoder,
        frames: &mut HashMap<(u32, u32), Vec<u8>>,
    ) -> Result<(), ReadError> {
        let locator: &Locator = self.recipe.head().locator();
        let number = wanted[0].0;
        let pack = locator.pack(number).expect("a checked map names only packs of the locator");
        let object = Key::pack(&PackName::from_bytes(pack.name)).path();
        let ranges = wanted.iter().map(|(_, frame)| u64::from(frame.offset)..frame.end());
        let mut stored = Vec::new();
        for request in join(ranges, GAP, LONGEST) {
            self.source.read_again(&object, request.range.clone(), doubt, &mut stored)?;
            let inside = |frame: &&(u32, FrameRef)| {
                request.range.start <= u64::from(frame.1.offset) && frame.1.end() <= request.range.end
            };
            for (_, frame) in wanted.iter().filter(inside) {
                let FrameRef { offset, stored_len, plain_len, raw } = *frame;
                let start = in_memory(u64::from(offset) - request.range.start);
                let bytes = &stored[start..][..stored_len as usize];
                let mut plain = Vec::new();
                if decoder.decode(&Frame { offset, stored_len, plain_len, raw }, bytes, &mut plain).is_ok() {
                    frames.insert((number, offset), plain);
                }
            }
        }
        Ok(())
    }
}

/// Puts the bytes of `placed`'s chunk wherever they belong in `block`.
fn spread(placed: &Placed, block: &Range<u64>, chunk: &[u8], buffer: &mut [u8]) {
    let len = u64::from(placed.entry.len);
    // Whole repeats before the block have no part in it.
    let before = block.start.saturating_sub(placed.image.start) / len;
    let mut start = placed.image.start + before * len;
    while start < placed.image.end.min(block.end) {
        let part = start.max(block.start)..(start + len).min(block.end);
        let from = in_memory(part.start - start)..in_memory(part.end - start);
        let to = in_memory(part.start - block.start)..in_memory(part.end - block.start);
        buffer[to].copy_from_slice(&chunk[from]);
        start += len;
    }
}

fn in_memory(len: u64) -> usize {
    usize::try_from(len).expect("a block is in memory")
}
