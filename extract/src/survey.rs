//! Finding out what the device holds, before anything is decided.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use chunk_chunker::image::{BLOCK, BlockHash, Blocks};
use chunk_index::{Block, Digest, Head, LeafList, Placed};

use crate::content::Content;
use crate::front::Front;
use crate::held::{Holdings, list_memory};
use crate::job::{ExtractError, Job, Phases, Progress, SeedPart, Verify, WayCost};
use crate::known::KnownImage;
use crate::patched::left_at;
use crate::places::{Places, Wanted};
use crate::recipe::{Fetched, Recipe};
use crate::seed::{Seed, Window};

/// What reports call the target as a seed.
const OWN: &str = "target";

/// An index, or as much of it as is there.
pub(crate) enum OpenIndex {
    Whole(Box<Recipe>),
    Front(Box<Front>, String),
}

impl OpenIndex {
    pub(crate) fn head(&self) -> &Head {
        match self {
            Self::Whole(recipe) => recipe.head(),
            Self::Front(front, _) => front.head(),
        }
    }

    /// What fetching it has cost.
    pub(crate) fn fetched(&self) -> Fetched {
        match self {
            Self::Whole(recipe) => recipe.fetched(),
            Self::Front(front, _) => front.fetched(),
        }
    }
}

/// What came of looking at the target.
pub(crate) enum Looked {
    /// It is the image already.
    Right(Survey, OpenIndex),
    /// There is something to do.
    Wrong(Survey, OpenIndex),
}

/// What is held, and what is wanted.
pub(crate) struct Known {
    pub(crate) survey: Survey,
    pub(crate) recipe: Recipe,
    pub(crate) object: String,
    pub(crate) places: Places,
}

/// What is found out about the device, bit by bit.
pub(crate) struct Survey {
    pub(crate) parts: Vec<SeedPart>,
    /// What the target holds.
    pub(crate) window: Option<Window>,
    /// Whether what is written can be read again.
    pub(crate) rereads: bool,
    /// Whether the target was made just now and reads as zeros.
    is_blank: bool,
    /// The number of the target among the seeds.
    pub(crate) own: u16,
    content: Option<Content>,
    /// Whether the target is the image already.
    pub(crate) is_right: bool,
    own_lists: Option<Vec<LeafList>>,
    /// The image that the target was once, if that is remembered.
    pub(crate) own_image: Option<KnownImage>,
    /// The blocks that a patch has made.
    pub(crate) done: Vec<bool>,
    /// Bytes of patches that were fetched in vain.
    pub(crate) late: u64,
    /// The ways by patches that start from seeds.
    pub(crate) ways: Vec<WayCost>,
    pub(crate) journal: Option<PathBuf>,
    /// The number of the seed that an earlier run's journal is.
    pub(crate) journal_seed: Option<u16>,
    /// Most bytes of memory that looking for chunks has taken.
    pub(crate) memory: u64,
    pub(crate) phases: Phases,
}

impl Survey {
    fn new(parts: Vec<SeedPart>, window: Option<Window>, rereads: bool, is_blank: bool) -> Self {
        let own = u16::try_from(parts.len()).expect("there are no more seeds than numbers");
        let (content, own_lists, own_image, journal) = (None, None, None, None);
        let phases = Phases::default();
        let (is_right, done, late, ways) = (false, Vec::new(), 0, Vec::new());
        Self {
            parts,
            window,
            rereads,
            is_blank,
            own,
            content,
            is_right,
            own_lists,
            own_image,
            done,
            late,
            ways,
            journal,
            journal_seed: None,
            memory: 0,
            phases,
        }
    }

    pub(crate) fn own_seed(&self) -> Option<Seed> {
        self.window.as_ref().map(|window| Seed::window(OWN.to_owned(), window.clone()))
    }

    /// Whether the target, which could be read, is not the image.
    pub(crate) fn is_known_wrong(&self) -> bool {
        !self.is_right && self.content.as_ref().is_some_and(|content| content.blake3().is_some())
    }

    /// Bytes that have to be written at least, zeros not counted.
    pub(crate) fn least_written(&self, recipe: &Recipe) -> Result<u64, ExtractError> {
        let kept = self.kept(&recipe.said()?);
        let blocks = recipe.blocks();
        let loud = recipe.entries_from(0).filter(|placed| !placed.entry.short.is_zero());
        let missing = loud.flat_map(|placed| {
            let numbers = blocks_of(&placed.image).filter(|number| !kept[*number]);
            numbers.map(move |number| (number as u64, placed.image.clone()))
        });
        let within = |(number, image): (u64, Range<u64>)| {
            let block = blocks.range(number);
            image.end.min(block.end) - image.start.max(block.start)
        };
        Ok(missing.map(within).sum())
    }

    /// Bytes that a file which is the target has behind the image.
    pub(crate) fn surplus(&self, image_len: u64) -> u64 {
        let file = self.window.as_ref().filter(|window| window.is_regular());
        file.map_or(0, |window| window.size().saturating_sub(image_len))
    }

    /// The hashes of the blocks of what the target holds, as long as the image is, if all of them are known.
    pub(crate) fn hashes(&self) -> Option<Vec<BlockHash>> {
        self.content.as_ref()?.hashes()
    }

    /// Bytes that what is said of the seeds takes in memory.
    fn lists_memory(&self) -> u64 {
        let lists = self.parts.iter().filter_map(|part| part.lists.as_ref()).chain(&self.own_lists);
        lists.flatten().map(list_memory).sum::<usize>() as u64
    }

    /// Which blocks are right already. In a new file, those of zeros are.
    pub(crate) fn kept(&self, said: &[Block]) -> Vec<bool> {
        let mut kept = match &self.content {
            Some(content) => content.kept(said),
            None if self.is_blank => said.iter().map(|said| *said == Block::Silent).collect(),
            None => vec![false; said.len()],
        };
        kept.iter_mut().zip(&self.done).for_each(|(kept, done)| *kept |= done);
        kept
    }
}

impl Job<'_> {
    /// Finds out what the target holds.
    pub(crate) fn look(
        &mut self,
        index: OpenIndex,
        content: Option<Window>,
        rereads: bool,
    ) -> Result<Looked, ExtractError> {
        let is_blank = rereads && content.is_none();
        let window = content.filter(|_| !self.options.ignore_target);
        let (parts, journal_seed) = self.take_seeds();
        let mut survey = Survey { journal_seed, ..Survey::new(parts, window, rereads, is_blank) };
        let started = Instant::now();
        let record = index.head().record();
        let blocks = Blocks::of_len(record.image_len());
        if let Some(window) = &survey.window {
            let progress = |done, total| Progress::Checking { done, total };
            let looked_at = window.clone();
            let looked_at = if self.options.from_medium { looked_at.of_medium() } else { looked_at };
            let content = Content::of(&looked_at, blocks, self.options.threads, self.observer, &progress)?;
            survey.content = Some(content);
        }
        survey.phases.check = started.elapsed();
        let path = self.path();
        survey.own_lists = self.own_lists.take();
        if let (Some(state), Some(path)) = (&self.state, &path) {
            // What is remembered is said of the target, not of the new file that grows beside it.
            let is_it = |window: &Window| {
                Window::open(path, None).is_ok_and(|found| found.identity() == window.identity())
            };
            if survey.window.as_ref().is_some_and(is_it) {
                survey.own_image = state.image(path);
                if survey.own_lists.is_none() {
                    survey.own_lists = state.lists(path);
                }
            }
            survey.journal = state.journal(path);
        }
        let found = survey.content.as_ref().and_then(Content::blake3);
        survey.is_right = found == Some(record.description().blake3);
        if survey.is_right && self.options.verify != Verify::ReadBack {
            return Ok(Looked::Right(survey, index));
        }
        Ok(Looked::Wrong(survey, index))
    }

    /// Finds out what the seeds hold.
    pub(crate) fn survey(&self, survey: Survey, index: OpenIndex) -> Result<Known, ExtractError> {
        match index {
            OpenIndex::Front(front, object) => self.survey_all(survey, *front, object),
            OpenIndex::Whole(recipe) => self.survey_wanted(survey, *recipe),
        }
    }

    /// The seeds, with what an earlier run has saved for this one, and which that is.
    fn take_seeds(&mut self) -> (Vec<SeedPart>, Option<u16>) {
        let mut parts = std::mem::take(&mut self.seeds);
        let journal = match (&self.state, self.path()) {
            (Some(state), Some(path)) if !self.options.ignore_target => state.journal(&path),
            _ => None,
        };
        parts.truncate(usize::from(u16::MAX) - 3);
        if let (Some(state), Some(path), false) = (&self.state, self.path(), self.options.ignore_target)
            && let Some(part) = state.staged(&path).and_then(|staged| left_at(&staged))
        {
            parts.push(part);
        }
        let Some(window) = journal.and_then(|journal| Window::open(&journal, None).ok()) else {
            return (parts, None);
        };
        let number = u16::try_from(parts.len()).expect("there are no more seeds than numbers");
        parts.push(Seed::window("journal".to_owned(), window).into());
        (parts, Some(number))
    }

    /// Notes all chunks of all seeds, and fetches the lists of the index that they do not tell.
    fn survey_all(&self, mut survey: Survey, front: Front, object: String) -> Result<Known, ExtractError> {
        let started = Instant::now();
        let sizes = survey.parts.iter().map(|part| part.seed.size()).sum::<u64>();
        let total = sizes + survey.window.as_ref().map_or(0, Window::size);
        let mut holdings = self.holdings(front.head().record().params(), None, total);
        for (number, part) in (0..).zip(&survey.parts) {
            holdings.add(number, &part.seed, part.lists.as_deref(), None)?;
        }
        if let Some(seed) = survey.own_seed() {
            holdings.add(survey.own, &seed, survey.own_lists.as_deref(), None)?;
        }
        holdings.places.sort();
        survey.memory = holdings.most_memory() + survey.lists_memory();
        let Holdings { places, known, .. } = holdings;
        survey.phases.scan = started.elapsed();
        let recipe = Recipe::fetch(front, self.source, &object, &known)?;
        drop(known);
        Ok(Known { survey, recipe, object, places })
    }

    /// Looks in the seeds for the chunks that `recipe` says are missing.
    fn survey_wanted(&self, mut survey: Survey, recipe: Recipe) -> Result<Known, ExtractError> {
        let started = Instant::now();
        let blocks = recipe.blocks();
        let kept = survey.kept(&recipe.said()?);
        let wanted = Wanted::of(missing(&recipe, &kept).map(|placed| placed.entry));
        let params = recipe.record().params();
        let own = survey.own_seed().map(|seed| {
            let wrong = wrong_parts(&kept, blocks, seed.size(), u64::from(params.max()));
            (seed, wrong)
        });
        let sizes = survey.parts.iter().map(|part| part.seed.size()).sum::<u64>();
        let wrong = own.iter().flat_map(|(_, wrong)| wrong).map(|part| part.end - part.start);
        let total = sizes + wrong.sum::<u64>();
        let mut holdings = self.holdings(params, Some(wanted), total);
        if survey.window.is_some() && survey.rereads {
            let entries = recipe.entries_from(0).map(|placed| (placed.entry, placed.image));
            holdings.add_kept(survey.own, &kept, entries);
        }
        for (number, part) in (0..).zip(&survey.parts) {
            if holdings.is_complete() {
                break;
            }
            holdings.add(number, &part.seed, part.lists.as_deref(), None)?;
        }
        if let Some((seed, wrong)) = own.filter(|_| !holdings.is_complete()) {
            holdings.add(survey.own, &seed, survey.own_lists.as_deref(), Some(wrong))?;
        }
        holdings.places.sort();
        survey.memory = holdings.most_memory() + survey.lists_memory();
        let places = holdings.places;
        survey.phases.scan = started.elapsed();
        Ok(Known { survey, recipe, object: String::new(), places })
    }

    /// The lists of the chunks of `seed`, cut as `params` say.
    pub(crate) fn lists_of(
        &self,
        seed: &Seed,
        params: chunk_chunker::Params,
    ) -> Result<HashMap<Digest, LeafList>, ExtractError> {
        let mut holdings = self.holdings(params, None, seed.size());
        holdings.add(0, seed, None, None)?;
        Ok(holdings.known)
    }

    fn holdings(&self, params: chunk_chunker::Params, wanted: Option<Wanted>, total: u64) -> Holdings<'_> {
        Holdings {
            params,
            threads: self.options.threads,
            wanted,
            places: Places::default(),
            known: HashMap::new(),
            observer: self.observer,
            total,
            scanned: AtomicU64::new(0),
            memory: 0,
        }
    }
}

fn missing<'a>(recipe: &'a Recipe, kept: &'a [bool]) -> impl Iterator<Item = Placed> + 'a {
    recipe.entries_from(0).filter(|placed| blocks_of(&placed.image).any(|number| !kept[number]))
}

/// The blocks that `image` bytes lie in.
pub(crate) fn blocks_of(image: &Range<u64>) -> Range<usize> {
    let block = |at: u64| usize::try_from(at / BLOCK as u64).expect("blocks are counted in memory");
    if image.is_empty() { 0..0 } else { block(image.start)..block(image.end - 1) + 1 }
}

/// The parts of a target of `size` bytes where chunks may lie that are not in right blocks.
fn wrong_parts(kept: &[bool], blocks: Blocks, size: u64, margin: u64) -> Vec<Range<u64>> {
    let mut parts: Vec<Range<u64>> = Vec::new();
    let mut add = |range: Range<u64>| {
        let range = range.start.saturating_sub(margin)..range.end.saturating_add(margin).min(size);
        match parts.last_mut().filter(|last| range.start <= last.end) {
            Some(last) => last.end = last.end.max(range.end),
            None if range.start < range.end => parts.push(range),
            None => {}
        }
    };
    for (number, _) in (0..).zip(kept).filter(|(_, kept)| !**kept) {
        add(blocks.range(number));
    }
    let image_len = blocks.count().checked_sub(1).map_or(0, |last| blocks.range(last).end);
    if size > image_len {
        add(image_len..size);
    }
    parts
}
