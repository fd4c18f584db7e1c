//! Going by patches: block after block is put together, compared with its hash, and written.

use std::error::Error;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use chunk_delta::{Image, Origin};
use chunk_fetch::FetchError;

use crate::flushing::Flushing;
use crate::job::{ExtractError, Job, Notice, Options, Progress};
use crate::parts::DOUBTS;
use crate::seed::Seed;
use crate::target::{Share, Target};
use crate::verified::Verified;

use super::chain::{Root, visit};
use super::groups::Fetch;
use super::link::{Link, Useless};
use super::made::{Made, Old};
use super::streams::{Streams, make};
use super::way::Way;

/// Blocks that may be wrong before the patch is given up.
const PATIENCE: usize = 16;

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// Bytes written.
    pub(crate) written: u64,
    /// Which blocks of the image were written, if not all that had to be.
    pub(crate) rest: Option<Vec<bool>>,
    /// Bytes fetched.
    pub(crate) fetched: u64,
    /// Bytes of these that were not planned.
    pub(crate) late: u64,
}

impl Job<'_> {
    /// Writes the blocks that `way` leads to. What it fails to make is left to others.
    pub(crate) fn apply(
        &self,
        way: &Way,
        seed: &Seed,
        target: &mut dyn Target,
        flush_every: Option<u64>,
    ) -> Result<Applied, ExtractError> {
        let fetched = AtomicU64::new(way.front_len() + way.mend_index().bytes);
        let mut late = 0;
        let applied = match self.mended(way, &fetched, &mut late) {
            Ok(mended) => self.apply_to(
                way,
                mended.as_ref().unwrap_or(seed),
                &self.fetch(&fetched),
                target,
                flush_every,
            ),
            Err(error) => Err(error),
        };
        let applied = match applied {
            Ok(applied) => applied?,
            Err(_) if self.observer.is_cancelled() => return Err(ExtractError::Cancelled),
            Err(error) => self.give_up(way, &*error, Vec::new(), 0),
        };
        let fetched = fetched.into_inner();
        if applied.rest.is_none() {
            // With what had to be asked for again.
            late = fetched.saturating_sub(way.totals.download + way.mend_index().bytes);
        }
        Ok(Applied { fetched, late, ..applied })
    }

    /// What the seed of `way` was, if it is not that any more.
    fn mended(&self, way: &Way, fetched: &AtomicU64, late: &mut u64) -> Result<Option<Seed>, Useless> {
        let Some(mend) = &way.mend else { return Ok(None) };
        let (seed, more) = self.mend(mend)?;
        *late = more;
        fetched.fetch_add(mend.download() + more, Ordering::Relaxed);
        Ok(Some(seed))
    }

    /// Writes the blocks that `way` makes of `seed`; an error of the outer kind if it makes none.
    fn apply_to(
        &self,
        way: &Way,
        seed: &Seed,
        fetch: &Fetch<'_>,
        target: &mut dyn Target,
        flush_every: Option<u64>,
    ) -> Result<Result<Applied, ExtractError>, Useless> {
        let Some((last, before)) = way.links.split_last() else { return Ok(Ok(Applied::default())) };
        let made = self.make_between(way, seed, fetch)?;
        let old = Old { seed, links: before, made: &made };
        let mut apply = Apply::new(self, way, &old, target.file().is_none(), Flushing::every(flush_every));
        loop {
            let fetch = Fetch { doubt: apply.doubt, ..*fetch };
            let groups = apply.groups();
            let passed = thread::scope(|scope| {
                let mut streams = Streams::start(scope, (last, &groups), &old, &fetch);
                apply.pass(&mut streams, target)
            });
            match passed {
                Err(error) => return Ok(Err(error)),
                Ok(Passed::Again) => apply.doubt += 1,
                Ok(Passed::All) => return Ok(Ok(apply.finish())),
                Ok(Passed::GivenUp(failure)) => {
                    return Ok(Ok(self.give_up(way, &*failure, apply.done, apply.written)));
                }
            }
        }
    }

    /// How groups are fetched; what that costs is counted.
    pub(super) fn fetch<'f>(&'f self, fetched: &'f AtomicU64) -> Fetch<'f> {
        let Options { limits, connections, .. } = &self.options;
        Fetch { source: self.source, longest: limits.longest, connections: *connections, fetched, doubt: 0 }
    }

    /// Decodes what the image needs of all patches but the last.
    fn make_between(&self, way: &Way, seed: &Seed, fetch: &Fetch<'_>) -> Result<Made, Useless> {
        let (_, links) = way.links.split_last().expect("a way has a patch");
        let made = Made::new(links, &self.scratch())?;
        for number in 0..links.len() {
            let old = Old { seed, links: &links[..number], made: &made };
            make(links, number, &old, fetch, self.observer)?;
        }
        Ok(made)
    }

    /// Has the source forget what it keeps of `links`, which have failed with `error`: what a server gave once for a patch
    /// must not be in the way of the next run. A link that broke says nothing of what came over it.
    pub(super) fn doubt(&self, links: &[Link], error: &(dyn Error + 'static)) {
        if !error.is::<FetchError>() {
            for link in links {
                self.source.forget(&link.object);
            }
        }
    }

    /// Tells that the blocks that are not `done` are left to others, and why.
    fn give_up(&self, way: &Way, error: &(dyn Error + 'static), done: Vec<bool>, written: u64) -> Applied {
        self.doubt(&way.links, error);
        self.observer.notice(&Notice::Unpatched { patch: way.object(), error });
        Applied { written, rest: Some(done), ..Applied::default() }
    }
}

/// How a pass over the blocks has ended.
enum Passed {
    /// At the last block.
    All,
    /// At a block for which groups are to be asked for again.
    Again,
    /// The rest is left to others.
    GivenUp(Useless),
}

struct Apply<'a> {
    job: &'a Job<'a>,
    way: &'a Way,
    /// What the last patch starts from.
    old: &'a Old<'a>,
    flushing: Flushing,
    /// Whether no block can be left out.
    in_order: bool,
    /// How many answers for groups were wrong.
    doubt: u32,
    /// By block of the image.
    done: Vec<bool>,
    written: u64,
    /// Blocks that nobody is to blame for but the seed.
    wrong: usize,
}

impl<'a> Apply<'a> {
    fn new(job: &'a Job<'a>, way: &'a Way, old: &'a Old<'a>, in_order: bool, flushing: Flushing) -> Self {
        let done = vec![false; at(way.check.blocks().count())];
        Self { job, way, old, flushing, in_order, doubt: 0, done, written: 0, wrong: 0 }
    }

    fn last(&self) -> &'a Link {
        self.way.links.last().expect("a way has a patch")
    }

    /// The groups of the last patch that what is left to do needs, in the order of need.
    fn groups(&self) -> Vec<usize> {
        let mut is_noted = vec![false; self.last().patch.groups().len()];
        let left = self.way.missing.iter().filter(|number| !self.done[at(**number)]);
        let groups = left.flat_map(|number| self.last().groups_of(self.way.check.blocks().range(*number)));
        groups.filter(|group| !std::mem::replace(&mut is_noted[*group], true)).collect()
    }

    /// Puts together what is left to do, up to the first block that bytes from the store may have spoilt.
    fn pass(&mut self, streams: &mut Streams, target: &mut dyn Target) -> Result<Passed, ExtractError> {
        let mut buffer = Vec::new();
        let mut position = 0;
        self.wrong = 0;
        for number in &self.way.missing {
            let range = self.way.check.blocks().range(*number);
            position += range.end - range.start;
            if self.done[at(*number)] {
                continue;
            }
            if self.job.observer.is_cancelled() {
                return Err(ExtractError::Cancelled);
            }
            if let Err(failure) = self.fill(streams, &range, &mut buffer) {
                let may_pass = self.doubt < DOUBTS && !failure.is::<FetchError>();
                return Ok(if may_pass { Passed::Again } else { Passed::GivenUp(failure) });
            }
            if let Ok(block) = self.way.check.verify(*number, std::mem::take(&mut buffer)) {
                self.written += self.write(target, &block)?;
                self.done[at(*number)] = true;
                buffer = block.into_buffer();
            } else if self.doubt < DOUBTS && self.last().groups_of(range).next().is_some() {
                return Ok(Passed::Again);
            } else {
                self.wrong += 1;
                if self.in_order || self.wrong >= PATIENCE {
                    return Ok(Passed::GivenUp("what it makes of the seed is not the image".into()));
                }
            }
            self.job.observer.progress(&Progress::Writing { done: position, total: self.way.totals.write });
        }
        Ok(Passed::All)
    }

    fn finish(self) -> Applied {
        Applied { written: self.written, rest: (self.wrong > 0).then_some(self.done), ..Applied::default() }
    }

    fn fill(&self, streams: &mut Streams, block: &Range<u64>, buffer: &mut Vec<u8>) -> Result<(), Useless> {
        buffer.clear();
        buffer.resize(within(block, block.end), 0);
        for piece in self.last().patch.pieces(block.clone()) {
            let part = &mut buffer[within(block, piece.target.start)..within(block, piece.target.end)];
            match piece.origin {
                Origin::Zero => {}
                // What cannot be read is found out by the hash.
                Origin::Base(offset) => drop(self.old.read_at(offset, part)),
                Origin::New(stream, offset) => streams.read(stream, offset, part)?,
            }
        }
        Ok(())
    }

    fn write(&mut self, target: &mut dyn Target, block: &Verified) -> Result<u64, ExtractError> {
        if self.flushing.is_due() {
            target.flush()?;
            self.flushing.flushed();
        }
        let range = block.at()..block.at() + block.bytes().len() as u64;
        let mut shares = Vec::new();
        visit(&self.way.links, range, &mut |piece| {
            if let Root::Seed(offset) = piece.root
                && let Some((file, offset)) = self.old.seed.file_at(offset)
            {
                shares.push(Share { file, offset, image: piece.image });
            }
        });
        let bytes = target.put(block, &shares)?;
        self.flushing.written(bytes);
        Ok(bytes)
    }
}

fn at(number: u64) -> usize {
    usize::try_from(number).expect("blocks are counted in memory")
}

fn within(block: &Range<u64>, at: u64) -> usize {
    usize::try_from(at - block.start).expect("a block is in memory")
}
