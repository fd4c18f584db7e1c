//! One patch of a way: what is known of it from its head, and which of its groups are needed.

use std::error::Error;
use std::ops::Range;

use chunk_chunker::image::BlockHash;
use chunk_delta::{Origin, Patch};
use chunk_fetch::{FetchError, Source};
use chunk_index::PatchRef;
use chunk_store::Key;

use crate::parts::DOUBTS;

/// Bytes of a patch asked for first: enough for most heads.
const FRONT: u64 = 1 << 14;
/// Longest script, and most bytes of block hashes: memory goes with them.
const MOST_SCRIPT: u32 = 4 << 20;

/// A patch, and what is needed of it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) object: String,
    pub(super) patch: Patch,
    /// The groups that are needed, in the order in which they are.
    pub(super) groups: Vec<usize>,
    front: Front,
}

/// What was fetched of a patch first: its head, and more if it is short.
#[derive(Debug, Default)]
pub(super) struct Front {
    bytes: Vec<u8>,
    pub(super) requests: u64,
    /// Bytes that came before these and were wrong.
    wrong: u64,
    /// How many the source had kept from earlier.
    kept: u64,
}

impl Front {
    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Bytes fetched for it.
    pub(super) fn cost(&self) -> u64 {
        self.len() + self.wrong
    }
}

/// Why a patch is of no use.
pub(super) type Useless = Box<dyn Error + Send + Sync>;

impl Link {
    /// Fetches the head of the patch that `known` says makes the image of length and BLAKE3 `makes`, and once more past
    /// caches and from elsewhere if it is none. What that has cost is in `front`, whatever comes of it.
    pub(super) fn open(
        source: &dyn Source,
        known: &PatchRef,
        makes: (u64, &[u8; 32]),
        front: &mut Front,
    ) -> Result<Self, Useless> {
        let mut doubt = 0;
        loop {
            match Self::open_once(source, (known, makes), doubt, front) {
                Err(error) if doubt < DOUBTS && !error.is::<FetchError>() => doubt += 1,
                opened => return opened,
            }
        }
    }

    fn open_once(
        source: &dyn Source,
        (known, makes): (&PatchRef, (u64, &[u8; 32])),
        doubt: u32,
        front: &mut Front,
    ) -> Result<Self, Useless> {
        front.wrong += front.len();
        let object = Key::Patch(known.name).path();
        // What is in doubt is not taken from what is kept.
        let kept = |range: Range<u64>| if doubt == 0 { source.kept(&object, &[range]) } else { 0 };
        front.kept += kept(0..FRONT.min(known.len));
        let len = source.open_again(&object, FRONT, doubt, &mut front.bytes)?;
        front.requests += 1;
        if len != known.len {
            return Err(format!("it has {len} bytes, the index says {}", known.len).into());
        }
        let (there, needed) = (front.len(), Patch::head_len(&front.bytes)?);
        if there < needed && needed <= len.min(2 * u64::from(MOST_SCRIPT)) {
            front.kept += kept(there..needed);
            let mut rest = Vec::new();
            source.read_again(&object, there..needed, doubt, &mut rest)?;
            front.bytes.append(&mut rest);
            front.requests += 1;
        }
        let patch = Patch::decode(&front.bytes, len, MOST_SCRIPT)?;
        if patch.base() != (known.base_len, &known.base) || patch.target() != makes {
            return Err("it leads from or to another image".into());
        }
        Ok(Self { object, patch, groups: Vec::new(), front: std::mem::take(front) })
    }

    /// The hashes of the blocks that it makes of blocks with the hashes `base`.
    pub(super) fn blocks(&self, base: &[BlockHash]) -> Result<Vec<BlockHash>, Useless> {
        Ok(self.patch.blocks(base).ok_or("its block hashes are not the image's")?)
    }

    /// Bytes from the patch's start that are there already.
    pub(super) fn front(&self) -> &Front {
        &self.front
    }

    /// What is there already of a group, unless that is in doubt: only the head has a check of its own.
    pub(super) fn part_of(&self, group: usize, doubt: u32) -> &[u8] {
        let Range { start, end } = self.patch.groups()[group].stored;
        let there = |at: u64| usize::try_from(at.min(self.there(doubt))).expect("it is in memory");
        &self.front.bytes[there(start)..there(end)]
    }

    /// What is to be fetched of the needed groups, in the order of need.
    pub(super) fn requests(&self, longest: u64) -> impl Iterator<Item = Range<u64>> {
        self.groups.iter().flat_map(move |group| self.requests_of(*group, longest, 0))
    }

    /// What is to be fetched of one group behind what is there, in requests of at most `longest` bytes.
    pub(super) fn requests_of(
        &self,
        group: usize,
        longest: u64,
        doubt: u32,
    ) -> impl Iterator<Item = Range<u64>> + use<> {
        let Range { start, end } = self.patch.groups()[group].stored;
        let start = start.max(self.there(doubt)).min(end);
        let count = (end - start).div_ceil(longest);
        (0..count).map(move |number| start + number * longest..end.min(start + (number + 1) * longest))
    }

    /// Bytes from the patch's start that are there and not in doubt.
    fn there(&self, doubt: u32) -> u64 {
        if doubt == 0 { self.front.len() } else { 0 }
    }

    /// The groups without which `range` of the image cannot be made of what the patch starts from.
    pub(super) fn groups_of(&self, range: Range<u64>) -> impl Iterator<Item = usize> {
        self.patch.pieces(range).filter_map(|piece| match piece.origin {
            Origin::New(stream, offset) => {
                Some(self.patch.group_of(stream, offset).expect("the groups make all new bytes"))
            }
            Origin::Zero | Origin::Base(_) => None,
        })
    }

    /// What `source` keeps, or had kept, of the patch's head and needed groups.
    pub(super) fn kept(&self, source: &dyn Source, longest: u64) -> u64 {
        let requests: Vec<_> = self.requests(longest).collect();
        self.front.kept + source.kept(&self.object, &requests)
    }

    /// Bytes that the patch takes in memory.
    pub(super) fn memory(&self) -> usize {
        self.patch.memory() + self.groups.capacity() * 8 + self.front.bytes.capacity()
    }
}
