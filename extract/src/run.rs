//! From a job to an image: the parts of this crate in their order.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::capped::Capped;
use crate::demand;
use crate::error::IndexError;
use crate::front::Front;
use crate::job::{ExtractError, Job, Notice, Report, Verify, Version};
use crate::journal::Journal;
use crate::known::KnownImage;
use crate::opened::Opened;
use crate::patched::{ByPatch, Staging, Way};
use crate::prepared::Prepared;
use crate::recipe::Recipe;
use crate::saved::Saved;
use crate::seed::Window;
use crate::survey::{Looked, OpenIndex, Survey};
use crate::target::{Cleared, Destination, Device, Refusal, TargetError, is_device};
use crate::work::{self, Work};

/// Bytes written in place after which the medium is waited for: what a power cut may cost in downloads.
const FLUSH_IN_PLACE: u64 = 8 << 20;
/// The same where nothing is lost by it but progress.
pub(crate) const FLUSH: u64 = 128 << 20;

impl Job<'_> {
    /// Makes the image.
    pub fn run(self) -> Result<Report, ExtractError> {
        let Some(allowed) = self.options.max_download else { return self.make() };
        // The plan is held to it before anything is written; this holds what is not as planned.
        let capped = Capped::new(self.source, allowed);
        Job { source: &capped, ..self }.make().map_err(|error| capped.explain(error))
    }

    fn make(mut self) -> Result<Report, ExtractError> {
        let index = self.open_index()?;
        let index = match self.look_at_replaced(index)? {
            Ok((window, looked)) => {
                let report = self.confirm(looked, &window)?;
                return report.ok_or(ExtractError::Index(IndexError::Blocks));
            }
            Err(index) => index,
        };
        let image_len = index.head().record().image_len();
        let mut opened = self.open_target(image_len)?;
        if let Opened::Right(path) = &opened {
            return self.compare(path, index);
        }
        let (content, rereads) = (opened.target().content(), opened.target().file().is_some());
        let looked = self.look(index, content, rereads).inspect_err(|_| opened.discard())?;
        if let Looked::Wrong(survey, OpenIndex::Whole(recipe)) = &looked {
            // Known before a seed is read.
            let needed = survey.least_written(recipe)?;
            opened.expect_room(needed).inspect_err(|_| opened.discard())?;
        }
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
            // Who believes what is remembered compares it first: then it costs a look and no more.
            self.tell_kept(state.forget(path));
        }
        let journal = match prepared.journal.take() {
            // One that an earlier run has left is done with when this one is.
            Some(path) if in_place || path.exists() => {
                let blocks = prepared.check.blocks();
                let needed = prepared.journal_seed.map(|seed| prepared.plan.read_of(seed, blocks));
                let longest = demand::longest_journal(&self.options);
                let journal = Journal::start(&path, longest, needed.unwrap_or_default());
                if let Err(error) = &journal {
                    let bytes = prepared.plan.totals.saves;
                    self.observer.notice(&Notice::Unjournaled { bytes, error });
                }
                journal.ok()
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
            limits: &self.options.limits,
            flush_every,
        };
        let target = opened.target();
        let mut done = work.run(target)?;
        prepared.phases.write = started.elapsed();
        let started = Instant::now();
        if let Some(kept) = self.read_back(target, &prepared.check)? {
            self.write_again(target, &mut prepared, &kept, &mut done)?;
        }
        let cleared = target.clear_tail(self.observer)?;
        target.finish()?;
        // The image is there, whatever stays of what helped to make it.
        self.tell_kept(saved.finish());
        self.drop_staged();
        if let (Some(state), Some(path)) = (&self.state, &path)
            && self.options.verify != Verify::Off
            // An earlier run may have been cut short between the image and this.
            && (!nothing_to_do || (prepared.recipe.has_lists() && state.lists(path).is_none()))
        {
            // The image is there all the same.
            let image = KnownImage::new(prepared.recipe.record(), &prepared.check);
            if let Err(error) = state.remember(path, Some(&prepared.recipe), image.as_ref()) {
                self.observer.notice(&Notice::Forgotten { error: &error });
            }
        }
        prepared.phases.settle = started.elapsed();
        Ok(Report { cleared, ..self.report(&prepared, done.written, done.late) })
    }

    /// Makes sure that the file at `path` is the image already: it is not touched, whatever may happen to others.
    fn compare(&mut self, path: &Path, index: OpenIndex) -> Result<Report, ExtractError> {
        let window = Window::open(path, None).map_err(|error| TargetError::Open(path.to_owned(), error))?;
        // Nothing will be written, so what others hold does not matter.
        self.seeds.clear();
        let looked = self.look(index, Some(window.clone()), true)?;
        let refused = || TargetError::Refused(path.to_owned(), Refusal::Exists);
        if let Looked::Wrong(survey, _) = &looked
            && survey.is_known_wrong()
        {
            return Err(refused().into());
        }
        self.confirm(looked, &window)?.ok_or_else(|| refused().into())
    }

    /// Makes sure that the medium has what was `looked` at in `window`, if that is the image.
    fn confirm(&self, looked: Looked, window: &Window) -> Result<Option<Report>, ExtractError> {
        let prepared = self.prepare(looked)?;
        if !prepared.plan.missing.is_empty() {
            return Ok(None);
        }
        if self.options.verify != Verify::Off {
            // Whoever wrote it may not have waited for the medium.
            window.file().sync_data().map_err(TargetError::Flush)?;
        }
        Ok(Some(self.report(&prepared, 0, 0)))
    }

    /// Tells what making the image would take, whether or not it may be written, and touches nothing.
    pub fn plan(mut self) -> Result<Report, ExtractError> {
        let index = self.open_index()?;
        self.plan_for(index).map(|(report, _)| report)
    }

    /// A plan, and what frames alone would download if all ways are wanted.
    pub(crate) fn plan_for(&mut self, index: OpenIndex) -> Result<(Report, Option<u64>), ExtractError> {
        let (report, frames) = match self.foresee(index)? {
            Foreseen::ByPatch(way, survey, index) => {
                let report = self.report_way(&way, &survey, &index);
                (report, self.options.ways.then(|| self.download_by_frames(*survey, index)).transpose()?)
            }
            Foreseen::ByFrames(prepared) => {
                let frames =
                    prepared.staging.as_ref().map_or(prepared.plan.totals.download, Staging::without);
                (self.report(&prepared, 0, 0), self.options.ways.then_some(frames))
            }
        };
        let device = self.path().filter(|path| is_device(path));
        let cleared = device.map(|device| {
            Device::measure_tail(&device, report.totals.image, self.options.tail, self.observer)
        });
        Ok((Report { cleared: cleared.transpose()?.unwrap_or_default(), ..report }, frames))
    }

    /// What frames alone would download, whether or not that is allowed.
    fn download_by_frames(&mut self, survey: Survey, index: OpenIndex) -> Result<u64, ExtractError> {
        (self.options.patches, self.options.max_download) = (false, None);
        Ok(self.prepare(Looked::Wrong(survey, index))?.plan.totals.download)
    }

    /// Finds the way to the image without opening the target for writing.
    fn foresee(&mut self, index: OpenIndex) -> Result<Foreseen, ExtractError> {
        let (content, rereads) = self.look_at_target()?;
        let index = match self.look_at_replaced(index)? {
            Ok((_, looked)) => return Ok(Foreseen::ByFrames(Box::new(self.prepare(looked)?))),
            Err(index) => index,
        };
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

    /// Reads all that making the image would take from the store, and throws it away: a source that keeps what it
    /// reads has it then.
    pub fn pull(mut self) -> Result<Report, ExtractError> {
        let index = self.open_index()?;
        let mut prepared = match self.foresee(index)? {
            Foreseen::ByPatch(way, survey, index) => {
                self.pull_way(&way)?;
                return Ok(self.report_way(&way, &survey, &index));
            }
            Foreseen::ByFrames(prepared) => prepared,
        };
        let started = Instant::now();
        if let Some(staging) = &prepared.staging {
            self.pull_staging(staging)?;
        }
        work::pull(&prepared.plan, &prepared.recipe, self.source, self.options.connections, self.observer)?;
        prepared.phases.write = started.elapsed();
        Ok(self.report(&prepared, 0, 0))
    }

    /// Removes what was put aside for the image, which is there.
    pub(crate) fn drop_staged(&self) {
        if let (Some(state), Some(path)) = (&self.state, self.path()) {
            self.tell_kept(state.drop_staged(&path));
        }
    }

    /// Tells if something that helped an update could not be `removed`: the image is what it is all the same.
    pub(crate) fn tell_kept(&self, removed: std::io::Result<()>) {
        if let Err(error) = removed {
            self.observer.notice(&Notice::Leftover { error: &error });
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
            ways: prepared.ways.clone(),
            surplus: prepared.surplus,
            cleared: Cleared::default(),
            scratch: self.scratch(),
            seconds: prepared.phases,
        }
    }
}

/// A way to the image that nobody has gone yet.
enum Foreseen {
    ByPatch(Box<Way>, Box<Survey>, OpenIndex),
    ByFrames(Box<Prepared>),
}
