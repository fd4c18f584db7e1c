//! From a way to an image, or to what is left for frames.

use std::time::Instant;

use crate::job::{ExtractError, Job, Notice, Report, Verify};
use crate::known::KnownImage;
use crate::opened::Opened;
use crate::plan::joined;
use crate::run::FLUSH;
use crate::survey::{OpenIndex, Survey};
use crate::target::Cleared;

use super::way::Way;

/// What came of looking for a patch and going by it.
pub(crate) enum ByPatch {
    /// The image is complete.
    Done(Box<Report>),
    /// Frames have to do the rest, or all.
    Left {
        /// What is held, the blocks that a patch has made among it.
        survey: Box<Survey>,
        /// The index.
        index: OpenIndex,
    },
}

impl Job<'_> {
    /// Makes the image by a patch, if a seed is the base of one.
    pub(crate) fn run_by_patch(
        &self,
        mut survey: Survey,
        index: OpenIndex,
        opened: &mut Opened,
    ) -> Result<ByPatch, ExtractError> {
        let started = Instant::now();
        let found = self.find_way(&mut survey, &index)?;
        survey.phases.plan = started.elapsed();
        let Some(way) = found else { return Ok(ByPatch::Left { survey: Box::new(survey), index }) };
        let totals = way.totals();
        opened.make_room(totals.write - totals.zero).inspect_err(|_| opened.discard())?;
        if let (Some(state), Some(path), false) = (&self.state, self.path(), way.is_empty()) {
            self.tell_kept(state.forget(&path));
        }
        let started = Instant::now();
        let flush_every = (self.options.verify != Verify::Off).then_some(FLUSH);
        let target = opened.target();
        let done = self.apply(&way, &survey.parts[usize::from(way.seed)].seed, target, flush_every)?;
        survey.phases.write = started.elapsed();
        survey.late += done.late;
        if let Some(made) = done.rest {
            survey.done = made;
            survey.late += done.fetched - done.late;
            return Ok(ByPatch::Left { survey: Box::new(survey), index });
        }
        let started = Instant::now();
        if let Some(kept) = self.read_back(target, way.check())? {
            self.tell_rewritten(&kept, way.check());
            target.doubt();
            survey.done = kept;
            survey.late += done.fetched - done.late;
            return Ok(ByPatch::Left { survey: Box::new(survey), index });
        }
        let cleared = target.clear_tail(self.observer)?;
        target.finish()?;
        self.conclude_patched(&way, &survey, &index);
        survey.phases.settle = started.elapsed();
        let report = Report { written: done.written, cleared, ..self.report_way(&way, &survey, &index) };
        Ok(ByPatch::Done(Box::new(report)))
    }

    /// Forgets what an earlier run has saved, and remembers what the target is.
    fn conclude_patched(&self, way: &Way, survey: &Survey, index: &OpenIndex) {
        if let Some(journal) = survey.journal.as_ref().filter(|journal| journal.exists()) {
            self.tell_kept(std::fs::remove_file(journal));
        }
        self.drop_staged();
        if let (Some(state), Some(path)) = (&self.state, self.path())
            && self.options.verify != Verify::Off
        {
            let recipe = match index {
                OpenIndex::Whole(recipe) => Some(&**recipe),
                OpenIndex::Front(..) => None,
            };
            let image = KnownImage::new(index.head().record(), way.check());
            // The image is there all the same.
            if let Err(error) = state.remember(&path, recipe, image.as_ref()) {
                self.observer.notice(&Notice::Forgotten { error: &error });
            }
        }
    }

    /// What going by `way` comes to.
    pub(crate) fn report_way(&self, way: &Way, survey: &Survey, index: &OpenIndex) -> Report {
        Report {
            id: index.head().id(),
            totals: way.totals().clone(),
            seeds: survey.parts.iter().map(|part| part.seed.name.clone()).collect(),
            written: 0,
            late: survey.late,
            index: index.fetched() + way.mend_index(),
            spent: self.source.spent(),
            memory: way.memory(),
            demand: self.demand_of(
                way.most_memory(self.options.limits.longest),
                survey,
                index.head(),
                way.totals(),
                false,
            ),
            wrong: joined(&way.missing, way.check().blocks()),
            ways: survey.ways.clone(),
            cleared: Cleared::default(),
            scratch: self.scratch(),
            surplus: survey.surplus(way.totals().image),
            seconds: survey.phases,
        }
    }
}
