//! The script: what the target consists of, column by column (FORMAT 8.2).

#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use std::ops::Range;

use chunk_chunker::image::Blocks;
use chunk_patch::MAX_GROUP;

use super::error::PatchError;
use super::header::Header;
use super::number::{Numbers, put, put_signed};
use super::{GROUP_MARGIN, UNIT, length};

/// Where a run of target bytes comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// They are zeros.
    Zero,
    /// They lie in the base from this offset on.
    Copy(u64),
    /// They are the next bytes of the groups of this stream.
    New(Stream),
}

/// New bytes come in two streams, so that those of a program are encoded together whatever lies between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Bytes of any kind.
    Plain,
    /// Whole programs.
    Programs,
}

impl Stream {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Programs];

    fn number(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Programs => 1,
        }
    }
}

/// A run of target bytes of one origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Op {
    pub(crate) kind: Kind,
    pub(crate) len: u64,
}

/// A group: its lengths, and the base bytes that it is encoded with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupLine {
    pub(crate) stream: Stream,
    pub(crate) stored: u64,
    pub(crate) target: u64,
    /// Ascending; each starts and ends at a multiple of [`UNIT`] or at the base's end, and none touches the next.
    pub(crate) base: Vec<Range<u64>>,
}

/// What a run of blocks of the target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockRun {
    /// The blocks that the base has in the same place.
    Same,
    /// Zeros.
    Zero,
    /// Blocks whose hashes follow the script.
    Listed,
}

/// What a patch does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) ops: Vec<Op>,
    pub(crate) groups: Vec<GroupLine>,
    pub(crate) blocks: Vec<(BlockRun, u64)>,
}

impl Script {
    /// The script's bytes, plain.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, length(&self.ops));
        out.extend(self.ops.iter().map(|op| match op.kind {
            Kind::Zero => 0,
            Kind::Copy(_) => 1,
            Kind::New(stream) => 2 | stream.number(),
        }));
        self.ops.iter().for_each(|op| put(&mut out, op.len));
        let mut expected = 0_u64;
        for op in &self.ops {
            if let Kind::Copy(base) = op.kind {
                put_signed(&mut out, base.wrapping_sub(expected).cast_signed());
                expected = base;
            }
            expected = expected.wrapping_add(op.len);
        }
        put(&mut out, length(&self.groups));
        self.groups.iter().for_each(|group| put(&mut out, group.stored));
        for group in &self.groups {
            put(&mut out, group.target.saturating_mul(2).saturating_add(u64::from(group.stream.number())));
        }
        self.groups.iter().for_each(|group| put(&mut out, length(&group.base)));
        let mut last = 0_u64;
        for group in &self.groups {
            for range in &group.base {
                let (start, end) = (range.start / UNIT, range.end.div_ceil(UNIT));
                put_signed(&mut out, start.wrapping_sub(last).cast_signed());
                put(&mut out, end.saturating_sub(start));
                last = end;
            }
        }
        put(&mut out, length(&self.blocks));
        for (kind, count) in &self.blocks {
            let kind = match kind {
                BlockRun::Same => 0,
                BlockRun::Zero => 1,
                BlockRun::Listed => 2,
            };
            put(&mut out, count.saturating_mul(3).saturating_add(kind));
        }
        out
    }

    /// Reads a script that agrees with `header`. `groups_len` are the bytes that all groups take in the file.
    pub(crate) fn decode(bytes: &[u8], header: &Header, groups_len: u64) -> Result<Self, PatchError> {
        let mut numbers = Numbers::new(bytes);
        let ops = decode_ops(&mut numbers, header)?;
        let groups = decode_groups(&mut numbers, header.base_len)?;
        for stream in Stream::ALL {
            let new = ops.iter().filter(|op| op.kind == Kind::New(stream)).map(|op| op.len);
            let made = groups.iter().filter(|group| group.stream == stream).map(|group| group.target);
            expect_sum("new bytes", sum(new), sum(made))?;
        }
        expect_sum("bytes of groups", groups_len, sum(groups.iter().map(|group| group.stored)))?;
        let blocks = decode_blocks(&mut numbers, header)?;
        numbers.finish()?;
        Ok(Self { ops, groups, blocks })
    }
}

fn decode_ops(numbers: &mut Numbers<'_>, header: &Header) -> Result<Vec<Op>, PatchError> {
    numbers.enter("operations");
    let count = numbers.next_count()?;
    let kinds = numbers.bytes(count)?;
    let lens = numbers.column(count)?;
    let mut ops: Vec<Op> = Vec::with_capacity(count);
    let mut expected = 0_u64;
    for (kind, len) in kinds.iter().zip(lens) {
        if len == 0 {
            return Err(numbers.refuse("none is empty"));
        }
        let kind = match kind {
            0 => Kind::Zero,
            1 => {
                let base = expected.wrapping_add(numbers.next_signed()?.cast_unsigned());
                if base.checked_add(len).is_none_or(|end| end > header.base_len) {
                    return Err(numbers.refuse("copies lie in the base"));
                }
                Kind::Copy(base)
            }
            2 => Kind::New(Stream::Plain),
            3 => Kind::New(Stream::Programs),
            _ => return Err(numbers.refuse("they are zeros, copies, or new")),
        };
        if ops.last().is_some_and(|last| goes_on(last, kind)) {
            return Err(numbers.refuse("each is as long as it can be"));
        }
        if let Kind::Copy(base) = kind {
            expected = base;
        }
        expected = expected.wrapping_add(len);
        ops.push(Op { kind, len });
    }
    expect_sum("operations", header.target_len, sum(ops.iter().map(|op| op.len)))?;
    Ok(ops)
}

/// Whether something of this kind would only make `op` longer.
pub(crate) fn goes_on(op: &Op, kind: Kind) -> bool {
    match (op.kind, kind) {
        (Kind::Copy(base), Kind::Copy(next)) => base.checked_add(op.len) == Some(next),
        (one, other) => one == other,
    }
}

fn decode_groups(numbers: &mut Numbers<'_>, base_len: u64) -> Result<Vec<GroupLine>, PatchError> {
    numbers.enter("groups");
    let count = numbers.next_count()?;
    let stored = numbers.column(count)?;
    let target = numbers.column(count)?;
    let ranges = numbers.column(count)?;
    let mut groups = Vec::with_capacity(count);
    let mut last = 0;
    for ((stored, target), ranges) in stored.into_iter().zip(target).zip(ranges) {
        let stream = if target % 2 == 0 { Stream::Plain } else { Stream::Programs };
        let target = target / 2;
        if target == 0 || target > u64::from(MAX_GROUP) {
            return Err(numbers.refuse("a target has 1 byte to 64 MiB"));
        }
        if stored == 0 || stored > target.saturating_add(GROUP_MARGIN) {
            return Err(numbers.refuse("none is much longer than its target"));
        }
        let base = decode_ranges(numbers, ranges, base_len, &mut last)?;
        groups.push(GroupLine { stream, stored, target, base });
    }
    Ok(groups)
}

fn decode_ranges(
    numbers: &mut Numbers<'_>,
    count: u64,
    base_len: u64,
    last: &mut u64,
) -> Result<Vec<Range<u64>>, PatchError> {
    let units = base_len.div_ceil(UNIT);
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for _ in 0..count {
        let start = last.wrapping_add(numbers.next_signed()?.cast_unsigned());
        let len = numbers.next()?;
        let end = start.checked_add(len).filter(|end| len > 0 && *end <= units);
        let end = end.ok_or_else(|| numbers.refuse("base ranges lie in the base"))?;
        *last = end;
        // Below the length of an image, so there is no overflow.
        let range = start.saturating_mul(UNIT)..end.saturating_mul(UNIT).min(base_len);
        if ranges.last().is_some_and(|before| before.end >= range.start) {
            return Err(numbers.refuse("base ranges ascend and do not touch"));
        }
        ranges.push(range);
    }
    if sum(ranges.iter().map(|range| range.end.saturating_sub(range.start))) > u64::from(MAX_GROUP) {
        return Err(numbers.refuse("a base has at most 64 MiB"));
    }
    Ok(ranges)
}

fn decode_blocks(numbers: &mut Numbers<'_>, header: &Header) -> Result<Vec<(BlockRun, u64)>, PatchError> {
    numbers.enter("blocks");
    let target = Blocks::of_len(header.target_len);
    let mut runs: Vec<(BlockRun, u64)> = Vec::new();
    let mut end = 0_u64;
    for _ in 0..numbers.next_count()? {
        let line = numbers.next()?;
        let count = line / 3;
        let kind = match line % 3 {
            0 => BlockRun::Same,
            1 => BlockRun::Zero,
            _ => BlockRun::Listed,
        };
        if count == 0 || runs.last().is_some_and(|(last, _)| *last == kind) {
            return Err(numbers.refuse("each run is as long as it can be"));
        }
        end = end.saturating_add(count);
        if end > target.count() {
            return Err(numbers.refuse("there are as many as the target has"));
        }
        if kind == BlockRun::Same && end > comparable(header.base_len, header.target_len) {
            return Err(numbers.refuse("the base has the same only where it has a block of the same length"));
        }
        runs.push((kind, count));
    }
    expect_sum("blocks", target.count(), end)?;
    let listed = runs.iter().filter(|(kind, _)| *kind == BlockRun::Listed).map(|(_, count)| *count);
    expect_sum("block hashes", u64::from(header.hashes), sum(listed))?;
    Ok(runs)
}

/// How many first blocks of base and target have hashes that can be compared: those of equal length, and none if one
/// of the images is a single block, whose hash is another.
pub(crate) fn comparable(base_len: u64, target_len: u64) -> u64 {
    let (base, target) = (Blocks::of_len(base_len), Blocks::of_len(target_len));
    if base_len == target_len {
        return target.count();
    }
    if base.count() <= 1 || target.count() <= 1 {
        return 0;
    }
    let shorter = base_len.min(target_len);
    let whole = u64::try_from(chunk_chunker::image::BLOCK).unwrap_or(u64::MAX);
    shorter.checked_div(whole).unwrap_or(0)
}

fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

fn expect_sum(of: &'static str, stated: u64, found: u64) -> Result<(), PatchError> {
    if stated == found { Ok(()) } else { Err(PatchError::Sum { of, stated, found }) }
}
