//! Putting a block together from wherever its bytes are, and finding out which of them were wrong.

use std::ops::Range;

use chunk_chunker::{Name, is_zero};
use chunk_index::{Placed, ShortName};
use chunk_store::Decoder;

use crate::ReadError;
use crate::job::ExtractError;
use crate::plan::{Origin, Run};
use crate::verified::Verified;
use crate::work::late::{Late, Wanted};
use crate::work::{Shared, line::Line};

/// How often a block is put together anew from the store before its bytes are given up.
const ROUNDS: u32 = 6;

/// One of those who put blocks together.
pub(super) struct Assembler<'w, 'a> {
    shared: &'w Shared<'a>,
    line: &'w Line,
    decoder: Decoder,
    /// Bytes that had to be fetched beyond the plan.
    late: u64,
}

/// Which chunks of a wrong block are fetched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Suspect {
    /// Those that are visibly not what the index says.
    Visible,
    /// And those of which only a part lies in the block.
    Edges,
    /// All, as short names can be forged.
    All,
}

impl<'w, 'a> Assembler<'w, 'a> {
    pub(super) fn new(shared: &'w Shared<'a>, line: &'w Line) -> Result<Self, ExtractError> {
        let decoder = Decoder::new().map_err(ReadError::Decoder)?;
        Ok(Self { shared, line, decoder, late: 0 })
    }

    /// The block of `position`, and what had to be fetched for it beyond the plan. `None` if the work has ended.
    pub(super) fn block(
        &mut self,
        position: usize,
        mut buffer: Vec<u8>,
    ) -> Result<Option<(Verified, u64)>, ExtractError> {
        let shared = self.shared;
        let number = shared.plan.block_at(position);
        let block = shared.check.blocks().range(number);
        let at = u32::try_from(position).expect("positions are counted in 32 bits");
        buffer.clear();
        buffer.resize(len(&block), 0);
        self.late = 0;

        if !self.line.wait_written(shared.plan.saved_until(number)) {
            return Ok(None);
        }
        let saved = shared.saved.take(number);
        let first = shared.plan.runs.partition_point(|run| run.range().end <= block.start);
        let runs = shared.plan.runs[first..].iter().take_while(|run| run.image < block.end);
        for run in runs {
            for (image, before) in run.pieces(&block) {
                let part = within(&block, &image);
                if self.fill(run, before, at, &saved, &mut buffer[part]).is_none() {
                    return Ok(None);
                }
            }
        }
        self.save_old(at);
        shared.frames.release(at, &shared.uses_left);
        let verified = match shared.check.verify(number, buffer) {
            Ok(verified) => verified,
            Err(buffer) => self.mend(number, &block, buffer)?,
        };
        Ok(Some((verified, self.late)))
    }

    /// Fills `part` from the origin of `run`; what cannot be read there stays as it is and is mended later.
    fn fill(
        &mut self,
        run: &Run,
        before: u64,
        at: u32,
        saved: &[(Range<u64>, Vec<u8>)],
        part: &mut [u8],
    ) -> Option<()> {
        let shared = self.shared;
        match run.origin {
            Origin::Zero => {}
            Origin::Seed { seed, offset } => {
                shared.seeds[usize::from(seed)].read_readable(offset + before, part);
            }
            Origin::New { offset } => {
                let offset = offset + before;
                let last = (offset + part.len() as u64 - 1) / BLOCK;
                let written = shared.plan.position_of(last).map_or(0, |position| position as usize + 1);
                if !self.line.wait_written(written.min(at as usize)) {
                    return None;
                }
                let _ = shared.own.as_ref()?.read(offset, part);
            }
            Origin::Own { offset } => self.fill_own(offset + before, at, saved, part)?,
            Origin::Frame { frame, first } => {
                let loads = &shared.plan.fetches.loads;
                let load = shared.plan.fetches.used_at(at).find(|load| loads[*load as usize].frame == frame);
                let load = load.expect("the plan loads every frame that a run refers to");
                match shared.frames.plain(load, &mut self.decoder) {
                    Some(plain) => copy(&plain, u64::from(first) + before, part),
                    None if self.line.is_stopped() => return None,
                    None => {}
                }
            }
        }
        Some(())
    }

    /// Fills `part` with old bytes of the target, block by block: what is overwritten by now was saved.
    fn fill_own(&self, offset: u64, at: u32, saved: &[(Range<u64>, Vec<u8>)], part: &mut [u8]) -> Option<()> {
        let shared = self.shared;
        let mut rest = part;
        let mut offset = offset;
        while !rest.is_empty() {
            let block_end = (offset / BLOCK + 1).saturating_mul(BLOCK);
            let here = usize::try_from(block_end - offset).map_or(rest.len(), |left| left.min(rest.len()));
            let (now, later) = rest.split_at_mut(here);
            let gone = shared.plan.position_of(offset / BLOCK).is_some_and(|position| position < at);
            if gone {
                let range = offset..offset + here as u64;
                let found = saved.iter().find(|(own, _)| own.start <= range.start && range.end <= own.end);
                if let Some((own, bytes)) = found {
                    copy(bytes, range.start - own.start, now);
                }
            } else {
                let _ = shared.own.as_ref()?.read(offset, now);
            }
            offset += here as u64;
            rest = later;
        }
        Some(())
    }

    /// Saves the old bytes that others need of the block that `at` is about to overwrite.
    fn save_old(&self, at: u32) {
        let shared = self.shared;
        for save in shared.plan.saves_at(at) {
            let Some(own) = &shared.own else { continue };
            let mut bytes = vec![0; len(&save.own)];
            // What cannot be read is missed and fetched by the block that needs it.
            if own.read(save.own.start, &mut bytes).is_ok() {
                shared.saved.put(save.reader, save.own.clone(), bytes);
            }
        }
    }

    /// Replaces the bytes of a block that are not what the index says by those of the store.
    fn mend(
        &mut self,
        number: u64,
        block: &Range<u64>,
        mut buffer: Vec<u8>,
    ) -> Result<Verified, ExtractError> {
        let check = self.shared.check;
        let (mut suspect, mut doubt, mut failure) = (Suspect::Visible, 0, None);
        for _ in 0..ROUNDS {
            let mended = self.replace(block, &mut buffer, suspect, doubt);
            buffer = match check.verify(number, buffer) {
                Ok(verified) => return Ok(verified),
                Err(same) => same,
            };
            failure = mended.err();
            (suspect, doubt) = match (&failure, suspect) {
                (None, Suspect::Visible) => (Suspect::Edges, doubt),
                (None, Suspect::Edges) => (Suspect::All, doubt),
                (None, Suspect::All) => (suspect, doubt + 1),
                (Some(error), _) if may_be_right_elsewhere(error) => (suspect, doubt + 1),
                (Some(_), _) => break,
            };
        }
        Err(failure.unwrap_or_else(|| ReadError::Block { image: block.clone() }.into()))
    }

    /// Replaces the suspect chunks of a block.
    fn replace(
        &mut self,
        block: &Range<u64>,
        buffer: &mut [u8],
        suspect: Suspect,
        doubt: u32,
    ) -> Result<(), ExtractError> {
        let Shared { recipe, source, object, maps, frames, .. } = self.shared;
        let mut wanted = Vec::new();
        let mut at = block.start;
        while at < block.end {
            let (leaf, fetched) = recipe.entries_with_map(*source, object, at, maps)?;
            self.late += fetched;
            at = leaf.last().map_or(block.end, |placed| placed.image.end);
            for placed in leaf {
                if placed.image.end <= block.start
                    || placed.image.start >= block.end
                    || !is_suspect(&placed, block, buffer, suspect)
                {
                    continue;
                }
                match placed.location {
                    Some(location) => wanted.push(Wanted { placed, location }),
                    None => {
                        copies(&placed, block).for_each(|(image, _)| buffer[within(block, &image)].fill(0));
                    }
                }
            }
        }
        let mut late = Late { frames, line: self.line, fetched: 0 };
        let outcome = late.chunks(wanted, doubt, &mut self.decoder, &mut |placed, chunk| {
            for (image, before) in copies(placed, block) {
                copy(chunk, before, &mut buffer[within(block, &image)]);
            }
        });
        self.late += late.fetched;
        outcome
    }
}

/// Whether asking again, or somebody else, may bring other bytes than those that were the error.
fn may_be_right_elsewhere(error: &ExtractError) -> bool {
    matches!(error, ExtractError::Store(ReadError::Frame { .. } | ReadError::Chunk { .. }))
}

/// Where in `block` copies of a chunk lie, each with the bytes before it in the chunk.
fn copies(placed: &Placed, block: &Range<u64>) -> impl Iterator<Item = (Range<u64>, u64)> + use<> {
    let (image, len, period) = (placed.image.start, len64(&placed.image), placed.entry.len);
    Run { image, len, period, origin: Origin::Zero }.pieces(block)
}

/// Whether a chunk may be wrong in a block of these bytes.
fn is_suspect(placed: &Placed, block: &Range<u64>, buffer: &[u8], suspect: Suspect) -> bool {
    if suspect == Suspect::All {
        return true;
    }
    let chunk_len = u64::from(placed.entry.len);
    copies(placed, block).any(|(image, _)| {
        if len64(&image) < chunk_len {
            return suspect == Suspect::Edges;
        }
        let bytes = &buffer[within(block, &image)];
        if placed.entry.short.is_zero() {
            !is_zero(bytes)
        } else {
            ShortName::of(&Name::of(bytes)) != placed.entry.short
        }
    })
}

/// Copies into `part` what `bytes` have from `from` on; bytes that are not there are mended later.
fn copy(bytes: &[u8], from: u64, part: &mut [u8]) {
    let source = usize::try_from(from).ok().and_then(|from| bytes.get(from..)?.get(..part.len()));
    if let Some(source) = source {
        part.copy_from_slice(source);
    }
}

fn within(block: &Range<u64>, image: &Range<u64>) -> Range<usize> {
    let at = |at: u64| usize::try_from(at - block.start).expect("a block is in memory");
    at(image.start)..at(image.end)
}

fn len(range: &Range<u64>) -> usize {
    usize::try_from(len64(range)).expect("a block is in memory")
}

fn len64(range: &Range<u64>) -> u64 {
    range.end - range.start
}

const BLOCK: u64 = chunk_chunker::image::BLOCK as u64;
