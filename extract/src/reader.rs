//! Any part of an image, straight from its store.

use std::collections::VecDeque;
use std::io::Write;
use std::ops::Range;
use std::rc::Rc;

use chunk_chunker::Name;
use chunk_chunker::image::Blocks;
use chunk_fetch::Source;
use chunk_index::{Block, Index, Location, Placed, ShortName};
use chunk_store::{Decoder, Frame, Key, PackName};

use crate::ReadError;

/// Decoded frames kept, newest first: chunks that follow each other mostly share a frame.
const FRAMES_KEPT: usize = 8;

/// Reads an image from the store that its index points to.
///
/// Memory is one block, one frame as stored, and a few frames decoded.
#[derive(Debug)]
pub struct Reader<'i, B, S> {
    index: &'i Index<B>,
    source: S,
    decoder: Decoder,
    stored: Vec<u8>,
    frames: VecDeque<(Location, Rc<Vec<u8>>)>,
}

impl<'i, B: AsRef<[u8]>, S: Source> Reader<'i, B, S> {
    /// A reader of the image that `index` describes; `source` is the store it lies in.
    pub fn new(index: &'i Index<B>, source: S) -> Result<Self, ReadError> {
        let decoder = Decoder::new().map_err(ReadError::Decoder)?;
        Ok(Self { index, source, decoder, stored: Vec::new(), frames: VecDeque::new() })
    }

    /// Writes the bytes of `range` to `out`, each block checked before any of it is written.
    pub fn copy(&mut self, range: Range<u64>, out: &mut dyn Write) -> Result<(), ReadError> {
        let image_len = self.index.record().image_len();
        if range.start > range.end || range.end > image_len {
            return Err(ReadError::Outside { range, image_len });
        }
        let blocks = Blocks::of_len(image_len);
        let mut entries = self.index.entries_from(range.start / BLOCK * BLOCK).peekable();
        let wanted = |number: &u64| {
            let block = blocks.range(*number);
            block.start < range.end && range.start < block.end
        };
        let mut buffer = Vec::new();
        for (number, said) in
            self.index.blocks().skip_while(|(n, _)| !wanted(n)).take_while(|(n, _)| wanted(n))
        {
            let block = blocks.range(number);
            self.fill(&block, &mut entries, &mut buffer)?;
            if let Block::Hash(hash) = said
                && blocks.hash(number, &buffer) != hash
            {
                return Err(self.culprit(block));
            }
            let within = |at: u64| usize::try_from(at - block.start).expect("a block is in memory");
            let part = within(range.start.max(block.start))..within(range.end.min(block.end));
            out.write_all(&buffer[part]).map_err(ReadError::Write)?;
        }
        Ok(())
    }

    /// Puts the bytes of a block together; entries that reach beyond it stay for the next one.
    fn fill(
        &mut self,
        block: &Range<u64>,
        entries: &mut std::iter::Peekable<impl Iterator<Item = Placed>>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        buffer.clear();
        buffer.resize(usize::try_from(block.end - block.start).expect("a block is in memory"), 0);
        while let Some(placed) = entries.peek() {
            if placed.image.start >= block.end {
                break;
            }
            if let Some(location) = placed.location {
                let frame = self.frame(&location)?;
                let bytes = chunk(&frame, placed, &location);
                let len = u64::from(placed.entry.len);
                for start in (placed.image.start..placed.image.end).step_by(placed.entry.len as usize) {
                    let part = start.max(block.start)..(start + len).min(block.end);
                    if part.is_empty() {
                        continue;
                    }
                    let to = |at: u64| usize::try_from(at - block.start).expect("a block is in memory");
                    let from = |at: u64| usize::try_from(at - start).expect("a chunk is in memory");
                    buffer[to(part.start)..to(part.end)]
                        .copy_from_slice(&bytes[from(part.start)..from(part.end)]);
                }
            }
            if placed.image.end > block.end {
                break;
            }
            entries.next();
        }
        Ok(())
    }

    /// Which chunk is to blame for a block that is not what it should be.
    fn culprit(&mut self, block: Range<u64>) -> ReadError {
        for placed in self.index.entries_from(block.start).take_while(|placed| placed.image.start < block.end)
        {
            let Some(location) = placed.location else { continue };
            match self.frame(&location) {
                Err(error) => return error,
                Ok(frame)
                    if ShortName::of(&Name::of(chunk(&frame, &placed, &location))) != placed.entry.short =>
                {
                    let (object, range) = self.place(&location);
                    return ReadError::Chunk { object, range, image: placed.image };
                }
                Ok(_) => {}
            }
        }
        ReadError::Block { image: block }
    }

    fn frame(&mut self, location: &Location) -> Result<Rc<Vec<u8>>, ReadError> {
        let same = |kept: &Location| kept.pack == location.pack && kept.frame == location.frame;
        if let Some((_, frame)) = self.frames.iter().find(|(kept, _)| same(kept)) {
            return Ok(Rc::clone(frame));
        }
        let (object, range) = self.place(location);
        self.source.read(&object, range.clone(), &mut self.stored)?;
        let reused = if self.frames.len() < FRAMES_KEPT { None } else { self.frames.pop_back() };
        let mut plain = reused.and_then(|(_, frame)| Rc::into_inner(frame)).unwrap_or_default();
        let chunk_index::FrameRef { offset, stored_len, plain_len, raw } = location.frame;
        let frame = Frame { offset, stored_len, plain_len, raw };
        if let Err(error) = self.decoder.decode(&frame, &self.stored, &mut plain) {
            return Err(ReadError::Frame { object, range, error });
        }
        let plain = Rc::new(plain);
        self.frames.push_front((*location, Rc::clone(&plain)));
        Ok(plain)
    }

    /// The pack of a location and the frame's bytes in it.
    fn place(&self, location: &Location) -> (String, Range<u64>) {
        let pack =
            self.index.locator().pack(location.pack).expect("a checked index names only packs it lists");
        let start = u64::from(location.frame.offset);
        let range = start..start + u64::from(location.frame.stored_len);
        (Key::pack(&PackName::from_bytes(pack.name)).path(), range)
    }
}

/// The bytes of a chunk; a checked index leads to no byte outside of its frame.
fn chunk<'f>(frame: &'f [u8], placed: &Placed, location: &Location) -> &'f [u8] {
    &frame[location.first as usize..][..placed.entry.len as usize]
}

const BLOCK: u64 = chunk_chunker::image::BLOCK as u64;
