//! Doing what the plan says.
//!
//! Fetchers ask the store ahead of need, assemblers put blocks together and verify them, and the caller's
//! thread writes them in the plan's order. What any of them holds in memory is bounded.

mod assemble;
mod frames;
mod late;
mod line;
mod pull;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use chunk_fetch::Source;

use crate::demand::window;
use crate::flushing::Flushing;
use crate::job::{ExtractError, Observer, Progress};
use crate::plan::{Joining, Limits, Origin, Plan};
use crate::recipe::{LateMaps, Recipe};
use crate::saved::Saved;
use crate::seed::{Seed, Window};
use crate::target::{Share, Target};
use crate::verified::{Check, Verified};

use assemble::Assembler;
use frames::Frames;
use line::Line;
pub(crate) use pull::{kept, pull};

/// Everything that those who work together look at.
struct Shared<'a> {
    recipe: &'a Recipe,
    check: &'a Check,
    plan: &'a Plan,
    seeds: &'a [Seed],
    own: Option<Window>,
    source: &'a dyn Source,
    object: &'a str,
    saved: &'a Saved,
    frames: Frames<'a>,
    /// Maps that are fetched because a seed was not what it seemed.
    maps: Mutex<LateMaps>,
    /// How often each load is still to be used.
    uses_left: Mutex<Vec<u32>>,
}

/// What is to be done, and with what.
pub(crate) struct Work<'a> {
    pub recipe: &'a Recipe,
    pub check: &'a Check,
    pub plan: &'a Plan,
    pub seeds: &'a [Seed],
    pub source: &'a dyn Source,
    pub object: &'a str,
    pub saved: &'a Saved,
    pub observer: &'a dyn Observer,
    /// Threads that put blocks together.
    pub threads: usize,
    /// Requests at a time.
    pub connections: usize,
    /// Bounds of the plan.
    pub limits: &'a Limits,
    /// Bytes written after which the medium is waited for; `None` for never.
    pub flush_every: Option<u64>,
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Bytes written.
    pub written: u64,
    /// Bytes of frames fetched beyond the plan.
    pub late: u64,
}

impl Work<'_> {
    /// Writes all missing blocks to `target`.
    pub(crate) fn run(&self, target: &mut dyn Target) -> Result<Done, ExtractError> {
        let count = self.plan.order.len();
        let line = Line::new(count, window(self.threads));
        let uses = self.plan.fetches.loads.iter().map(|load| load.uses).collect();
        // A pipe has nothing to read again, and its plans ask for nothing of the kind.
        let own = target.file().and_then(|file| Window::of(file, None).ok());
        let joining = Joining::new(self.limits, self.source.speed());
        let locator = self.recipe.head().locator();
        let shared = Shared {
            recipe: self.recipe,
            check: self.check,
            plan: self.plan,
            seeds: self.seeds,
            own,
            source: self.source,
            object: self.object,
            saved: self.saved,
            frames: Frames::new(self.plan, locator, self.source, self.limits.frames, joining),
            maps: Mutex::default(),
            uses_left: Mutex::new(uses),
        };
        let late = AtomicU64::new(0);
        let requests = self.plan.fetches.requests.len();
        let written = thread::scope(|scope| {
            for _ in 0..self.connections.min(requests) {
                scope.spawn(|| {
                    let _guard = Guard(&shared.frames, &line);
                    shared.frames.fetch(&line);
                });
            }
            for _ in 0..self.threads.clamp(1, count.max(1)) {
                scope.spawn(|| {
                    let _guard = Guard(&shared.frames, &line);
                    let result = assemble_all(&shared, &line, &late);
                    if let Err(error) = result {
                        line.fail(error);
                        shared.frames.stop();
                    }
                });
            }
            let _guard = Guard(&shared.frames, &line);
            let written = self.write_all(target, &line);
            shared.frames.stop();
            written
        });
        match line.into_failure() {
            Some(error) => Err(error),
            None => Ok(Done { written, late: late.into_inner() }),
        }
    }

    /// Writes what comes down the line. Returns early, with whatever, if it has stopped.
    fn write_all(&self, target: &mut dyn Target, line: &Line) -> u64 {
        let mut written = 0;
        let mut flushing = Flushing::every(self.flush_every);
        let total = self.plan.totals.write;
        let mut done = 0;
        for position in 0..self.plan.order.len() {
            let cancelled = || self.observer.is_cancelled();
            let Some(block) = line.receive(position, &cancelled) else { return written };
            let result = self.write(target, &block, &mut flushing);
            match result {
                Ok(bytes) => {
                    written += bytes;
                    done += block.bytes().len() as u64;
                    line.advance(block);
                    self.observer.progress(&Progress::Writing { done, total });
                }
                Err(error) => {
                    // Told to the others at once, so that the scope can end.
                    line.fail(error);
                    return written;
                }
            }
        }
        written
    }

    fn write(
        &self,
        target: &mut dyn Target,
        block: &Verified,
        flushing: &mut Flushing,
    ) -> Result<u64, ExtractError> {
        if self.flush_every.is_some() {
            // Old bytes must be safe elsewhere before they are overwritten.
            self.saved.sync();
        }
        if flushing.is_due() {
            target.flush()?;
            flushing.flushed();
            self.saved.settle();
        }
        let bytes = target.put(block, &self.shares(block))?;
        self.saved.written(block.number());
        flushing.written(bytes);
        Ok(bytes)
    }

    /// The files from which the target's file system might share this block.
    fn shares(&self, block: &Verified) -> Vec<Share<'_>> {
        let range = block.at()..block.at() + block.bytes().len() as u64;
        let first = self.plan.runs.partition_point(|run| run.range().end <= range.start);
        let runs = self.plan.runs[first..].iter().take_while(|run| run.image < range.end);
        let shares = runs.filter_map(|run| {
            let Origin::Seed { seed, offset } = run.origin else { return None };
            let (file, offset) = self.seeds[usize::from(seed)].file_at(offset)?;
            (run.period == 0).then(|| Share { file, offset, image: run.range() })
        });
        shares.collect()
    }
}

fn assemble_all(shared: &Shared<'_>, line: &Line, late: &AtomicU64) -> Result<(), ExtractError> {
    let mut assembler = Assembler::new(shared, line)?;
    while let Some((position, buffer)) = line.next() {
        let Some((block, more)) = assembler.block(position, buffer)? else { return Ok(()) };
        late.fetch_add(more, Ordering::Relaxed);
        line.deliver(position, block);
    }
    Ok(())
}

/// Lets nobody wait for a thread that has panicked.
struct Guard<'g, 'a>(&'g Frames<'a>, &'g Line);

impl Drop for Guard<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.1.abandon();
            self.0.stop();
        }
    }
}
