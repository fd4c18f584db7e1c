//! What going by a patch takes: decided from its head, before anything is written.

use std::error::Error;
use std::ops::Range;

use chunk_chunker::image::Blocks;
use chunk_delta::{Origin, Patch};
use chunk_fetch::Source;
use chunk_index::{Block, Record};
use chunk_store::Key;

use crate::ReadError;
use crate::job::{ExtractError, Job, Notice, Observer, Progress};
use crate::plan::Totals;
use crate::survey::{OpenIndex, Survey};
use crate::verified::Check;

use super::base::Base;

/// Bytes of a patch asked for first: enough for most heads.
const FRONT: u64 = 1 << 14;
/// Longest script, and most bytes of block hashes: memory goes with them.
const MOST_SCRIPT: u32 = 4 << 20;

/// A patch whose base a seed is, and what it takes.
#[derive(Debug)]
pub(crate) struct Way {
    pub(super) object: String,
    pub(super) patch: Patch,
    /// The seed that is its base.
    pub(super) seed: u16,
    pub(super) check: Check,
    /// The blocks to write, ascending.
    pub(super) missing: Vec<u64>,
    /// The groups that they need, in the order in which they do.
    pub(super) groups: Vec<usize>,
    /// What all this comes to.
    pub(super) totals: Totals,
    /// The bytes of the patch that were fetched to know this: its head, and more if it is short.
    front: Vec<u8>,
}

impl Job<'_> {
    /// The way by a patch to the image that `index` describes, if there is one. It costs no more than the head of the patch to
    /// find out, and that only if a seed is its base.
    pub(crate) fn find_way(
        &self,
        survey: &mut Survey,
        index: &OpenIndex,
    ) -> Result<Option<Way>, ExtractError> {
        let (record, patches) = (index.head().record(), index.head().locator().patches());
        if !self.options.patches || patches.is_empty() || survey.is_right {
            return Ok(None);
        }
        let Some(base) = self.find_base(&survey.parts, patches)? else { return Ok(None) };
        let object = Key::Patch(base.patch.name).path();
        let mut front = Front::default();
        let way = match open(self.source, &object, &base, record, &mut front) {
            Ok((patch, said)) => {
                let kept = survey.kept(&said);
                let check = Check::new(Blocks::of_len(record.image_len()), said);
                let longest = self.options.limits.longest;
                Way::new((object, patch, front), (base.seed, survey.parts.len()), check, &kept, longest)
            }
            Err(error) => {
                survey.late += front.bytes.len() as u64;
                self.observer.notice(&Notice::Unpatched { patch: &object, error: &*error });
                return Ok(None);
            }
        };
        // Frames may still do with what is allowed, or tell by how much they do not.
        let needed = way.totals.download + index.fetched().bytes;
        if self.options.max_download.is_some_and(|allowed| needed > allowed) {
            survey.late += way.front.len() as u64;
            return Ok(None);
        }
        self.observer.notice(&Notice::Planned(&way.totals));
        Ok(Some(way))
    }
}

/// What was fetched of a patch first.
#[derive(Default)]
struct Front {
    bytes: Vec<u8>,
    requests: u64,
}

/// The patch, and what the blocks of its target are.
fn open(
    source: &dyn Source,
    object: &str,
    base: &Base,
    record: &Record,
    front: &mut Front,
) -> Result<(Patch, Vec<Block>), Box<dyn Error>> {
    let len = source.open(object, FRONT, &mut front.bytes)?;
    front.requests = 1;
    if len != base.patch.len {
        return Err(format!("it has {len} bytes, the index says {}", base.patch.len).into());
    }
    let (there, needed) = (front.bytes.len() as u64, Patch::head_len(&front.bytes)?);
    if there < needed && needed <= len.min(2 * u64::from(MOST_SCRIPT)) {
        let mut rest = Vec::new();
        source.read(object, there..needed, &mut rest)?;
        front.bytes.append(&mut rest);
        front.requests = 2;
    }
    let patch = Patch::decode(&front.bytes, len, MOST_SCRIPT)?;
    if patch.base() != (base.patch.base_len, &base.patch.base)
        || patch.target() != (record.image_len(), &record.description().blake3)
    {
        return Err("it leads from or to another image".into());
    }
    let hashes = patch.blocks(&base.hashes).ok_or("its block hashes are not the image's")?;
    Ok((patch, hashes.into_iter().map(Block::Hash).collect()))
}

impl Way {
    fn new(
        (object, patch, front): (String, Patch, Front),
        (seed, seeds): (u16, usize),
        check: Check,
        kept: &[bool],
        longest: u64,
    ) -> Self {
        let blocks = check.blocks();
        let missing: Vec<u64> =
            (0..).zip(kept).filter(|(_, kept)| !**kept).map(|(number, _)| number).collect();
        let mut totals = Totals { image: patch.target().0, seeds: vec![0; seeds], ..Totals::default() };
        let mut groups: Vec<usize> = Vec::new();
        let mut is_needed = vec![false; patch.groups().len()];
        for number in &missing {
            let range = blocks.range(*number);
            totals.write += range.end - range.start;
            for piece in patch.pieces(range) {
                let len = piece.target.end - piece.target.start;
                match piece.origin {
                    Origin::Zero => totals.zero += len,
                    Origin::Base(_) => totals.seeds[usize::from(seed)] += len,
                    Origin::New(stream, offset) => {
                        totals.patched += len;
                        let group = patch.group_of(stream, offset).expect("the groups make all new bytes");
                        if !std::mem::replace(&mut is_needed[group], true) {
                            groups.push(group);
                        }
                    }
                }
            }
        }
        totals.kept = totals.image - totals.write;
        let mut way = Self { object, patch, seed, check, missing, groups, totals, front: front.bytes };
        let requests: Vec<_> = way.requests(longest).collect();
        way.totals.patch =
            way.front_len() + requests.iter().map(|range| range.end - range.start).sum::<u64>();
        way.totals.download = way.totals.patch;
        way.totals.requests = front.requests + requests.len() as u64;
        way
    }

    /// Bytes from the patch's start that are there already.
    pub(super) fn front_len(&self) -> u64 {
        self.front.len() as u64
    }

    /// What is to be fetched of the groups, in the order of need.
    fn requests(&self, longest: u64) -> impl Iterator<Item = Range<u64>> {
        self.groups.iter().flat_map(move |group| self.requests_of(*group, longest))
    }

    /// What is there already of a group.
    pub(super) fn part_of(&self, group: usize) -> &[u8] {
        let Range { start, end } = self.patch.groups()[group].stored;
        let there = |at: u64| usize::try_from(at.min(self.front_len())).expect("it is in memory");
        &self.front[there(start)..there(end)]
    }

    /// What is to be fetched of one group behind what is there, in requests of at most `longest` bytes.
    pub(super) fn requests_of(&self, group: usize, longest: u64) -> impl Iterator<Item = Range<u64>> + use<> {
        let Range { start, end } = self.patch.groups()[group].stored;
        let start = start.max(self.front_len()).min(end);
        let count = (end - start).div_ceil(longest);
        (0..count).map(move |number| start + number * longest..end.min(start + (number + 1) * longest))
    }

    /// What going this way comes to.
    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// What the blocks of the image are.
    pub(crate) fn check(&self) -> &Check {
        &self.check
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty()
    }

    /// Bytes that the way takes in memory.
    pub(crate) fn memory(&self) -> u64 {
        (self.patch.memory() + self.missing.capacity() * 8 + self.groups.capacity() * 8) as u64
    }

    /// Reads all groups and throws them away: a source that keeps what it reads has them then.
    pub(crate) fn pull(
        &self,
        source: &dyn Source,
        longest: u64,
        observer: &dyn Observer,
    ) -> Result<(), ExtractError> {
        let (mut done, total) = (self.front_len(), self.totals.download);
        let mut buffer = Vec::new();
        for range in self.requests(longest) {
            if observer.is_cancelled() {
                return Err(ExtractError::Cancelled);
            }
            done += range.end - range.start;
            source.read(&self.object, range, &mut buffer).map_err(ReadError::Fetch)?;
            observer.progress(&Progress::Pulling { done, total });
        }
        Ok(())
    }
}
