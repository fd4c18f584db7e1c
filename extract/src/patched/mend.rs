//! A seed that is nearly a known image, mended: blocks that have changed since are made from frames of that image, as far
//! as patches need them.
//!
//! A slot that was mounted has a new superblock and a few other blocks; what was installed there is otherwise untouched.
//! Frames for these blocks cost less than the frames that a seed which is nobody's base would leave to fetch.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use chunk_chunker::Name;
use chunk_chunker::image::BLOCK;
use chunk_index::{LeafList, ShortName};

use crate::front::Front;
use crate::job::{ExtractError, Job, Notice, Observer, SeedPart};
use crate::known::KnownImage;
use crate::places::{Place, Places};
use crate::plan::{Held, Plan};
use crate::recipe::{Fetched, Recipe};
use crate::saved::Saved;
use crate::seed::{Mended, Seed, Window};
use crate::survey::blocks_of;
use crate::target::{Share, Target, TargetError};
use crate::verified::{Check, Verified};
use crate::work::{self, Work};

use super::link::Useless;

/// The known image that a seed nearly is, and the blocks that are not as they were, ascending.
#[derive(Debug)]
pub(super) struct Near {
    pub(super) image: KnownImage,
    pub(super) wrong: Vec<u64>,
}

/// What mends a seed.
#[derive(Debug)]
pub(super) struct Mend {
    recipe: Recipe,
    check: Check,
    plan: Plan,
    object: String,
    window: Window,
    name: String,
}

impl Mend {
    /// Bytes of frames.
    pub(super) fn download(&self) -> u64 {
        self.plan.totals.download
    }

    /// What the source keeps of them.
    pub(super) fn cached(&self) -> u64 {
        self.plan.totals.cached
    }

    /// Requests for them.
    pub(super) fn requests(&self) -> u64 {
        self.plan.totals.requests
    }

    /// What of the known image's index was fetched.
    pub(super) fn index(&self) -> Fetched {
        self.recipe.fetched()
    }

    /// Bytes that the blocks take until the image is made.
    pub(super) fn disk(&self) -> u64 {
        self.plan.totals.write
    }

    /// Bytes that all this takes in memory.
    pub(super) fn memory(&self) -> u64 {
        (self.recipe.memory() + self.check.memory() + self.plan.memory()) as u64
    }
}

impl Job<'_> {
    /// Plans to make those of the blocks that are not as they were in which `needed` parts lie; none if these are as they
    /// were. Counts in `spent` what that has cost if nothing comes of it.
    pub(super) fn plan_mend(
        &self,
        part: &SeedPart,
        near: &Near,
        needed: &[Range<u64>],
        spent: &mut u64,
    ) -> Result<Option<Mend>, Useless> {
        let is_needed = |number: &u64| {
            let block = number * BLOCK as u64..(number + 1) * BLOCK as u64;
            let next = needed.partition_point(|range| range.end <= block.start);
            needed.get(next).is_some_and(|range| range.start < block.end)
        };
        let wrong: Vec<u64> = near.wrong.iter().copied().filter(is_needed).collect();
        let Some(window) = part.seed.as_window().filter(|_| !wrong.is_empty()) else { return Ok(None) };
        let mut recipe = self.recipe_of(part, &near.image, spent)?;
        let object = near.image.object();
        let mut kept = vec![true; near.image.hashes().len()];
        for number in &wrong {
            kept[usize::try_from(*number)?] = false;
        }
        let places = places_in(window, &recipe, &kept);
        recipe.fetch_maps(self.source, object, |leaf, list: &LeafList| {
            let is_missing = blocks_of(&leaf.image()).any(|number| !kept[number]);
            is_missing
                && !list.entries().iter().all(|entry| entry.short.is_zero() || places.find(entry).is_some())
        })?;
        *spent = recipe.fetched().bytes;
        let check = Check::new(recipe.blocks(), recipe.said()?);
        let held = Held { places: &places, own: None, kept: &kept, rereads: true };
        let mut plan = Plan::new(&recipe, &check, &held, &self.options.limits, self.source.speed());
        plan.totals.cached = work::kept(&plan, &recipe, self.source);
        let (object, window, name) = (object.to_owned(), window.clone(), part.seed.name.clone());
        Ok(Some(Mend { recipe, check, plan, object, window, name }))
    }

    /// The recipe of a known image.
    fn recipe_of(&self, part: &SeedPart, image: &KnownImage, spent: &mut u64) -> Result<Recipe, Useless> {
        let front = Front::fetch(self.source, image.object())?;
        *spent = front.fetched().bytes;
        let record = front.head().record();
        if (record.image_len(), &record.description().blake3) != image.is() {
            return Err(format!("{} is another image now", image.object()).into());
        }
        let lists = match &part.lists {
            Some(lists) => lists.iter().map(|list| (*list.hash(), list.clone())).collect(),
            None => self.lists_of(&part.seed, record.params())?,
        };
        let recipe = Recipe::fetch(front, self.source, image.object(), &lists)?;
        *spent = recipe.fetched().bytes;
        Ok(recipe)
    }

    /// Makes the blocks, and of the seed one that has them. Returns that, and how many bytes were fetched beyond the plan.
    pub(super) fn mend(&self, mend: &Mend) -> Result<(Seed, u64), Useless> {
        let mut blocks = Blocks(Arc::new(tempfile::tempfile_in(self.scratch())?));
        let seeds = [Seed::window(mend.name.clone(), mend.window.clone())];
        let observer = Quiet(self.observer);
        let saved = Saved::default();
        let work = Work {
            recipe: &mend.recipe,
            check: &mend.check,
            plan: &mend.plan,
            seeds: &seeds,
            source: self.source,
            object: &mend.object,
            saved: &saved,
            observer: &observer,
            threads: self.options.threads,
            connections: self.options.connections,
            limits: &self.options.limits,
            flush_every: None,
        };
        let done = work.run(&mut blocks)?;
        let other = Window::of(blocks.0, None)?;
        let replaced = mend.plan.missing.clone();
        let mended = Mended::new(mend.window.clone(), other, mend.check.blocks(), replaced);
        Ok((Seed::mended(mend.name.clone(), mended), done.late))
    }

    /// Reads what mending takes from the store, and throws it away.
    pub(super) fn pull_mend(&self, mend: &Mend) -> Result<(), ExtractError> {
        work::pull(&mend.plan, &mend.recipe, self.source, self.options.connections, &Quiet(self.observer))
    }
}

/// Where `window` has chunks of the blocks that are not kept as the image has them: looked at, so that nothing is planned
/// in vain.
fn places_in(window: &Window, recipe: &Recipe, kept: &[bool]) -> Places {
    let mut places = Places::default();
    let mut buffer = Vec::new();
    for (number, _) in (0_u64..).zip(kept).filter(|(_, kept)| !**kept) {
        let block = recipe.blocks().range(number);
        let entries = recipe.entries_from(block.start).take_while(|placed| placed.image.start < block.end);
        for placed in entries.filter(|placed| !placed.entry.short.is_zero()) {
            buffer.resize(placed.entry.len as usize, 0);
            let offset = placed.image.start;
            if window.read(offset, &mut buffer).is_ok()
                && ShortName::of(&Name::of(&buffer)) == placed.entry.short
            {
                places.add(placed.entry.short, placed.entry.len, Place { seed: 0, offset });
            }
        }
    }
    places.sort();
    places
}

/// A file for some blocks of an image, each in its place.
struct Blocks(Arc<File>);

impl Target for Blocks {
    fn content(&self) -> Option<Window> {
        None
    }

    fn file(&self) -> Option<Arc<File>> {
        Some(Arc::clone(&self.0))
    }

    fn put(&mut self, block: &Verified, _: &[Share<'_>]) -> Result<u64, TargetError> {
        let at = block.at();
        self.0.write_all_at(block.bytes(), at).map_err(|error| TargetError::Write { at, error })?;
        Ok(block.bytes().len() as u64)
    }

    fn flush(&mut self) -> Result<(), TargetError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), TargetError> {
        Ok(())
    }
}

/// Tells nothing of how far the work is: it is not that of the image.
struct Quiet<'a>(&'a dyn Observer);

impl Observer for Quiet<'_> {
    fn notice(&self, notice: &Notice<'_>) {
        self.0.notice(notice);
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}
