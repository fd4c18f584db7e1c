//! The third stage: chunks that were cut get their names, many at a time on any thread.

use std::collections::VecDeque;
use std::ops::Range;

use chunk_chunker::image::BLOCK;
use chunk_chunker::{Name, is_zero};
use chunk_index::ShortName;
use chunk_store::Place;

use crate::block::Bytes;
use crate::cutting::{Chunk, Line};

/// Image bytes to be named by one job.
const BATCH_BYTES: u64 = BLOCK as u64;
/// Lines of one job: those that are known cost only memory.
const BATCH_LINES: usize = 4096;
/// Bytes from the first to the last chunk to be named by one job, which keeps the blocks between them.
const BATCH_SPAN: u64 = 4 * BLOCK as u64;

/// Lines that follow each other, with the blocks that hold the bytes of those that were cut.
#[derive(Default)]
pub(crate) struct Batch {
    lines: Vec<Line>,
    /// From the first to the last byte of a chunk that was cut, if one was.
    cut: Option<Range<u64>>,
    cut_bytes: u64,
    blocks: Held,
}

/// Lines that were named.
pub(crate) struct Named {
    pub(crate) lines: Vec<NamedLine>,
    pub(crate) blocks: Held,
}

/// One line with all that the chunk list needs.
pub(crate) struct NamedLine {
    pub(crate) range: Range<u64>,
    pub(crate) chunk: NamedChunk,
}

/// What is known of a chunk once its bytes were looked at.
pub(crate) enum NamedChunk {
    Known { short: ShortName, place: Option<Place> },
    Zeros,
    Named(Name),
}

impl Batch {
    pub(crate) fn push(&mut self, line: Line) {
        if line.chunk == Chunk::Cut {
            let Range { start, end } = line.range;
            self.cut = Some(self.cut.as_ref().map_or(start, |cut| cut.start)..end);
            self.cut_bytes += end - start;
        }
        self.lines.push(line);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        let span = self.needs_from().zip(self.lines.last()).map_or(0, |(start, last)| last.range.end - start);
        self.cut_bytes >= BATCH_BYTES || self.lines.len() >= BATCH_LINES || span >= BATCH_SPAN
    }

    /// Where the bytes start that must be held for its sake.
    pub(crate) fn needs_from(&self) -> Option<u64> {
        self.cut.as_ref().map(|cut| cut.start)
    }

    /// Takes the lines away, with the blocks of `held` that they lie in.
    pub(crate) fn take(&mut self, held: &Held) -> Self {
        let mut batch = std::mem::take(self);
        batch.blocks = batch.cut.as_ref().map(|cut| held.within(cut)).unwrap_or_default();
        batch
    }

    pub(crate) fn run(self) -> Named {
        let blocks = self.blocks;
        let lines = self.lines.into_iter().map(|Line { range, chunk }| {
            let chunk = match chunk {
                Chunk::Known { short, place } => NamedChunk::Known { short, place },
                Chunk::Zeros => NamedChunk::Zeros,
                Chunk::Cut if blocks.parts(&range).all(is_zero) => NamedChunk::Zeros,
                Chunk::Cut => NamedChunk::Named(Name::of_parts(blocks.parts(&range))),
            };
            NamedLine { range, chunk }
        });
        Named { lines: lines.collect(), blocks }
    }
}

/// Blocks that follow each other in the image.
#[derive(Clone, Default)]
pub(crate) struct Held(VecDeque<(u64, Bytes)>);

impl Held {
    /// Adds the block at `offset`.
    pub(crate) fn push(&mut self, offset: u64, bytes: Bytes) {
        self.0.push_back((offset, bytes));
    }

    /// Lets go of blocks that end before `offset`.
    pub(crate) fn release(&mut self, offset: u64) {
        while self.0.pop_front_if(|(start, bytes)| *start + bytes.as_ref().len() as u64 <= offset).is_some() {
        }
    }

    /// The bytes of `range`, block by block.
    pub(crate) fn parts(&self, range: &Range<u64>) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter_map(|(offset, bytes)| {
            let bytes = bytes.as_ref();
            let within = |at: u64| {
                usize::try_from(at.saturating_sub(*offset)).map_or(bytes.len(), |at| at.min(bytes.len()))
            };
            let part = within(range.start)..within(range.end);
            (!part.is_empty()).then(|| &bytes[part])
        })
    }

    fn within(&self, range: &Range<u64>) -> Self {
        let touches = |(start, bytes): &&(u64, Bytes)| {
            *start < range.end && range.start < *start + bytes.as_ref().len() as u64
        };
        Self(self.0.iter().filter(touches).cloned().collect())
    }
}
