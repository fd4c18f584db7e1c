//! The second stage: blocks become the lines of the chunk list, in image order.
//!
//! Three things make a line without looking at its bytes: the previous version has the chunk at this very place
//! and all blocks it touches are the same; or the bytes are zeros for as long as a chunk can be. What remains
//! is cut. A chunk depends on nothing before its start, so once a cut of this image is also a cut of the
//! previous one, the chunks agree for as long as the bytes do.

use std::collections::VecDeque;
use std::ops::Range;

use chunk_chunker::{Cutter, Params, Segment};
use chunk_index::ShortName;
use chunk_store::Place;

use crate::block::{Block, Bytes};
use crate::previous::Previous;

/// One chunk of the image, as far as this stage knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its bytes in the image.
    pub(crate) range: Range<u64>,
    pub(crate) chunk: Chunk,
}

/// What is known of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// The previous version has it here.
    Known { short: ShortName, place: Option<Place> },
    /// Zeros.
    Zeros,
    /// Nothing but its borders.
    Cut,
}

/// What is remembered of a block while chunks may still touch it.
struct Mark {
    end: u64,
    clean: bool,
    zeros: bool,
}

/// Blocks in, lines out.
pub(crate) struct Lines<'p> {
    params: Params,
    cutter: Cutter<Bytes>,
    previous: Option<Previous<'p>>,
    marks: VecDeque<Mark>,
    /// Where the last block ends.
    end: u64,
    finished: bool,
}

impl<'p> Lines<'p> {
    pub(crate) fn new(params: Params, previous: Option<Previous<'p>>) -> Self {
        Self {
            params,
            cutter: Cutter::new(params),
            previous,
            marks: VecDeque::new(),
            end: 0,
            finished: false,
        }
    }

    /// Takes the next block.
    pub(crate) fn push(&mut self, block: Block) {
        let Block { bytes, clean, candidates, .. } = block;
        let zeros = bytes.are_zeros();
        let segment = Segment::new(self.end, bytes, candidates);
        self.end = segment.end();
        self.marks.push_back(Mark { end: self.end, clean, zeros });
        self.cutter.push(segment);
    }

    /// Whether no block follows.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Where the next line starts.
    pub(crate) fn position(&self) -> u64 {
        self.cutter.position()
    }

    /// No block follows.
    pub(crate) fn finish(&mut self) {
        self.finished = true;
        self.cutter.finish();
    }

    /// The next line; none if another block is needed first, or none is left.
    pub(crate) fn next(&mut self) -> Option<Line> {
        let start = self.cutter.position();
        while self.marks.pop_front_if(|mark| mark.end <= start).is_some() {}
        while self.cutter.release().is_some() {}
        if start >= self.end {
            return None;
        }
        let zeros = self.run(|mark| mark.zeros) - start;
        if zeros >= u64::from(self.params.max()) {
            let end = start + u64::from(self.params.zero_chunk());
            self.cutter.restart(end);
            return Some(Line { range: start..end, chunk: Chunk::Zeros });
        }
        match self.known(start) {
            Known::Line(line) => {
                self.cutter.restart(line.range.end);
                Some(line)
            }
            Known::NeedsMore => None,
            Known::Nothing => self.cutter.next_chunk().map(|range| Line { range, chunk: Chunk::Cut }),
        }
    }

    /// Where the run of blocks that satisfy `test` ends that starts at the position.
    fn run(&self, test: impl Fn(&Mark) -> bool) -> u64 {
        let run = self.marks.iter().take_while(|mark| test(mark)).last();
        run.map_or(self.cutter.position(), |mark| mark.end)
    }

    fn known(&mut self, start: u64) -> Known {
        let clean_until = self.run(|mark| mark.clean);
        if clean_until == start {
            return Known::Nothing;
        }
        let Some(previous) = &mut self.previous else { return Known::Nothing };
        let Some((short, len, place)) = previous.chunk_at(start) else { return Known::Nothing };
        let end = start + u64::from(len);
        // The byte behind the chunk decided its end, or the end of the image did. No byte decides anything that
        // may be the last of the image: whether it is looked at depends on the image's length.
        let same_end = self.finished && end == self.end && end == previous.image_len();
        if end + 1 < clean_until || (end == clean_until && same_end) {
            Known::Line(Line { range: start..end, chunk: Chunk::Known { short, place } })
        } else if clean_until == self.end && !self.finished {
            Known::NeedsMore
        } else {
            Known::Nothing
        }
    }
}

/// What the previous version says of a chunk.
enum Known {
    Line(Line),
    /// The next block will tell.
    NeedsMore,
    Nothing,
}
