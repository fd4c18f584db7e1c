//! The head of a patch, read: what its target consists of, and where its groups lie.

use std::io;
use std::ops::Range;

use chunk_chunker::image::{BLOCK, BlockHash, BlockTree, Blocks};
use zstd::zstd_safe;

use super::error::{PatchError, at_most};
use super::header::{HASH_LEN, HEADER_LEN, Header, expect_check};
use super::script::{BlockRun, Kind, Script, Stream};

/// A patch whose head has been checked. Its groups are still where they were.
#[derive(Debug, Clone)]
pub struct Patch {
    header: Header,
    runs: Vec<Run>,
    groups: Vec<Group>,
    /// The numbers of the groups of each stream.
    streams: [Vec<u32>; 2],
    blocks: Vec<(BlockRun, u64)>,
    hashes: Vec<BlockHash>,
}

/// A run of target bytes.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Where it starts in the target.
    target: u64,
    /// Where its first byte comes from.
    origin: Origin,
}

/// Where bytes of the target come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// They are zeros.
    Zero,
    /// They lie in the base from this offset on.
    Base(u64),
    /// They come out of the groups of a stream; the offset counts all that comes out of these.
    New(Stream, u64),
}

/// Some bytes of the target that have one origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where in the target they lie.
    pub target: Range<u64>,
    /// Where they come from.
    pub origin: Origin,
}

/// New bytes that were encoded together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What its new bytes are part of.
    pub stream: Stream,
    /// Where the group lies in the patch.
    pub stored: Range<u64>,
    /// What comes out of it, counted over all groups of its stream.
    pub new: Range<u64>,
    /// The parts of the base that it is decoded with.
    pub base: Vec<Range<u64>>,
}

impl Patch {
    /// Reads the head off the front of `bytes`, the start of a file of `file_len` bytes. Scripts of more than
    /// `most_script` bytes, and more hashes than these, are refused: memory goes with them.
    pub fn decode(bytes: &[u8], file_len: u64, most_script: u32) -> Result<Self, PatchError> {
        let header = Header::decode(bytes)?;
        let most = u64::from(most_script);
        at_most("length of the script", most, u64::from(header.script.max(header.plain)))?;
        at_most("length of the block hashes", most, u64::from(header.hashes) * HASH_LEN)?;
        let needed = header.head_len();
        let groups_len = file_len.checked_sub(needed);
        let groups_len = groups_len.ok_or(PatchError::Sum {
            of: "bytes of head and groups",
            stated: file_len,
            found: needed,
        })?;
        let head = usize::try_from(needed).ok().and_then(|needed| bytes.get(..needed));
        let head = head.ok_or(PatchError::Incomplete { needed })?;
        expect_check(head)?;
        let (stored, hashes) = head[HEADER_LEN..].split_at(header.script as usize);
        let script = Script::decode(&unpack(stored, header.plain)?, &header, groups_len)?;
        let (hashes, _) = hashes.as_chunks();
        let hashes = hashes.iter().copied().map(BlockHash::from_bytes).collect();
        Ok(Self::of(header, script, hashes))
    }

    fn of(header: Header, script: Script, hashes: Vec<BlockHash>) -> Self {
        let (mut target, mut new) = (0, [0; 2]);
        let mut runs = Vec::with_capacity(script.ops.len());
        for op in &script.ops {
            let origin = match op.kind {
                Kind::Zero => Origin::Zero,
                Kind::Copy(base) => Origin::Base(base),
                Kind::New(stream) => {
                    let start = new[stream as usize];
                    new[stream as usize] += op.len;
                    Origin::New(stream, start)
                }
            };
            runs.push(Run { target, origin });
            target += op.len;
        }
        let (mut at, mut new) = (header.head_len(), [0; 2]);
        let mut streams = [Vec::new(), Vec::new()];
        let groups = (0..).zip(script.groups).map(|(number, line)| {
            let stream = line.stream as usize;
            streams[stream].push(number);
            let (stored, made) = (at..at + line.stored, new[stream]..new[stream] + line.target);
            (at, new[stream]) = (stored.end, made.end);
            Group { stream: line.stream, stored, new: made, base: line.base }
        });
        let groups = groups.collect();
        Self { header, runs, groups, streams, blocks: script.blocks, hashes }
    }

    /// Bytes of the head that `bytes`, the start of a patch, has.
    pub fn head_len(bytes: &[u8]) -> Result<u64, PatchError> {
        Ok(Header::decode(bytes)?.head_len())
    }

    /// Bytes that are enough to ask for [`Patch::head_len`].
    pub const START: u64 = HEADER_LEN as u64;

    /// Length and BLAKE3 of the image that the patch starts from.
    pub fn base(&self) -> (u64, &[u8; 32]) {
        (self.header.base_len, &self.header.base)
    }

    /// Length and BLAKE3 of the image that the patch makes.
    pub fn target(&self) -> (u64, &[u8; 32]) {
        (self.header.target_len, &self.header.target)
    }

    /// The groups, in order.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The number of the group that new byte `offset` of `stream` comes out of.
    pub fn group_of(&self, stream: Stream, offset: u64) -> Option<usize> {
        let groups = &self.streams[stream as usize];
        let place = groups.partition_point(|number| self.groups[*number as usize].new.end <= offset);
        groups.get(place).map(|number| *number as usize)
    }

    /// What `range` of the target consists of, in order. No piece comes out of two groups.
    pub fn pieces(&self, range: Range<u64>) -> impl Iterator<Item = Piece> {
        let range = range.start..range.end.min(self.header.target_len);
        let mut at = range.start;
        let mut number = self.runs.partition_point(|run| run.target <= at);
        std::iter::from_fn(move || {
            if at >= range.end {
                return None;
            }
            let run = self.runs[number - 1];
            let run_end = self.runs.get(number).map_or(self.header.target_len, |next| next.target);
            let before = at - run.target;
            let mut end = run_end.min(range.end);
            let origin = match run.origin {
                Origin::Zero => Origin::Zero,
                Origin::Base(base) => Origin::Base(base + before),
                Origin::New(stream, new) => {
                    let new = new + before;
                    let group = self.group_of(stream, new).expect("the groups make all new bytes");
                    end = end.min(at + (self.groups[group].new.end - new));
                    Origin::New(stream, new)
                }
            };
            let piece = Piece { target: at..end, origin };
            at = end;
            number += usize::from(at == run_end);
            Some(piece)
        })
    }

    /// The hashes of all blocks of the target, if the base's blocks have the hashes `base`; none if the patch does
    /// not lead to the target that it names.
    pub fn blocks(&self, base: &[BlockHash]) -> Option<Vec<BlockHash>> {
        let blocks = Blocks::of_len(self.header.target_len);
        let mut listed = self.hashes.iter();
        let mut hashes = Vec::new();
        let mut number = 0;
        let zeros = vec![0; BLOCK];
        for (kind, count) in &self.blocks {
            for _ in 0..*count {
                let hash = match kind {
                    BlockRun::Same => *base.get(usize::try_from(number).ok()?)?,
                    BlockRun::Listed => *listed.next()?,
                    BlockRun::Zero => {
                        let range = blocks.range(number);
                        blocks.hash(number, &zeros[..usize::try_from(range.end - range.start).ok()?])
                    }
                };
                hashes.push(hash);
                number += 1;
            }
        }
        let mut tree = BlockTree::new();
        for hash in &hashes {
            tree.push(*hash);
        }
        (tree.finish() == self.header.target).then_some(hashes)
    }

    /// Bytes that the patch takes in memory.
    pub fn memory(&self) -> usize {
        let ranges: usize = self.groups.iter().map(|group| size_of_val(&group.base[..])).sum();
        size_of_val(&self.runs[..]) + size_of_val(&self.groups[..]) + ranges + size_of_val(&self.hashes[..])
    }
}

/// The plain script of exactly `plain` bytes.
fn unpack(stored: &[u8], plain: u32) -> Result<Vec<u8>, PatchError> {
    let damaged = |code| PatchError::Damaged(io::Error::other(zstd_safe::get_error_name(code)));
    if zstd_safe::find_frame_compressed_size(stored).map_err(damaged)? != stored.len() {
        return Err(PatchError::Rule { part: "end", rule: "the script is one zstd frame" });
    }
    // zstd allocates nothing for what the frame says of itself: it decodes into what the header states.
    let mut script = vec![0; plain as usize];
    let written = zstd_safe::decompress(script.as_mut_slice(), stored).map_err(damaged)?;
    if written < script.len() {
        let (stated, found) = (u64::from(plain), written as u64);
        return Err(PatchError::Sum { of: "bytes of the script", stated, found });
    }
    Ok(script)
}
