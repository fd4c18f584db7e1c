//! Making sure of what was written.

use crate::content::Content;
use crate::job::{ExtractError, Job, Notice, Progress, Verify};
use crate::places::Places;
use crate::plan::{Held, Plan, joined};
use crate::prepared::Prepared;
use crate::run::FLUSH;
use crate::saved::Saved;
use crate::seed::Window;
use crate::survey::blocks_of;
use crate::target::{Target, TargetError};
use crate::verified::Check;
use crate::work::{Done, Work};

impl Job<'_> {
    /// Waits for the medium, and reads back what it holds if that is wanted. Tells which blocks are right if not all
    /// of them are.
    pub(crate) fn read_back(
        &self,
        target: &mut dyn Target,
        check: &Check,
    ) -> Result<Option<Vec<bool>>, ExtractError> {
        if self.options.verify == Verify::Off {
            return Ok(None);
        }
        self.observer.progress(&Progress::Flushing);
        target.flush()?;
        let (Verify::ReadBack, Some(file)) = (self.options.verify, target.file()) else { return Ok(None) };
        let blocks = check.blocks();
        let image_len = blocks.count().checked_sub(1).map_or(0, |last| blocks.range(last).end);
        let window = Window::of(file, Some(0..image_len)).map_err(|error| wrong_at(0, Some(error)))?;
        let progress = |done, total| Progress::ReadingBack { done, total };
        let content =
            Content::of(&window.of_medium(), blocks, self.options.threads, self.observer, &progress)?;
        let kept = content.kept(check.all());
        Ok(kept.contains(&false).then_some(kept))
    }

    /// Fetches the blocks that are not `kept` from the store, writes them once more, and reads all back again.
    ///
    /// Seeds are not asked: a block may be wrong because of where they lie.
    pub(crate) fn write_again(
        &self,
        target: &mut dyn Target,
        prepared: &mut Prepared,
        kept: &[bool],
        done: &mut Done,
    ) -> Result<(), ExtractError> {
        self.tell_rewritten(kept, &prepared.check);
        target.doubt();
        prepared.recipe.fetch_maps(self.source, &prepared.object, |leaf, _| {
            blocks_of(&leaf.image()).any(|number| !kept[number])
        })?;
        let held = Held { places: &Places::default(), own: None, kept, rereads: false };
        let plan =
            Plan::new(&prepared.recipe, &prepared.check, &held, &self.options.limits, self.source.speed());
        let work = Work {
            recipe: &prepared.recipe,
            check: &prepared.check,
            plan: &plan,
            seeds: &prepared.seeds,
            source: self.source,
            object: &prepared.object,
            saved: &Saved::new(None),
            observer: self.observer,
            threads: self.options.threads,
            connections: self.options.connections,
            limits: &self.options.limits,
            flush_every: Some(FLUSH),
        };
        let again = work.run(target)?;
        done.written += again.written;
        done.late += again.late + plan.totals.download;
        let Some(kept) = self.read_back(target, &prepared.check)? else { return Ok(()) };
        let number = (0..).zip(&kept).find(|(_, kept)| !**kept).map_or(0, |(number, _)| number);
        let wrong = prepared.check.blocks().range(number);
        let mut block = vec![0; usize::try_from(wrong.end - wrong.start).expect("a block is in memory")];
        let window = target.file().and_then(|file| Window::of(file, None).ok());
        let error = window.and_then(|window| window.of_medium().read(wrong.start, &mut block).err());
        Err(wrong_at(wrong.start, error).into())
    }

    pub(crate) fn tell_rewritten(&self, kept: &[bool], check: &Check) {
        let wrong: Vec<u64> = (0..).zip(kept).filter(|(_, kept)| !**kept).map(|(number, _)| number).collect();
        self.observer.notice(&Notice::Rewritten { ranges: &joined(&wrong, check.blocks()) });
    }
}

fn wrong_at(at: u64, error: Option<std::io::Error>) -> TargetError {
    TargetError::ReadBack { at, error }
}
