//! Going by a patch: block after block is put together, compared with its hash, and written.

use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::thread;

use chunk_delta::Origin;

use crate::job::{ExtractError, Job, Notice, Progress};
use crate::seed::Seed;
use crate::target::{Share, Target};
use crate::verified::Verified;

use super::streams::{Failure, Streams};
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
        let longest = self.options.limits.longest;
        let fetched = AtomicU64::new(way.front_len());
        let applied = thread::scope(|scope| {
            let streams = Streams::start(scope, way, seed, self.source, longest, &fetched);
            let in_order = target.file().is_none();
            let mut apply = Apply { job: self, way, seed, streams, flush_every, unflushed: 0, in_order };
            apply.run(target)
        });
        Ok(Applied { fetched: fetched.into_inner(), ..applied? })
    }
}

struct Apply<'a> {
    job: &'a Job<'a>,
    way: &'a Way,
    seed: &'a Seed,
    streams: Streams,
    flush_every: Option<u64>,
    unflushed: u64,
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
                let error: &(dyn std::error::Error + 'static) = &*failure;
                self.job.observer.notice(&Notice::Unpatched { patch: &self.way.object, error });
                return Ok(Applied { written, rest: Some(done), fetched: 0 });
            }
            at += range.end - range.start;
            self.job.observer.progress(&Progress::Writing { done: at, total: self.way.totals.write });
        }
        Ok(Applied { written, rest: (wrong > 0).then_some(done), fetched: 0 })
    }

    fn fill(&mut self, block: &Range<u64>, buffer: &mut Vec<u8>) -> Result<(), Failure> {
        buffer.clear();
        buffer.resize(within(block, block.end), 0);
        for piece in self.way.patch.pieces(block.clone()) {
            let part = &mut buffer[within(block, piece.target.start)..within(block, piece.target.end)];
            match piece.origin {
                Origin::Zero => {}
                // What cannot be read is found out by the hash.
                Origin::Base(offset) => drop(self.seed.read(offset, part)),
                Origin::New(stream, offset) => self.streams.read(stream, offset, part)?,
            }
        }
        Ok(())
    }

    fn write(&mut self, target: &mut dyn Target, block: &Verified) -> Result<u64, ExtractError> {
        if self.flush_every.is_some_and(|every| self.unflushed >= every) {
            target.flush()?;
            self.unflushed = 0;
        }
        let range = block.at()..block.at() + block.bytes().len() as u64;
        let shares = self.way.patch.pieces(range).filter_map(|piece| {
            let Origin::Base(offset) = piece.origin else { return None };
            let (file, offset) = self.seed.file_at(offset)?;
            Some(Share { file, offset, image: piece.target })
        });
        let bytes = target.put(block, &shares.collect::<Vec<_>>())?;
        self.unflushed += bytes;
        Ok(bytes)
    }
}

fn within(block: &Range<u64>, at: u64) -> usize {
    usize::try_from(at - block.start).expect("a block is in memory")
}
