//! An image that is rebuilt where somebody looks at it.

mod frames;

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chunk_chunker::image::{BLOCK, Blocks};
use chunk_index::{FrameRef, Location, Locator, Placed, Record, VersionId};
use chunk_store::{Decoder, Frame};

use crate::ReadError;
use crate::job::{ExtractError, Job};
use crate::places::Places;
use crate::recipe::Recipe;
use crate::seed::Seed;
use crate::survey::{Known, Looked};
use crate::verified::Check;

use frames::{Found, Frames, Wanted, place_of};

/// Bytes of finished blocks that are kept for the next reader.
const KEPT: usize = 32 << 20;
/// Bytes of frames that are fetched at a time for somebody who reads on.
const AHEAD: u64 = 8 << 20;
/// Bytes of frames that blocks may need for which that is done: what is fetched for them stays until they are built.
const REACH: u64 = frames::KEPT - AHEAD;
/// Most blocks that are looked at for it.
const MOST_BLOCKS: u64 = 4096;
/// How often the store is asked for frames that turn out wrong, the first time when a seed may be to blame.
const DOUBTS: u32 = 4;

/// An image of which any part can be read, from seeds and from a store, as if it were there.
///
/// Many threads may read at once. Every block is checked before any of its bytes are given.
pub struct Image<'a> {
    frames: Frames<'a>,
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
        let frames = Frames::new(self.source, self.options.limits, self.options.connections);
        Ok(Image { frames, recipe, check, places, seeds, kept: Mutex::default() })
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

    /// Fetches what the blocks `numbers` need of the store, together; if whoever wants them `reads_on` and something has to
    /// be fetched, what the blocks behind need, too, as far as it can be kept until then.
    pub fn prepare(&self, numbers: Range<u64>, reads_on: bool) -> Result<(), ReadError> {
        let count = self.blocks().count();
        let end = if reads_on { count.min(numbers.end.saturating_add(MOST_BLOCKS)) } else { numbers.end };
        let (mut needed, mut ahead) = (Vec::new(), Vec::new());
        let (mut reach, mut lacking) = (0, 0);
        let mut seen = HashSet::new();
        for number in numbers.start..end {
            let is_ahead = number >= numbers.end;
            if lacking >= AHEAD || reach >= REACH || is_ahead && lacking == 0 {
                break;
            }
            if self.kept().iter().any(|(kept, _)| *kept == number) {
                continue;
            }
            let block = self.blocks().range(number);
            let mut frames = wanted(self.entries(&block).iter().filter(|placed| !self.is_here(placed)));
            frames.retain(|frame| seen.insert(place_of(frame)));
            for frame in frames {
                reach += u64::from(frame.1.stored_len);
                if self.frames.lacks(&frame) {
                    lacking += u64::from(frame.1.stored_len);
                    if is_ahead { &mut ahead } else { &mut needed }.push(frame);
                }
            }
        }
        if lacking > 0 {
            self.frames.get(self.packs(), &needed, &ahead)?;
        }
        Ok(())
    }

    fn packs(&self) -> &Locator {
        self.recipe.head().locator()
    }

    /// The entries that `block` consists of.
    fn entries(&self, block: &Range<u64>) -> Vec<Placed> {
        let entries = self.recipe.entries_from(block.start);
        entries.take_while(|placed| placed.image.start < block.end).collect()
    }

    /// Whether the chunk of `placed` is zero, or a seed has it.
    fn is_here(&self, placed: &Placed) -> bool {
        placed.entry.short.is_zero() || self.places.find(&placed.entry).is_some()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(u64, Arc<Vec<u8>>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn build(&self, number: u64) -> Result<Vec<u8>, ReadError> {
        let block = self.blocks().range(number);
        let entries = self.entries(&block);
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
        let wanted = wanted(entries.iter().copied());
        let found = match doubt {
            0 => self.frames.get(self.packs(), &wanted, &[])?,
            _ => self.frames.get_again(self.packs(), &wanted, doubt)?,
        };
        let frames = decoded(&wanted, &found)?;
        for placed in entries {
            let frame_at = |at: &Location| {
                let number = wanted.binary_search_by_key(&order(&(at.pack, at.frame)), order).ok()?;
                frames[number].as_deref()
            };
            match placed.location.map(|at| (at, frame_at(&at))) {
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
}

/// The frames in which the chunks of `entries` lie, each once, in the order in which they lie in packs.
fn wanted<'p>(entries: impl Iterator<Item = &'p Placed>) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> =
        entries.filter_map(|placed| placed.location.map(|at| (at.pack, at.frame))).collect();
    wanted.sort_unstable_by_key(order);
    wanted.dedup();
    wanted
}

/// The order of frames in packs, which tells all frames apart that any map may name.
fn order((pack, frame): &Wanted) -> (u32, u32, u32, u32, bool) {
    (*pack, frame.offset, frame.stored_len, frame.plain_len, frame.raw)
}

/// What is in the frames `wanted`. Damaged ones are left out: the block's hash will tell.
fn decoded(wanted: &[Wanted], found: &Found) -> Result<Vec<Option<Vec<u8>>>, ReadError> {
    let mut decoder = Decoder::new().map_err(ReadError::Decoder)?;
    let mut decode = |frame: &Wanted| {
        let stored = found.get(&place_of(frame))?;
        let FrameRef { offset, stored_len, plain_len, raw } = frame.1;
        let mut plain = Vec::new();
        decoder.decode(&Frame { offset, stored_len, plain_len, raw }, stored, &mut plain).ok()?;
        Some(plain)
    };
    Ok(wanted.iter().map(&mut decode).collect())
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
