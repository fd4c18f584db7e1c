//! Puts blocks of an image together from the packs, as a device would, and believes no place that an index gives.

use std::collections::VecDeque;
use std::ops::Range;

use chunk_chunker::image::BLOCK;
use chunk_index::{Entry, FrameRef, Location, Locator, PackRef, Placed, ShortName};
use chunk_store::pack::{MAX_PACK, Table};
use chunk_store::{Backend, Decoder, Frame, Key, Object, PackName};

use super::packs::Packs;
use crate::error::MakeError;

/// Packs kept open, and decoded frames kept: chunks that follow each other mostly share them.
const KEPT: usize = 8;
/// What fails only where memory does.
pub(super) const DECODER: &str = "making a decoder";

/// Rebuilds blocks of one image. Holds a few packs' tables, a few frames, and a block.
pub(super) struct Rebuilder<'a> {
    locator: &'a Locator,
    opened: Opened<'a>,
    decoded: Decoded,
    block: Vec<u8>,
}

impl<'a> Rebuilder<'a> {
    pub(super) fn new(
        backend: &'a dyn Backend,
        packs: &'a Packs,
        locator: &'a Locator,
    ) -> Result<Self, MakeError> {
        let decoder = Decoder::new().map_err(MakeError::store(DECODER))?;
        Ok(Self {
            locator,
            opened: Opened { backend, packs, kept: VecDeque::new() },
            decoded: Decoded { decoder, kept: VecDeque::new() },
            block: Vec::with_capacity(BLOCK),
        })
    }

    /// The bytes of the block at `range`, from the entries that reach into it; none if a chunk does not lie where
    /// the index says.
    pub(super) fn rebuild(&mut self, range: &Range<u64>, entries: &[Placed]) -> Option<&[u8]> {
        self.block.clear();
        for Placed { image, entry, location } in entries {
            let part = image.start.max(range.start)..image.end.min(range.end);
            let Some(location) = location else {
                let len = self.block.len() + in_memory(part.end - part.start);
                self.block.resize(len, 0);
                continue;
            };
            let frame = frame_of(location);
            let PackRef { name, len } = *self.locator.pack(location.pack)?;
            let name = PackName::from_bytes(name);
            let (pack, table) = self.opened.pack(name, len, &frame)?;
            if !lists(table, &frame, location.first, entry) {
                return None;
            }
            let plain = self.decoded.frame(name, frame, pack)?;
            let chunk = &plain[location.first as usize..][..entry.len as usize];
            // The first repeat that reaches into the block may start before it, and the last may end behind it.
            let mut at = part.start;
            while at < part.end {
                let rest = &chunk[in_memory((at - image.start) % u64::from(entry.len))..];
                let rest = &rest[..rest.len().min(in_memory(part.end - at))];
                self.block.extend_from_slice(rest);
                at += rest.len() as u64;
            }
        }
        Some(&self.block)
    }
}

/// The frame as packs describe it.
fn frame_of(location: &Location) -> Frame {
    let FrameRef { offset, stored_len, plain_len, raw } = location.frame;
    Frame { offset, stored_len, plain_len, raw }
}

/// Whether a pack has this very frame, and in it a chunk at `first` that the entry can mean. Chunks have been named
/// again with their pack, so the table's word is enough.
fn lists(table: &Table, frame: &Frame, first: u32, entry: &Entry) -> bool {
    let Ok(number) = table.frames().binary_search_by_key(&frame.offset, |frame| frame.offset) else {
        return false;
    };
    let number = u32::try_from(number).expect("a table counts its frames in 32 bits");
    let chunk = table.chunks().binary_search_by_key(&(number, first), |chunk| (chunk.frame, chunk.first));
    let chunk = chunk.ok().map(|found| table.chunks()[found]);
    table.frames()[number as usize] == *frame
        && chunk.is_some_and(|chunk| (ShortName::of(&chunk.name), chunk.len) == (entry.short, entry.len))
}

/// The packs opened last, the newest in front.
struct Opened<'a> {
    backend: &'a dyn Backend,
    packs: &'a Packs,
    kept: VecDeque<(PackName, Object, Table)>,
}

impl Opened<'_> {
    /// Bytes and table of a pack of `len` bytes in which `frame` may be whole.
    fn pack(&mut self, name: PackName, len: u32, frame: &Frame) -> Option<(&[u8], &Table)> {
        if !self.packs.may_hold(&name, frame.offset) {
            return None;
        }
        if let Some(at) = self.kept.iter().position(|(kept, ..)| *kept == name) {
            self.kept.swap(0, at);
        } else {
            let pack = self.backend.open(&Key::pack(&name), u64::from(MAX_PACK)).ok()?;
            let table = Table::decode(pack.as_ref()).ok()?;
            self.kept.truncate(KEPT - 1);
            self.kept.push_front((name, pack, table));
        }
        let (_, pack, table) = self.kept.front()?;
        // Another length in the index would make a publisher think that this is another pack.
        (pack.as_ref().len() as u64 == u64::from(len)).then_some((pack.as_ref(), table))
    }
}

/// The frames decoded last, the newest in front.
struct Decoded {
    decoder: Decoder,
    kept: VecDeque<(PackName, Frame, Vec<u8>)>,
}

impl Decoded {
    /// The plain bytes of a frame that a table lists, so that it lies within its `pack`.
    fn frame(&mut self, name: PackName, frame: Frame, pack: &[u8]) -> Option<&[u8]> {
        if let Some(at) = self.kept.iter().position(|(of, kept, _)| (*of, *kept) == (name, frame)) {
            self.kept.swap(0, at);
        } else {
            let oldest = if self.kept.len() < KEPT { None } else { self.kept.pop_back() };
            let mut plain = oldest.map(|(.., plain)| plain).unwrap_or_default();
            let stored = &pack[frame.offset as usize..][..frame.stored_len as usize];
            self.decoder.decode(&frame, stored, &mut plain).ok()?;
            self.kept.push_front((name, frame, plain));
        }
        self.kept.front().map(|(.., plain)| &plain[..])
    }
}

fn in_memory(len: u64) -> usize {
    usize::try_from(len).expect("a block is in memory")
}
