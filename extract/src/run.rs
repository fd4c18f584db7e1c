//! From a job to an image: the parts of this crate in their order.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use chunk_chunker::image::{BLOCK, Blocks};
use chunk_index::{Block, Entry, Head, LeafList, Placed};

use crate::alias::{Relation, relation};
use crate::content::Content;
use crate::held::Holdings;
use crate::job::{ExtractError, Job, Notice, Phases, Progress, Report, SeedPart, Verify, Version};
use crate::places::{Places, Wanted};
use crate::plan::{Held, Plan, Totals};
use crate::recipe::{Front, Recipe};
use crate::saved::{Journal, Saved};
use crate::seed::{Seed, Window};
use crate::target::{
    Destination, Device, Existing, Pipe, Refusal, Replacement, Target, TargetError, part_of,
};
use crate::verified::Check;
use crate::work::Work;

/// Bytes written in place after which the medium is waited for: what a power cut may cost in downloads.
const FLUSH_IN_PLACE: u64 = 8 << 20;
/// The same where nothing is lost by it but progress.
const FLUSH: u64 = 128 << 20;

impl Job<'_> {
    /// Makes the image.
    pub fn run(mut self) -> Result<Report, ExtractError> {
        let index = self.open_index()?;
        let image_len = index.head().record().image_len();
        let mut opened = self.open_target(image_len)?;
        if let Opened::Right(path) = &opened {
            // A file that is the image already is not touched, whatever may happen to others.
            let window = Window::open(path, None).map_err(|error| TargetError::Open(path.clone(), error))?;
            let prepared = self.prepare(index, Some(window), true)?;
            if !prepared.plan.missing.is_empty() {
                return Err(TargetError::Refused(path.clone(), Refusal::Exists).into());
            }
            return Ok(self.report(&prepared, 0, 0));
        }
        let mut prepared = match self.prepare_for(index, &mut opened) {
            Ok(prepared) => prepared,
            Err(error) => {
                if let Opened::File(file) = &opened {
                    file.discard();
                }
                return Err(error);
            }
        };
        let path = self.path();
        let in_place = prepared.in_place;
        let nothing_to_do = prepared.plan.missing.is_empty();
        if let (Some(state), Some(path), false) = (&self.state, &path, nothing_to_do) {
            state.forget(path).map_err(ExtractError::State)?;
        }
        let journal = match prepared.journal.take() {
            // One that an earlier run has left is done with when this one is.
            Some(path) if in_place || path.exists() => Some(Journal::open(&path).map_err(ExtractError::Journal)?),
            _ => None,
        };
        let saved = Saved::new(journal);
        let started = Instant::now();
        let flush_every = match self.options.verify {
            Verify::Off => None,
            _ if in_place => Some(FLUSH_IN_PLACE),
            _ => Some(FLUSH),
        };
        let work = Work {
            recipe: &prepared.recipe,
            check: &prepared.check,
            plan: &prepared.plan,
            seeds: &prepared.seeds,
            source: self.source,
            object: &prepared.object,
            saved: &saved,
            observer: self.observer,
            threads: self.options.threads,
            connections: self.options.connections,
            room: self.options.limits.frames,
            flush_every,
        };
        let target = opened.target();
        let done = work.run(target)?;
        prepared.phases.write = started.elapsed();
        let started = Instant::now();
        self.settle(target, &prepared)?;
        saved.finish().map_err(ExtractError::Journal)?;
        if let (Some(state), Some(path), false) = (&self.state, &path, nothing_to_do) {
            state.remember(path, &prepared.recipe).map_err(ExtractError::State)?;
        }
        prepared.phases.settle = started.elapsed();
        Ok(self.report(&prepared, done.written, done.late))
    }

    /// Tells what making the image would take, and touches nothing.
    pub fn plan(mut self) -> Result<Report, ExtractError> {
        let index = self.open_index()?;
        let (content, rereads) = match &self.destination {
            Destination::Stream(_) => (None, false),
            Destination::Path { path, existing } => {
                let (path, existing) = (path.clone(), *existing);
                let part = part_of(&path);
                let held = match existing {
                    Existing::Replace if !is_device(&path) => &part,
                    _ if path.exists() => &path,
                    _ => &part,
                };
                let window = Window::open(held, None).ok().filter(|window| window.size() > 0);
                if window.is_some() && (is_device(&path) || existing == Existing::Update) {
                    self.expect_no_overlap(&path)?;
                }
                (window, true)
            }
        };
        self.add_replaced();
        let prepared = self.prepare(index, content, rereads)?;
        Ok(self.report(&prepared, 0, 0))
    }

    fn path(&self) -> Option<PathBuf> {
        match &self.destination {
            Destination::Path { path, .. } => Some(path.clone()),
            Destination::Stream(_) => None,
        }
    }

    fn open_index(&mut self) -> Result<OpenIndex, ExtractError> {
        let taken = std::mem::replace(&mut self.version, Version::Object(String::new()));
        let index = match taken {
            Version::Index(index) => OpenIndex::Whole(Box::new(Recipe::whole(index))),
            Version::Object(object) => {
                OpenIndex::Front(Box::new(Front::fetch(self.source, &object)?), object)
            }
        };
        if let Some(expected) = self.options.expect {
            let head = index.head();
            if *head.id().as_bytes() != expected.0 && head.record().description().blake3 != expected.0 {
                return Err(ExtractError::Unexpected { id: head.id() });
            }
        }
        Ok(index)
    }

    fn open_target(&mut self, image_len: u64) -> Result<Opened, ExtractError> {
        let (path, existing) = match &mut self.destination {
            Destination::Stream(out) => {
                let out = std::mem::replace(out, Box::new(std::io::sink()));
                return Ok(Opened::Pipe(Pipe::new(out)));
            }
            Destination::Path { path, existing } => (path.clone(), *existing),
        };
        let refused = |refusal| Err(TargetError::Refused(path.clone(), refusal).into());
        let Ok(metadata) = path.metadata() else {
            if path.symlink_metadata().is_ok() {
                return refused(Refusal::Kind);
            }
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            if path.starts_with("/dev") || parent.canonicalize().is_ok_and(|real| real.starts_with("/dev")) {
                return refused(Refusal::Device);
            }
            if !parent.is_dir() {
                return refused(Refusal::Parent);
            }
            return Ok(Opened::File(Replacement::beside(&path, image_len)?));
        };
        if is_device(&path) {
            self.expect_no_overlap(&path)?;
            return Ok(Opened::Device(Device::open(&path, image_len, self.options.zero_tail)?));
        }
        if !metadata.is_file() {
            return refused(Refusal::Kind);
        }
        match existing {
            Existing::Keep if metadata.len() != image_len => refused(Refusal::Exists),
            Existing::Keep => Ok(Opened::Right(path)),
            Existing::Replace => {
                self.add_replaced();
                Ok(Opened::File(Replacement::beside(&path, image_len)?))
            }
            Existing::Update => {
                self.expect_no_overlap(&path)?;
                Ok(Opened::File(Replacement::within(&path, image_len)?))
            }
        }
    }

    /// A file that is replaced is a seed for what replaces it.
    fn add_replaced(&mut self) {
        let Destination::Path { path, existing: Existing::Replace } = &self.destination else { return };
        let Ok(window) = Window::open(path, None) else { return };
        if window.is_regular() {
            let remembered = self.state.as_ref().and_then(|state| state.lists(path));
            let lists = self.own_lists.take().or(remembered);
            let seed = Seed::window(path.display().to_string(), window);
            self.seeds.insert(0, SeedPart { seed, lists });
        }
    }

    /// Leaves out seeds that are the target itself, and refuses those that overlap it otherwise.
    fn expect_no_overlap(&mut self, path: &Path) -> Result<(), ExtractError> {
        let opens = |error| TargetError::Open(path.to_owned(), error);
        let target = Window::open(path, None).map_err(opens)?.identity();
        let mut overlapping = None;
        self.seeds.retain(|part| {
            match part.seed.identity().map_or(Relation::Apart, |seed| relation(seed, target)) {
                Relation::Apart => true,
                Relation::Same => false,
                Relation::Overlapping => {
                    overlapping = Some(part.seed.name.clone());
                    true
                }
            }
        });
        match overlapping {
            Some(seed) => Err(TargetError::Refused(path.to_owned(), Refusal::Alias(seed)).into()),
            None => Ok(()),
        }
    }

    /// Plans for a target, and makes sure that it has room.
    fn prepare_for(&mut self, index: OpenIndex, opened: &mut Opened) -> Result<Prepared, ExtractError> {
        let target = opened.target();
        let (content, rereads) = (target.content(), target.file().is_some());
        let prepared = self.prepare(index, content, rereads)?;
        if let Opened::File(file) = opened {
            let totals = &prepared.plan.totals;
            file.expect_room(totals.write - totals.zero)?;
        }
        Ok(prepared)
    }

    /// Finds out what is held, and plans.
    fn prepare(
        &mut self,
        index: OpenIndex,
        content: Option<Window>,
        rereads: bool,
    ) -> Result<Prepared, ExtractError> {
        let is_blank = rereads && content.is_none();
        let window = content.filter(|_| !self.options.ignore_target);
        let mut survey = Survey::new(self.take_seeds(), window, rereads, is_blank);
        let started = Instant::now();
        let record = index.head().record();
        let blocks = Blocks::of_len(record.image_len());
        if let Some(window) = &survey.window {
            let progress = |done, total| Progress::Checking { done, total };
            let content = Content::of(window, blocks, self.options.threads, self.observer, &progress)?;
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
            if survey.own_lists.is_none() && survey.window.as_ref().is_some_and(is_it) {
                survey.own_lists = state.lists(path);
            }
            survey.journal = state.journal(path);
        }
        let found = survey.content.as_ref().and_then(Content::blake3);
        let is_right = found == Some(record.description().blake3);
        match index {
            OpenIndex::Front(front, _) if is_right && self.options.verify != Verify::ReadBack => {
                Ok(survey.nothing_to_do(*front, blocks))
            }
            OpenIndex::Front(front, object) => self.survey_all(survey, *front, object),
            OpenIndex::Whole(recipe) => self.survey_wanted(survey, *recipe),
        }
    }

    /// The seeds, with what an earlier run has saved for this one.
    fn take_seeds(&mut self) -> Vec<SeedPart> {
        let mut parts = std::mem::take(&mut self.seeds);
        let journal = match (&self.state, self.path()) {
            (Some(state), Some(path)) => state.journal(&path),
            _ => None,
        };
        if let Some(window) = journal.and_then(|journal| Window::open(&journal, None).ok()) {
            let seed = Seed::window("journal".to_owned(), window);
            parts.push(SeedPart { seed, lists: None });
        }
        parts.truncate(usize::from(u16::MAX));
        parts
    }

    /// Notes all chunks of all seeds, and fetches the lists of the index that they do not tell.
    fn survey_all(&self, mut survey: Survey, front: Front, object: String) -> Result<Prepared, ExtractError> {
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
        let Holdings { places, known, .. } = holdings;
        survey.phases.scan = started.elapsed();
        let recipe = Recipe::fetch(front, self.source, &object, &known)?;
        drop(known);
        self.conclude(survey, recipe, object, &places)
    }

    /// Looks in the seeds for the chunks that `recipe` says are missing.
    fn survey_wanted(&self, mut survey: Survey, recipe: Recipe) -> Result<Prepared, ExtractError> {
        let started = Instant::now();
        let blocks = recipe.blocks();
        let kept = survey.kept(&recipe.said()?);
        let wanted = Wanted::of(missing(&recipe, &kept).map(|placed| placed.entry));
        let total = survey.parts.iter().map(|part| part.seed.size()).sum();
        let params = recipe.record().params();
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
        if let Some(seed) = survey.own_seed().filter(|_| !holdings.is_complete()) {
            let wrong = wrong_parts(&kept, blocks, seed.size(), u64::from(params.max()));
            holdings.add(survey.own, &seed, survey.own_lists.as_deref(), Some(wrong))?;
        }
        holdings.places.sort();
        let places = holdings.places;
        survey.phases.scan = started.elapsed();
        self.conclude(survey, recipe, String::new(), &places)
    }

    fn conclude(
        &self,
        mut survey: Survey,
        mut recipe: Recipe,
        object: String,
        places: &Places,
    ) -> Result<Prepared, ExtractError> {
        let started = Instant::now();
        let said = recipe.said()?;
        let kept = survey.kept(&said);
        let own = survey.own;
        recipe.fetch_maps(self.source, &object, |leaf, list| {
            let is_missing = blocks_of(&leaf.image()).any(|number| !kept[number]);
            let is_elsewhere = |entry: &Entry| {
                entry.short.is_zero() || places.find(entry).is_some_and(|place| place.seed != own)
            };
            is_missing && !list.entries().iter().all(is_elsewhere)
        })?;
        let check = Check::new(recipe.blocks(), said);
        let own_seed = survey.own_seed();
        let held =
            Held { places, own: own_seed.is_some().then_some(own), kept: &kept, rereads: survey.rereads };
        let plan = Plan::new(&recipe, &check, &held, &self.options.limits);
        let needed = plan.totals.download + recipe.fetched().bytes;
        if let Some(allowed) = self.options.max_download.filter(|allowed| needed > *allowed) {
            return Err(ExtractError::TooMuch { needed, allowed });
        }
        self.observer.notice(&Notice::Planned(&plan.totals));
        let memory = (recipe.memory() + places.memory() + plan.memory()) as u64;
        let moves = plan.totals.seeds.get(usize::from(own)).is_some_and(|bytes| *bytes > 0);
        let in_place = own_seed.is_some() && moves;
        let parts = std::mem::take(&mut survey.parts);
        let seeds = parts.into_iter().map(|part| part.seed).chain(own_seed).collect();
        survey.phases.plan = started.elapsed();
        let Survey { journal, phases, .. } = survey;
        Ok(Prepared { recipe, check, plan, seeds, object, journal, in_place, memory, phases })
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
        }
    }

    /// Makes sure of what was written.
    fn settle(&self, target: &mut dyn Target, prepared: &Prepared) -> Result<(), ExtractError> {
        if self.options.verify == Verify::Off {
            return Ok(target.finish()?);
        }
        self.observer.progress(&Progress::Flushing);
        target.flush()?;
        if let (Verify::ReadBack, Some(file)) = (self.options.verify, target.file()) {
            // Pages that the medium has are dropped, so that it is asked.
            let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
            let fails = |at, error| TargetError::ReadBack { at, error };
            let window = Window::of(file, None).map_err(|error| fails(0, Some(error)))?;
            let blocks = prepared.check.blocks();
            let progress = |done, total| Progress::ReadingBack { done, total };
            let content = Content::of(&window, blocks, self.options.threads, self.observer, &progress)?;
            let kept = content.kept(prepared.check.all());
            if let Some(wrong) = (0..).zip(&kept).find(|(_, kept)| !**kept).map(|(number, _)| number) {
                return Err(fails(blocks.range(wrong).start, None).into());
            }
        }
        Ok(target.finish()?)
    }

    fn report(&self, prepared: &Prepared, written: u64, late: u64) -> Report {
        Report {
            id: prepared.recipe.head().id(),
            totals: prepared.plan.totals.clone(),
            seeds: prepared.seeds.iter().map(|seed| seed.name.clone()).collect(),
            written,
            late,
            index: prepared.recipe.fetched(),
            spent: self.source.spent(),
            memory: prepared.memory,
            seconds: prepared.phases,
        }
    }
}

/// What reports call the target as a seed.
const OWN: &str = "target";

enum OpenIndex {
    Whole(Box<Recipe>),
    Front(Box<Front>, String),
}

impl OpenIndex {
    fn head(&self) -> &Head {
        match self {
            Self::Whole(recipe) => recipe.head(),
            Self::Front(front, _) => front.head(),
        }
    }
}

enum Opened {
    File(Replacement),
    Device(Device),
    Pipe(Pipe),
    /// A file that must not be written, and need not if it is right.
    Right(PathBuf),
}

impl Opened {
    fn target(&mut self) -> &mut dyn Target {
        match self {
            Self::File(file) => file,
            Self::Device(device) => device,
            Self::Pipe(pipe) => pipe,
            Self::Right(_) => unreachable!("nothing is written to it"),
        }
    }
}

/// What is found out about the device, bit by bit.
struct Survey {
    parts: Vec<SeedPart>,
    /// What the target holds.
    window: Option<Window>,
    /// Whether what is written can be read again.
    rereads: bool,
    /// Whether the target was made just now and reads as zeros.
    is_blank: bool,
    /// The number of the target among the seeds.
    own: u16,
    content: Option<Content>,
    own_lists: Option<Vec<LeafList>>,
    journal: Option<PathBuf>,
    phases: Phases,
}

impl Survey {
    fn new(parts: Vec<SeedPart>, window: Option<Window>, rereads: bool, is_blank: bool) -> Self {
        let own = u16::try_from(parts.len()).expect("there are no more seeds than numbers");
        let (content, own_lists, journal, phases) = (None, None, None, Phases::default());
        Self { parts, window, rereads, is_blank, own, content, own_lists, journal, phases }
    }

    fn own_seed(&self) -> Option<Seed> {
        self.window.as_ref().map(|window| Seed::window(OWN.to_owned(), window.clone()))
    }

    /// Which blocks are right already. In a new file, those of zeros are.
    fn kept(&self, said: &[Block]) -> Vec<bool> {
        match &self.content {
            Some(content) => content.kept(said),
            None if self.is_blank => said.iter().map(|said| *said == Block::Silent).collect(),
            None => vec![false; said.len()],
        }
    }

    fn nothing_to_do(self, front: Front, blocks: Blocks) -> Prepared {
        let recipe = Recipe::without_chunks(front);
        let image = recipe.record().image_len();
        let plan = Plan { totals: Totals { image, kept: image, ..Totals::default() }, ..Plan::default() };
        let check = Check::new(blocks, Vec::new());
        let seeds = self.parts.into_iter().map(|part| part.seed).collect();
        let (object, phases) = (String::new(), self.phases);
        Prepared { recipe, check, plan, seeds, object, journal: None, in_place: false, memory: 0, phases }
    }
}

/// Everything that is known before the first byte is written.
struct Prepared {
    recipe: Recipe,
    check: Check,
    plan: Plan,
    seeds: Vec<Seed>,
    object: String,
    journal: Option<PathBuf>,
    /// Whether old bytes of the target are moved.
    in_place: bool,
    memory: u64,
    phases: Phases,
}

fn is_device(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_block_device())
}

fn missing<'a>(recipe: &'a Recipe, kept: &'a [bool]) -> impl Iterator<Item = Placed> + 'a {
    recipe.entries_from(0).filter(|placed| blocks_of(&placed.image).any(|number| !kept[number]))
}

fn blocks_of(image: &Range<u64>) -> Range<usize> {
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
