//! Putting a block together from wherever its bytes are, and finding out which of them were wrong.

use std::ops::Range;

use chunk_chunker::Name;
use chunk_index::{Location, Placed, ShortName};
use chunk_store::Decoder;

use crate::ReadError;
use crate::job::ExtractError;
use crate::plan::{Origin, Run};
use crate::verified::Verified;
use crate::work::{Shared, line::Line};

/// How often a block is put together anew from the store before its bytes are given up.
const ROUNDS: u32 = 4;

/// One of those who put blocks together.
pub(super) struct Assembler<'w, 'a> {
    shared: &'w Shared<'a>,
    line: &'w Line,
    decoder: Decoder,
    /// Bytes that had to be fetched beyond the plan.
    late: u64,
    /// The last frame fetched beyond the plan: mostly the next chunk lies in it, too.
    aside: Option<Aside>,
}

/// A frame that was asked for after `doubt` wrong answers.
struct Aside {
    pack: u32,
    offset: u32,
    doubt: u32,
    /// Nothing if the answer was wrong, too.
    plain: Option<Vec<u8>>,
}

impl<'w, 'a> Assembler<'w, 'a> {
    pub(super) fn new(shared: &'w Shared<'a>, line: &'w Line) -> Result<Self, ExtractError> {
        let decoder = Decoder::new().map_err(ReadError::Decoder)?;
        Ok(Self { shared, line, decoder, late: 0, aside: None })
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
        // First only chunks that are visibly wrong, until they are not; then, as short names can be forged, all
        // of them, and again from elsewhere.
        let (mut all, mut doubt, mut failure) = (false, 0, None);
        for _ in 0..ROUNDS {
            let mended = self.replace(block, &mut buffer, all, doubt);
            buffer = match check.verify(number, buffer) {
                Ok(verified) => return Ok(verified),
                Err(same) => same,
            };
            failure = mended.err();
            match &failure {
                Some(ExtractError::Store(ReadError::Fetch(_))) => break,
                None if !all => all = true,
                _ => doubt += 1,
            }
        }
        Err(failure.unwrap_or_else(|| ReadError::Block { image: block.clone() }.into()))
    }

    fn replace(
        &mut self,
        block: &Range<u64>,
        buffer: &mut [u8],
        all: bool,
        doubt: u32,
    ) -> Result<(), ExtractError> {
        let shared = self.shared;
        let mut first_error = None;
        let mut at = block.start;
        while at < block.end {
            let (leaf, fetched) = shared.recipe.entries_with_map(shared.source, shared.object, at)?;
            self.late += fetched;
            for placed in leaf.iter().filter(|placed| placed.image.end > at && placed.image.start < block.end)
            {
                let outcome = self.replace_chunk(placed, block, buffer, all, doubt);
                if let Err(ExtractError::Store(ReadError::Fetch(_))) = outcome {
                    return outcome;
                }
                first_error = first_error.or(outcome.err());
            }
            at = leaf.last().map_or(block.end, |placed| placed.image.end);
        }
        first_error.map_or(Ok(()), Err)
    }

    fn replace_chunk(
        &mut self,
        placed: &Placed,
        block: &Range<u64>,
        buffer: &mut [u8],
        all: bool,
        doubt: u32,
    ) -> Result<(), ExtractError> {
        let chunk_len = u64::from(placed.entry.len);
        let period = placed.entry.len;
        let run = Run { image: placed.image.start, len: len64(&placed.image), period, origin: Origin::Zero };
        let Some(location) = placed.location else {
            for (image, _) in run.pieces(block) {
                buffer[within(block, &image)].fill(0);
            }
            return Ok(());
        };
        for (image, before) in run.pieces(block) {
            let part = within(block, &image);
            let whole = len64(&image) == chunk_len;
            if !all && whole && ShortName::of(&Name::of(&buffer[part.clone()])) == placed.entry.short {
                continue;
            }
            let Some(chunk) = self.chunk_aside(placed, &location, doubt)? else { return Ok(()) };
            copy(chunk, before, &mut buffer[part]);
        }
        Ok(())
    }

    /// The bytes of a chunk, from the store; nothing if its frame has just turned out wrong.
    fn chunk_aside(
        &mut self,
        placed: &Placed,
        location: &Location,
        doubt: u32,
    ) -> Result<Option<&[u8]>, ExtractError> {
        let (frames, frame) = (&self.shared.frames, &location.frame);
        let wanted = (location.pack, frame.offset, doubt);
        if self.aside.as_ref().is_none_or(|aside| (aside.pack, aside.offset, aside.doubt) != wanted) {
            self.late += u64::from(frame.stored_len);
            let (pack, offset, doubt) = wanted;
            self.aside = Some(Aside { pack, offset, doubt, plain: None });
            let plain = frames.aside(pack, frame, doubt, &mut self.decoder)?;
            self.aside = Some(Aside { pack, offset, doubt, plain: Some(plain) });
        }
        let Some(plain) = self.aside.as_ref().and_then(|aside| aside.plain.as_ref()) else { return Ok(None) };
        let chunk = &plain[location.first as usize..][..placed.entry.len as usize];
        if ShortName::of(&Name::of(chunk)) != placed.entry.short {
            let range = u64::from(frame.offset)..frame.end();
            let object = frames.object(location.pack);
            return Err(ReadError::Chunk { object, range, image: placed.image.clone() }.into());
        }
        Ok(Some(chunk))
    }
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
