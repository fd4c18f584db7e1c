//! The image of a version, read from the store wherever one likes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use chunk_delta::Image;
use chunk_index::{FrameRef, Index, Location};
use chunk_store::pack::MAX_PACK;
use chunk_store::{Backend, Decoder, Frame, Key, Object, PackName};

/// Packs kept open: reads that follow each other mostly share them.
const KEPT: usize = 8;

/// Bytes of decoded frames kept. What one group reads comes from versions before as well, so from many frames in turn.
const PLAIN: usize = 16 << 20;

/// Reads an image from packs. One thread's own.
pub(crate) struct StoredImage<'a, B> {
    index: &'a Index<B>,
    frames: RefCell<Frames<'a>>,
}

impl<'a, B: AsRef<[u8]>> StoredImage<'a, B> {
    pub(crate) fn new(backend: &'a dyn Backend, index: &'a Index<B>) -> io::Result<Self> {
        let (packs, plain) = (VecDeque::new(), VecDeque::new());
        let frames = RefCell::new(Frames { backend, decoder: Decoder::new()?, packs, plain });
        Ok(Self { index, frames })
    }
}

impl<B: AsRef<[u8]>> Image for StoredImage<'_, B> {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset.saturating_add(out.len() as u64);
        if end > self.index.record().image_len() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "read beyond the image"));
        }
        let mut frames = self.frames.borrow_mut();
        let mut done = 0;
        for placed in self.index.entries_from(offset).take_while(|placed| placed.image.start < end) {
            let part = placed.image.start.max(offset)..placed.image.end.min(end);
            let (out, _) = out[done..].split_at_mut(in_memory(part.end - part.start));
            done += out.len();
            let Some(location) = placed.location else {
                out.fill(0);
                continue;
            };
            let frame = frames.plain(self.index, &location)?;
            let chunk =
                frame.get(location.first as usize..).and_then(|rest| rest.get(..placed.entry.len as usize));
            let chunk = chunk.ok_or_else(|| io::Error::other("a frame is shorter than its index says"))?;
            let before = in_memory((part.start - placed.image.start) % u64::from(placed.entry.len));
            repeat(chunk, before, out);
        }
        Ok(())
    }
}

/// The frames decoded last, the newest in front, and the packs they lie in.
struct Frames<'a> {
    backend: &'a dyn Backend,
    decoder: Decoder,
    packs: VecDeque<(PackName, Object)>,
    plain: VecDeque<(Location, Rc<Vec<u8>>)>,
}

impl Frames<'_> {
    fn plain<B: AsRef<[u8]>>(&mut self, index: &Index<B>, location: &Location) -> io::Result<Rc<Vec<u8>>> {
        let same = |kept: &Location| (kept.pack, kept.frame) == (location.pack, location.frame);
        if let Some(at) = self.plain.iter().position(|(kept, _)| same(kept)) {
            let found = self.plain.remove(at).expect("it was found there");
            self.plain.push_front(found);
            return Ok(Rc::clone(&self.plain[0].1));
        }
        let FrameRef { offset, stored_len, plain_len, raw } = location.frame;
        let frame = Frame { offset, stored_len, plain_len, raw };
        let pack = index.locator().pack(location.pack).expect("a checked index names only packs it lists");
        let name = PackName::from_bytes(pack.name);
        if let Some(at) = self.packs.iter().position(|(kept, _)| *kept == name) {
            let found = self.packs.remove(at).expect("it was found there");
            self.packs.push_front(found);
        } else {
            let pack = self.backend.open(&Key::pack(&name), u64::from(MAX_PACK))?;
            self.packs.truncate(KEPT - 1);
            self.packs.push_front((name, pack));
        }
        let bytes = self.packs[0].1.as_ref();
        let stored = bytes.get(offset as usize..).and_then(|rest| rest.get(..stored_len as usize));
        let stored = stored.ok_or_else(|| io::Error::other(format!("pack {name} is too short")))?;
        let mut plain = Vec::new();
        self.decoder.decode(&frame, stored, &mut plain).map_err(io::Error::other)?;
        self.plain.push_front((*location, Rc::new(plain)));
        let mut room = PLAIN;
        let kept = self.plain.iter().position(|(_, plain)| {
            let fits = plain.len() <= room;
            room = room.saturating_sub(plain.len());
            !fits
        });
        self.plain.truncate(kept.unwrap_or(usize::MAX).max(1));
        Ok(Rc::clone(&self.plain[0].1))
    }
}

/// Fills `out` with `chunk` from byte `before` on, again and again: an entry may be a chunk that repeats.
fn repeat(chunk: &[u8], before: usize, out: &mut [u8]) {
    let first = out.len().min(chunk.len() - before);
    let (first, rest) = out.split_at_mut(first);
    first.copy_from_slice(&chunk[before..][..first.len()]);
    for part in rest.chunks_mut(chunk.len()) {
        part.copy_from_slice(&chunk[..part.len()]);
    }
}

fn in_memory(len: u64) -> usize {
    usize::try_from(len).expect("no more than what is read into memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_repeated_from_any_byte_on() {
        let chunk = b"abcde";
        for before in 0..chunk.len() {
            for len in 0..17 {
                let mut out = vec![0; len];
                repeat(chunk, before, &mut out);
                let expected: Vec<u8> = chunk.iter().copied().cycle().skip(before).take(len).collect();
                assert_eq!(out, expected, "{len} bytes from byte {before}");
            }
        }
    }
}
