//! From two images to a patch, all but the encoding of its groups, which the caller may spread over threads.

use std::io;
use std::ops::Range;

use chunk_chunker::image::Blocks;
use chunk_index::{Block, Digest, Entry};
use chunk_patch::{Effort, encode};
use zstd::zstd_safe::{CCtx, CParameter, compress_bound};

use super::align::align;
use super::error::BuildError;
use super::gather::{Gathered, gather, total};
use super::parts::{Part, Source, absorb, set_programs};
use super::programs::{Pair, pairs};
use super::sections::{Section, sections};
use crate::format::{
    BlockRun, GROUP_MARGIN, GroupLine, Header, Kind, Op, SCRIPT_LIMIT, Script, Stream, comparable, length,
};
use crate::image::Image;
use crate::ranges::Ranges;

/// What is known of an image.
pub struct Side<'a> {
    /// Its bytes.
    pub len: u64,
    /// Its BLAKE3.
    pub blake3: Digest,
    /// Its chunks.
    pub entries: Vec<Entry>,
    /// Its blocks.
    pub blocks: Vec<Block>,
    /// The image itself.
    pub image: &'a dyn Image,
}

impl std::fmt::Debug for Side<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Side").field("len", &self.len).field("blake3", &self.blake3).finish_non_exhaustive()
    }
}

/// A patch but for its groups.
#[derive(Debug)]
pub struct Plan {
    header: Header,
    ops: Vec<Op>,
    specs: Vec<Spec>,
    blocks: Vec<(BlockRun, u64)>,
    hashes: Vec<u8>,
}

/// A group that is to be encoded.
#[derive(Debug)]
pub struct Spec(Gathered);

impl Plan {
    /// Plans the patch from `base` to `target`.
    pub fn new(base: &Side<'_>, target: &Side<'_>) -> Result<Self, BuildError> {
        let parts = align(&base.entries, &target.entries);
        let programs = pairs(&parts, (base.image, base.len), (target.image, target.len))?;
        let ranges: Vec<_> = programs.iter().map(|pair| pair.target.clone()).collect();
        let (parts, absorbed) = absorb(&set_programs(&parts, &ranges));
        let mut plain = sections(&parts, base.len, target.len);
        add_absorbed(&mut plain, absorbed);
        let of_program = |Pair { target, base }: Pair| Section { target, base: vec![base] };
        let whole: Vec<_> = programs.into_iter().map(of_program).collect();
        let mut groups = gather(&plain, Stream::Plain, base.len);
        groups.extend(gather(&whole, Stream::Programs, base.len));
        // In the order in which who reads the patch from front to back needs them.
        groups.sort_by_key(|group| group.target.first().map(|first| first.start));
        let (blocks, hashes) = blocks(base, target);
        let header = Header {
            base_len: base.len,
            base: base.blake3,
            target_len: target.len,
            target: target.blake3,
            script: 0,
            plain: 0,
            hashes: u32::try_from(hashes.len() / 32).unwrap_or(u32::MAX),
        };
        Ok(Self { header, ops: ops(&parts), specs: groups.into_iter().map(Spec).collect(), blocks, hashes })
    }

    /// The groups, in the order in which they follow the head.
    pub fn groups(&self) -> &[Spec] {
        &self.specs
    }

    /// The head of the patch, when its groups are as long as `stored` says.
    pub fn head(&self, stored: &[u64]) -> Result<Vec<u8>, BuildError> {
        let groups = self.specs.iter().zip(stored).map(|(Spec(group), stored)| GroupLine {
            stream: group.stream,
            stored: *stored,
            target: total(&group.target),
            base: group.base.clone(),
        });
        let script =
            Script { ops: self.ops.clone(), groups: groups.collect(), blocks: self.blocks.clone() }.encode();
        let packed = pack(&script);
        let limit = u64::from(SCRIPT_LIMIT);
        let found = length(&script).max(length(&packed));
        let number = |bytes: &[u8]| {
            let found = u32::try_from(bytes.len()).ok().filter(|_| found <= limit);
            found.ok_or(BuildError::TooLong { what: "the script", limit, found: length(bytes) })
        };
        let header = Header { script: number(&packed)?, plain: number(&script)?, ..self.header.clone() };
        let rest = [packed, self.hashes.clone()].concat();
        Ok([header.encode(&rest), rest].concat())
    }
}

impl Spec {
    /// Bytes of target and base: what encoding takes in memory is some ten times that.
    pub fn bytes(&self) -> u64 {
        total(&self.0.target) + total(&self.0.base)
    }

    /// Encodes the group.
    pub fn encode(
        &self,
        base: &dyn Image,
        target: &dyn Image,
        effort: Effort,
    ) -> Result<Vec<u8>, BuildError> {
        let base = read(base, &self.0.base).map_err(BuildError::Base)?;
        let target = read(target, &self.0.target).map_err(BuildError::Target)?;
        let group = encode(&base, &target, effort).map_err(BuildError::Encode)?;
        let limit = length(&target) + GROUP_MARGIN;
        if length(&group) > limit {
            return Err(BuildError::TooLong { what: "a group", limit, found: length(&group) });
        }
        Ok(group)
    }
}

fn read(image: &dyn Image, ranges: &[Range<u64>]) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(total(ranges)).map_err(io::Error::other)?];
    chunk_patch::Base::read_at(&Ranges::new(image, ranges), 0, &mut bytes)?;
    Ok(bytes)
}

/// Base bytes of absorbed copies belong to the section that took them in.
fn add_absorbed(sections: &mut [Section], absorbed: Vec<(u64, Range<u64>)>) {
    for (at, base) in absorbed {
        let number = sections.partition_point(|section| section.target.end <= at);
        if let Some(section) = sections.get_mut(number) {
            section.base.push(base);
        }
    }
}

fn ops(parts: &[Part]) -> Vec<Op> {
    let op = |part: &Part| Op {
        kind: match part.source {
            Source::Zero => Kind::Zero,
            Source::Copy(base) => Kind::Copy(base),
            Source::New => Kind::New(Stream::Plain),
            Source::Program => Kind::New(Stream::Programs),
        },
        len: part.len(),
    };
    parts.iter().map(op).collect()
}

/// What the blocks of `target` are, and the hashes of those that `base` has not.
fn blocks(base: &Side<'_>, target: &Side<'_>) -> (Vec<(BlockRun, u64)>, Vec<u8>) {
    let comparable = comparable(base.len, target.len);
    let mut runs: Vec<(BlockRun, u64)> = Vec::new();
    let mut hashes = Vec::new();
    debug_assert_eq!(length(&target.blocks), Blocks::of_len(target.len).count());
    for (number, block) in (0..).zip(&target.blocks) {
        let old = usize::try_from(number).ok().and_then(|number| base.blocks.get(number));
        let kind = match block {
            _ if number < comparable && old == Some(block) => BlockRun::Same,
            Block::Silent => BlockRun::Zero,
            Block::Hash(hash) => {
                hashes.extend(hash.as_bytes());
                BlockRun::Listed
            }
        };
        match runs.last_mut().filter(|(last, _)| *last == kind) {
            Some((_, count)) => *count += 1,
            None => runs.push((kind, 1)),
        }
    }
    (runs, hashes)
}

/// The script as the head carries it.
fn pack(script: &[u8]) -> Vec<u8> {
    let mut context = CCtx::create();
    for parameter in [
        CParameter::CompressionLevel(19),
        CParameter::ContentSizeFlag(false),
        CParameter::ChecksumFlag(false),
        CParameter::DictIdFlag(false),
    ] {
        context.set_parameter(parameter).expect("zstd knows its parameters");
    }
    let mut packed = Vec::with_capacity(compress_bound(script.len()));
    context.compress2(&mut packed, script).expect("the buffer has room for anything");
    packed
}
