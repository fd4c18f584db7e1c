//! Chooses the cuts of an image whose bytes arrive in segments.
//!
//! The cutter holds the segments that the next chunk may reach into, and no others: about `max` bytes and what
//! the segments are larger than that. It copies nothing.

use std::collections::VecDeque;
use std::ops::Range;

use crate::gear::{Hash, WINDOW};
use crate::params::Params;
use crate::scan::Candidates;
use crate::search::{Rule, Search};

/// Bytes of the image that lie one after the other, as many as the caller likes.
#[derive(Debug)]
pub struct Segment<B> {
    offset: u64,
    bytes: B,
    candidates: Option<Candidates>,
}

impl<B: AsRef<[u8]>> Segment<B> {
    /// The segment at `offset` of the image.
    ///
    /// With the `candidates` that [`scan`](crate::scan) found in exactly these bytes, choosing the cuts is
    /// quick. Without, the cutter hashes what it needs: slower, but only that, which pays where few chunks of
    /// the segment are cut at all.
    ///
    /// # Panics
    ///
    /// If the candidates were found in data of another length.
    pub fn new(offset: u64, bytes: B, candidates: Option<Candidates>) -> Self {
        if let Some(candidates) = &candidates {
            assert_eq!(candidates.scanned(), bytes.as_ref().len(), "candidates of other bytes");
        }
        Self { offset, bytes, candidates }
    }

    /// Where it starts in the image.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Where it ends in the image.
    pub fn end(&self) -> u64 {
        self.offset + self.bytes.as_ref().len() as u64
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// Gives the bytes back.
    pub fn into_bytes(self) -> B {
        self.bytes
    }

    /// The part of `range`, absolute, that lies in this segment.
    fn overlap(&self, range: &Range<u64>) -> Option<Range<u64>> {
        let part = range.start.max(self.offset)..range.end.min(self.end());
        (!part.is_empty()).then_some(part)
    }

    /// An absolute position within this segment as an index into its bytes.
    fn index(&self, position: u64) -> usize {
        usize::try_from(position - self.offset).expect("the position lies within bytes that are in memory")
    }

    fn slice(&self, part: Range<u64>) -> &[u8] {
        &self.bytes()[self.index(part.start)..self.index(part.end)]
    }
}

/// Yields the chunks of an image, in order, from its segments.
///
/// ```
/// use chunk_chunker::{Cutter, Params, Segment, scan};
///
/// let image = vec![7; 300_000];
/// let mut cutter = Cutter::new(Params::DEFAULT);
/// let mut chunks = Vec::new();
/// for (offset, bytes) in (0..).step_by(100_000).zip(image.chunks(100_000)) {
///     cutter.push(Segment::new(offset, bytes, Some(scan(Params::DEFAULT, bytes))));
///     while let Some(chunk) = cutter.next_chunk() {
///         chunks.push(chunk);
///     }
///     while cutter.release().is_some() {}
/// }
/// cutter.finish();
/// while let Some(chunk) = cutter.next_chunk() {
///     chunks.push(chunk);
/// }
/// assert_eq!(chunks.last().map(|chunk| chunk.end), Some(300_000));
/// ```
#[derive(Debug)]
pub struct Cutter<B> {
    params: Params,
    /// Segments not yet released, each starting where the one before ends.
    segments: VecDeque<Segment<B>>,
    /// Where the next chunk starts.
    position: u64,
    /// Where the last segment ends.
    end: u64,
    finished: bool,
}

impl<B: AsRef<[u8]>> Cutter<B> {
    /// A cutter at the start of an image.
    pub fn new(params: Params) -> Self {
        Self { params, segments: VecDeque::new(), position: 0, end: 0, finished: false }
    }

    /// Takes the segment that follows the last one.
    ///
    /// After a [`restart`](Self::restart) beyond the last segment, those in between may be left out.
    ///
    /// # Panics
    ///
    /// If the segment neither follows the last one nor is the first to reach the position restarted at; if the
    /// image was declared finished; if the segment's candidates were found with other parameters.
    pub fn push(&mut self, segment: Segment<B>) {
        assert!(!self.finished, "a segment after the end of the image");
        let skips = self.end < segment.offset && segment.offset <= self.position;
        assert!(
            segment.offset == self.end || skips,
            "segment at {}, expected at {} (next chunk at {})",
            segment.offset,
            self.end,
            self.position
        );
        if let Some(candidates) = &segment.candidates {
            assert_eq!(candidates.params(), self.params, "candidates for other parameters");
        }
        if skips {
            // They end before the next chunk starts, and the segments kept must join.
            self.segments.clear();
        }
        self.end = segment.end();
        self.segments.push_back(segment);
    }

    /// Declares that the image ends with the last segment, or at the position restarted at if that is later.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// The next chunk, from where to where in the image.
    ///
    /// `None` asks for another segment; after [`finish`](Self::finish) it means that no chunk is left.
    pub fn next_chunk(&mut self) -> Option<Range<u64>> {
        let left = self.end.saturating_sub(self.position);
        let enough = self.finished || left >= u64::from(self.params.max());
        if left == 0 || !enough {
            return None;
        }
        let start = self.position;
        self.position = self.cut(left);
        Some(start..self.position)
    }

    /// Where the next chunk starts, which is where the last one ended.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Lets the next chunk start at `offset`, because the caller knows the chunks before it.
    ///
    /// The offset must be a cut: the caller promises that, the cutter cannot know.
    ///
    /// # Panics
    ///
    /// If `offset` lies before [`position`](Self::position).
    pub fn restart(&mut self, offset: u64) {
        assert!(offset >= self.position, "restart at {offset}, which is before {}", self.position);
        self.position = offset;
    }

    /// The bytes of `range`, segment by segment; those of the last chunk are there until their segments are
    /// released.
    ///
    /// # Panics
    ///
    /// If a part of the range is not held.
    pub fn parts(&self, range: Range<u64>) -> impl Iterator<Item = &[u8]> {
        let held = self.segments.front().map_or(self.end, Segment::offset)..self.end;
        assert!(
            range.is_empty() || (held.start <= range.start && range.end <= held.end),
            "bytes {range:?} wanted, {held:?} held"
        );
        self.overlaps(range).map(|(segment, part)| segment.slice(part))
    }

    /// Gives back the oldest segment, once no later chunk reaches into it.
    ///
    /// To be called whenever the last chunk's bytes are no longer looked at: a segment that is not released
    /// stays.
    pub fn release(&mut self) -> Option<Segment<B>> {
        let done = self.segments.front()?.end() <= self.position;
        if done { self.segments.pop_front() } else { None }
    }

    /// Where the chunk ends that starts at the position, `left` bytes before the end of what is known.
    fn cut(&self, left: u64) -> u64 {
        let start = self.position;
        let Search { small, large, otherwise } = Search::new(self.params, left);
        let origin = start + u64::from(small.start);
        [(Rule::Small, small), (Rule::Large, large)]
            .into_iter()
            .find_map(|(rule, Range { start: from, end: to })| {
                self.first(rule, start + u64::from(from)..start + u64::from(to), origin)
            })
            .unwrap_or(start + u64::from(otherwise))
    }

    /// The first position in `range` at which `rule` allows a cut, in a chunk whose first hashed byte is at
    /// `origin`.
    fn first(&self, rule: Rule, range: Range<u64>, origin: u64) -> Option<u64> {
        self.overlaps(range).find_map(|(segment, part)| {
            let Some(candidates) = &segment.candidates else {
                return self.hash(rule, segment, part, origin);
            };
            // A candidate counts once the window lies both within the segment, where alone it was looked for,
            // and behind the origin, where alone the hash knows bytes.
            let from = segment.offset.max(origin) + Candidates::KNOWN_FROM as u64;
            let from = from.clamp(part.start, part.end);
            self.hash(rule, segment, part.start..from, origin).or_else(|| {
                let listed = segment.index(from)..segment.index(part.end);
                candidates.first(rule, listed).map(|index| segment.offset + index as u64)
            })
        })
    }

    /// As [`first`](Self::first), byte by byte in `part` of a segment.
    fn hash(&self, rule: Rule, segment: &Segment<B>, part: Range<u64>, origin: u64) -> Option<u64> {
        if part.is_empty() {
            return None;
        }
        let context = part.start.saturating_sub(WINDOW as u64 - 1).max(origin)..part.start;
        let mut hash = self
            .overlaps(context)
            .fold(Hash::START, |hash, (segment, part)| hash.roll_all(segment.slice(part)));
        let at = hash.find(segment.slice(part.clone()), self.params.mask(rule))?;
        Some(part.start + at as u64)
    }

    fn overlaps(&self, range: Range<u64>) -> impl Iterator<Item = (&Segment<B>, Range<u64>)> {
        let first = self.segments.partition_point(|segment| segment.end() <= range.start);
        let reached = self.segments.range(first..).take_while({
            let end = range.end;
            move |segment| segment.offset < end
        });
        reached.filter_map(move |segment| Some((segment, segment.overlap(&range)?)))
    }
}
