//! From a job to an image: the parts of this crate in their order.

use std::path::{Path, PathBuf};
use std::time::Instant;

use chunk_index::Entry;

use crate::alias::{Relation, relation};
use crate::content::Content;
use crate::demand::{self, Demand};
use crate::job::{ExtractError, Job, Notice, Phases, Progress, Report, SeedPart, Verify, Version};
use crate::journal::Journal;
use crate::patched::{ByPatch, Staging, Way};
use crate::places::Places;
use crate::plan::{Held, Plan, Totals};
use crate::recipe::{Front, Recipe};
use crate::saved::Saved;
use crate::seed::{Seed, Window};
use crate::survey::{Known, Looked, OpenIndex, Survey, blocks_of};
use crate::target::{
    Destination, Device, Existing, Pipe, Refusal, Replacement, Target, TargetError, is_device, mark, part_of,
};
use crate::verified::Check;
use crate::work::{self, Work};

/// Bytes written in place after which the medium is waited for: what a power cut may cost in downloads.
const FLUSH_IN_PLACE: u64 = 8 << 20;
/// The same where nothing is lost by it but progress.
pub(crate) const FLUSH: u64 = 128 << 20;

impl Job<'_> {
    /// Makes the image.
    pub fn run(mut self) -> Result<Report, ExtractError> {
        let index = self.open_index()?;
        let image_len = index.head().record().image_len();
        let mut opened = self.open_target(image_len)?;
        if let Opened::Right(path) = &opened {
            // A file that is the image already is not touched, whatever may happen to others.
            let window = Window::open(path, None).map_err(|error| TargetError::Open(path.clone(), error))?;
            let looked = self.look(index, Some(window.clone()), true)?;
            let prepared = self.prepare(looked)?;
            if !prepared.plan.missing.is_empty() {
                return Err(TargetError::Refused(path.clone(), Refusal::Exists).into());
            }
            if self.options.verify != Verify::Off {
                // Whoever wrote it may not have waited for the medium.
                window.file().sync_data().map_err(TargetError::Flush)?;
            }
            return Ok(self.report(&prepared, 0, 0));
        }
        let (content, rereads) = (opened.target().content(), opened.target().file().is_some());
        let looked = self.look(index, content, rereads).inspect_err(|_| opened.discard())?;
        let (looked, is_begun) = match looked {
            Looked::Wrong(survey, index) => match self.run_by_patch(survey, index, &mut opened)? {
                ByPatch::Done(report) => return Ok(*report),
                ByPatch::Left { survey, index } => {
                    let is_begun = survey.done.contains(&true);
                    (Looked::Wrong(*survey, index), is_begun)
                }
            },
            Looked::Right(survey, index) => (Looked::Right(survey, index), false),
        };
        let prepared = self.prepare_for(looked, &opened);
        let mut prepared = prepared.inspect_err(|_| {
            // What a patch has written is worth keeping.
            if !is_begun {
                opened.discard();
            }
        })?;
        let path = self.path();
        let in_place = prepared.in_place;
        let nothing_to_do = prepared.plan.missing.is_empty();
        if let (Some(state), Some(path), false) = (&self.state, &path, nothing_to_do) {
            state.forget(path).map_err(ExtractError::State)?;
        }
        let journal = match prepared.journal.take() {
            // One that an earlier run has left is done with when this one is.
            Some(path) if in_place || path.exists() => {
                let blocks = prepared.check.blocks();
                let needed = prepared.journal_seed.map(|seed| prepared.plan.read_of(seed, blocks));
                let longest = demand::longest_journal(&self.options);
                let journal = Journal::start(&path, longest, needed.unwrap_or_default());
                Some(journal.map_err(ExtractError::Journal)?)
            }
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
        self.settle(target, &prepared.check)?;
        saved.finish().map_err(ExtractError::Journal)?;
        self.drop_staged()?;
        if let (Some(state), Some(path)) = (&self.state, &path)
            && self.options.verify != Verify::Off
            // An earlier run may have been cut short between the image and this.
            && (!nothing_to_do || (prepared.recipe.has_lists() && state.lists(path).is_none()))
        {
            // The image is there all the same.
            if let Err(error) = state.remember(path, &prepared.recipe) {
                self.observer.notice(&Notice::Forgotten { error: &error });
            }
        }
        prepared.phases.settle = started.elapsed();
        Ok(self.report(&prepared, done.written, done.late))
    }

    /// Tells what making the image would take, and touches nothing.
    pub fn plan(mut self) -> Result<Report, ExtractError> {
        match self.foresee()? {
            Foreseen::ByPatch(way, survey, index) => Ok(self.report_way(&way, &survey, &index)),
            Foreseen::ByFrames(prepared) => Ok(self.report(&prepared, 0, 0)),
        }
    }

    /// Finds the way to the image without opening the target for writing.
    fn foresee(&mut self) -> Result<Foreseen, ExtractError> {
        let index = self.open_index()?;
        let (content, rereads) = self.look_at_target()?;
        self.add_replaced();
        let looked = match self.look(index, content, rereads)? {
            Looked::Wrong(mut survey, index) => match self.find_way(&mut survey, &index)? {
                Some(way) => return Ok(Foreseen::ByPatch(Box::new(way), Box::new(survey), index)),
                None => Looked::Wrong(survey, index),
            },
            Looked::Right(survey, index) => Looked::Right(survey, index),
        };
        Ok(Foreseen::ByFrames(Box::new(self.prepare(looked)?)))
    }

    /// What the target holds, and whether what is written to it could be read again. Touches nothing.
    fn look_at_target(&mut self) -> Result<(Option<Window>, bool), ExtractError> {
        match &self.destination {
            Destination::Stream(_) => Ok((None, false)),
            Destination::Path { path, existing } => {
                let (path, existing) = (path.clone(), *existing);
                expect_target(&path)?;
                let part = part_of(&path);
                let held = match existing {
                    Existing::Replace if !is_device(&path) => &part,
                    _ if path.exists() => &path,
                    _ => &part,
                };
                let window = Window::open(held, None).ok().filter(|window| window.size() > 0);
                if let Some(window) = window.as_ref().filter(|_| *held == part)
                    && !mark::is_ours(window.file())
                        .map_err(|error| TargetError::Open(part.clone(), error))?
                {
                    return Err(TargetError::Refused(path, Refusal::Foreign(part)).into());
                }
                if path.exists() && (is_device(&path) || existing == Existing::Update) {
                    self.expect_no_overlap(&path)?;
                }
                Ok((window, true))
            }
        }
    }

    /// Reads all that making the image would take from the store, and throws it away: a source that keeps what it
    /// reads has it then.
    pub fn pull(mut self) -> Result<Report, ExtractError> {
        let mut prepared = match self.foresee()? {
            Foreseen::ByPatch(way, survey, index) => {
                way.pull(self.source, self.options.limits.longest, self.observer)?;
                return Ok(self.report_way(&way, &survey, &index));
            }
            Foreseen::ByFrames(prepared) => prepared,
        };
        let started = Instant::now();
        if let Some(staging) = &prepared.staging {
            staging.pull(self.source, self.options.limits.longest, self.observer)?;
        }
        work::pull(&prepared.plan, &prepared.recipe, self.source, self.options.connections, self.observer)?;
        prepared.phases.write = started.elapsed();
        Ok(self.report(&prepared, 0, 0))
    }

    /// Removes what was put aside for the image, which is there.
    pub(crate) fn drop_staged(&self) -> Result<(), ExtractError> {
        match (&self.state, self.path()) {
            (Some(state), Some(path)) => state.drop_staged(&path).map_err(ExtractError::State),
            _ => Ok(()),
        }
    }

    pub(crate) fn path(&self) -> Option<PathBuf> {
        match &self.destination {
            Destination::Path { path, .. } => Some(path.clone()),
            Destination::Stream(_) => None,
        }
    }

    pub(crate) fn open_index(&mut self) -> Result<OpenIndex, ExtractError> {
        let taken = std::mem::replace(&mut self.version, Version::Object(String::new()));
        let index = match taken {
            Version::Index(index) => OpenIndex::Whole(Box::new(Recipe::whole(index)?)),
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
        if self.options.ignore_target {
            return;
        }
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

    /// Plans for a target, puts aside what has to be, and makes sure that there is room.
    fn prepare_for(&self, looked: Looked, opened: &Opened) -> Result<Prepared, ExtractError> {
        let mut prepared = self.prepare(looked)?;
        // Until that is done, not even the length of the target changes: it is what patches start from.
        if let Some(staging) = prepared.staging.take() {
            let old = prepared.seeds.last().expect("the target is the last seed");
            match self.put_aside(staging, old, &mut prepared.late)? {
                Ok(staged) => {
                    prepared.seeds.push(staged);
                    prepared.is_staged = true;
                }
                Err(without) => prepared.plan = without,
            }
        }
        let totals = &prepared.plan.totals;
        opened.make_room(totals.write - totals.zero)?;
        Ok(prepared)
    }

    /// Finds out what the seeds hold, and plans.
    fn prepare(&self, looked: Looked) -> Result<Prepared, ExtractError> {
        match looked {
            Looked::Right(survey, index) => Ok(Prepared::nothing_to_do(survey, index, self.options.threads)),
            Looked::Wrong(survey, index) => self.conclude(self.survey(survey, index)?),
        }
    }

    fn conclude(&self, known: Known) -> Result<Prepared, ExtractError> {
        let started = Instant::now();
        let Known { mut survey, mut recipe, object, mut places } = known;
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
        let rereads = survey.rereads;
        let plan = |places: &Places| {
            let held = Held { places, own: own_seed.is_some().then_some(own), kept: &kept, rereads };
            Plan::new(&recipe, &check, &held, &self.options.limits)
        };
        let by_frames = plan(&places);
        let (plan, staging) = self.plan_staging(&mut survey, &recipe, &mut places, by_frames, &plan)?;
        let needed = plan.totals.download + recipe.fetched().bytes + survey.late;
        if let Some(allowed) = self.options.max_download.filter(|allowed| needed > *allowed) {
            return Err(ExtractError::TooMuch { needed, allowed });
        }
        self.observer.notice(&Notice::Planned(&plan.totals));
        let memory = (recipe.memory() + places.memory() + plan.memory()) as u64;
        let known = memory + check.memory() as u64;
        // A plan may be made twice.
        let planning = demand::for_looking(known + plan.memory() as u64, 0);
        let looking = demand::for_looking(survey.memory + recipe.memory() as u64, self.options.threads);
        let most = demand::for_work(&plan, known, &self.options).max(planning).max(looking);
        let staging_most =
            staging.as_ref().map(|staging| known + staging.most_memory(self.options.limits.longest));
        let most = most.max(staging_most.unwrap_or(0));
        let moves = plan.totals.seeds.get(usize::from(own)).is_some_and(|bytes| *bytes > 0);
        let in_place = own_seed.is_some() && moves;
        let demand = self.demand_of(most, &survey, recipe.head(), &plan.totals, in_place);
        let parts = std::mem::take(&mut survey.parts);
        let seeds = parts.into_iter().map(|part| part.seed).chain(own_seed).collect();
        survey.phases.plan = started.elapsed();
        let Survey { journal, journal_seed, late, phases, .. } = survey;
        Ok(Prepared {
            recipe,
            check,
            plan,
            seeds,
            object,
            journal,
            journal_seed,
            in_place,
            staging,
            is_staged: false,
            late,
            memory,
            demand,
            phases,
        })
    }

    /// Makes sure of what was written.
    pub(crate) fn settle(&self, target: &mut dyn Target, check: &Check) -> Result<(), ExtractError> {
        if self.options.verify == Verify::Off {
            return Ok(target.finish()?);
        }
        self.observer.progress(&Progress::Flushing);
        target.flush()?;
        if let (Verify::ReadBack, Some(file)) = (self.options.verify, target.file()) {
            // Pages that the medium has are dropped, so that it is asked.
            let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
            let fails = |at, error| TargetError::ReadBack { at, error };
            let blocks = check.blocks();
            let image_len = blocks.count().checked_sub(1).map_or(0, |last| blocks.range(last).end);
            let window = Window::of(file, Some(0..image_len)).map_err(|error| fails(0, Some(error)))?;
            let progress = |done, total| Progress::ReadingBack { done, total };
            let content = Content::of(&window, blocks, self.options.threads, self.observer, &progress)?;
            let kept = content.kept(check.all());
            if let Some(wrong) = (0..).zip(&kept).find(|(_, kept)| !**kept).map(|(number, _)| number) {
                let wrong = blocks.range(wrong);
                let len = usize::try_from(wrong.end - wrong.start).expect("a block is in memory");
                let error = window.read(wrong.start, &mut vec![0; len]).err();
                return Err(fails(wrong.start, error).into());
            }
        }
        Ok(target.finish()?)
    }

    fn report(&self, prepared: &Prepared, written: u64, late: u64) -> Report {
        // What was put aside is no seed that anybody gave.
        let seeds = &prepared.seeds[..prepared.seeds.len() - usize::from(prepared.is_staged)];
        Report {
            id: prepared.recipe.head().id(),
            totals: prepared.plan.totals.clone(),
            seeds: seeds.iter().map(|seed| seed.name.clone()).collect(),
            written,
            late: late + prepared.late,
            index: prepared.recipe.fetched(),
            spent: self.source.spent(),
            memory: prepared.memory,
            demand: prepared.demand,
            wrong: prepared.plan.ranges(prepared.check.blocks()),
            seconds: prepared.phases,
        }
    }
}

/// An open target.
pub(crate) enum Opened {
    File(Replacement),
    Device(Device),
    Pipe(Pipe),
    /// A file that must not be written, and need not if it is right.
    Right(PathBuf),
}

impl Opened {
    pub(crate) fn target(&mut self) -> &mut dyn Target {
        match self {
            Self::File(file) => file,
            Self::Device(device) => device,
            Self::Pipe(pipe) => pipe,
            Self::Right(_) => unreachable!("nothing is written to it"),
        }
    }

    /// Makes a file as long as the image, unless there is no room for `needed` more bytes.
    pub(crate) fn make_room(&self, needed: u64) -> Result<(), TargetError> {
        match self {
            Self::File(file) => file.make_room(needed),
            _ => Ok(()),
        }
    }

    /// Removes what was made for nothing.
    pub(crate) fn discard(&self) {
        if let Self::File(file) = self {
            file.discard();
        }
    }
}

/// A way to the image that nobody has gone yet.
enum Foreseen {
    ByPatch(Box<Way>, Box<Survey>, OpenIndex),
    ByFrames(Box<Prepared>),
}

/// Everything that is known before the first byte is written.
struct Prepared {
    recipe: Recipe,
    check: Check,
    plan: Plan,
    seeds: Vec<Seed>,
    object: String,
    journal: Option<PathBuf>,
    /// The number of the seed that an earlier run's journal is.
    journal_seed: Option<u16>,
    /// Whether old bytes of the target are moved.
    in_place: bool,
    /// What is put aside before anything is written.
    staging: Option<Staging>,
    /// Whether that is the last of the seeds now.
    is_staged: bool,
    /// Bytes of patches that were fetched in vain.
    late: u64,
    memory: u64,
    demand: Demand,
    phases: Phases,
}

impl Prepared {
    fn nothing_to_do(survey: Survey, index: OpenIndex, threads: usize) -> Self {
        let recipe = match index {
            OpenIndex::Whole(recipe) => *recipe,
            OpenIndex::Front(front, _) => Recipe::without_chunks(*front),
        };
        let (blocks, image) = (recipe.blocks(), recipe.record().image_len());
        let plan = Plan { totals: Totals { image, kept: image, ..Totals::default() }, ..Plan::default() };
        let check = Check::new(blocks, Vec::new());
        let known = recipe.memory() as u64 + survey.memory;
        let demand = Demand { memory: demand::for_looking(known, threads), ..Demand::default() };
        let seeds = survey.parts.into_iter().map(|part| part.seed).collect();
        let (object, journal, phases) = (String::new(), survey.journal, survey.phases);
        let (journal_seed, in_place, late, memory) = (None, false, 0, 0);
        Self {
            recipe,
            check,
            plan,
            seeds,
            object,
            journal,
            journal_seed,
            in_place,
            staging: None,
            is_staged: false,
            late,
            memory,
            demand,
            phases,
        }
    }
}

/// Refuses what can be no target, existing or to be made.
fn expect_target(path: &Path) -> Result<(), ExtractError> {
    let refused = |refusal| Err(TargetError::Refused(path.to_owned(), refusal).into());
    match path.metadata() {
        Ok(metadata) if metadata.is_file() || is_device(path) => Ok(()),
        Ok(_) => refused(Refusal::Kind),
        Err(_) => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            if parent.unwrap_or(Path::new(".")).is_dir() { Ok(()) } else { refused(Refusal::Parent) }
        }
    }
}
