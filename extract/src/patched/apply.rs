//! Going by patches: block after block is put together, compared with its hash, and written.

use std::error::Error;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use chunk_delta::{Image, Origin};

use crate::flushing::Flushing;
use crate::job::{ExtractError, Job, Notice, Options, Progress};
use crate::seed::Seed;
use crate::target::{Share, Target};
use crate::verified::Verified;

use super::chain::{Root, visit};
use super::groups::Fetch;
use super::link::Useless;
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
        Ok(Applied { fetched: fetched.into_inner(), late, ..applied })
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
        Ok(thread::scope(|scope| {
            let streams = Streams::start(scope, last, &old, fetch);
            let in_order = target.file().is_none();
            let flushing = Flushing::every(flush_every);
            Apply { job: self, way, old: &old, streams, flushing, in_order }.run(target)
        }))
    }

    /// How groups are fetched; what that costs is counted.
    pub(super) fn fetch<'f>(&'f self, fetched: &'f AtomicU64) -> Fetch<'f> {
        let Options { limits, connections, .. } = &self.options;
        Fetch { source: self.source, longest: limits.longest, connections: *connections, fetched }
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

    /// Tells that the blocks that are not `done` are left to others, and why.
    fn give_up(&self, way: &Way, error: &(dyn Error + 'static), done: Vec<bool>, written: u64) -> Applied {
        self.observer.notice(&Notice::Unpatched { patch: way.object(), error });
        Applied { written, rest: Some(done), ..Applied::default() }
    }
}

struct Apply<'a> {
    job: &'a Job<'a>,
    way: &'a Way,
    /// What the last patch starts from.
    old: &'a Old<'a>,
    streams: Streams,
    flushing: Flushing,
    /// Whether no block can be left out.
    in_order: bool,
}

impl Apply<'_> {
    fn run(&mut self, target: &mut dyn Target) -> Result<Applied, ExtractError> {
        let blocks = usize::try_from(self.way.check.blocks().count()).expect("blocks are counted in memory");
        let mut done = vec![false; blocks];
        let (mut written, mut wrong, mut at) = (0, 0, 0);
        let mut buffer = Vec::new();
        for number in &self.way.missing {
            if self.job.observer.is_cancelled() {
                return Err(ExtractError::Cancelled);
            }
            let range = self.way.check.blocks().range(*number);
            let mut failure = self.fill(&range, &mut buffer).err();
            if failure.is_none() {
                if let Ok(block) = self.way.check.verify(*number, std::mem::take(&mut buffer)) {
                    written += self.write(target, &block)?;
                    done[usize::try_from(*number).expect("blocks are counted in memory")] = true;
                    buffer = block.into_buffer();
                } else {
                    wrong += 1;
                    let given_up = self.in_order || wrong >= PATIENCE;
                    failure = given_up.then(|| "what it makes of the seed is not the image".into());
                }
            }
            if let Some(failure) = failure {
                return Ok(self.job.give_up(self.way, &*failure, done, written));
            }
            at += range.end - range.start;
            self.job.observer.progress(&Progress::Writing { done: at, total: self.way.totals.write });
        }
        Ok(Applied { written, rest: (wrong > 0).then_some(done), ..Applied::default() })
    }

    fn fill(&mut self, block: &Range<u64>, buffer: &mut Vec<u8>) -> Result<(), Useless> {
        buffer.clear();
        buffer.resize(within(block, block.end), 0);
        let last = self.way.links.last().expect("a way has a patch");
        for piece in last.patch.pieces(block.clone()) {
            let part = &mut buffer[within(block, piece.target.start)..within(block, piece.target.end)];
            match piece.origin {
                Origin::Zero => {}
                // What cannot be read is found out by the hash.
                Origin::Base(offset) => drop(self.old.read_at(offset, part)),
                Origin::New(stream, offset) => self.streams.read(stream, offset, part)?,
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

fn within(block: &Range<u64>, at: u64) -> usize {
    usize::try_from(at - block.start).expect("a block is in memory")
}
