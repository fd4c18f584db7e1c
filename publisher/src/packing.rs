//! The fourth stage: chunks that the store lacks go into frames, frames into packs, in image order.
//!
//! Which chunks share a frame depends on the image and the store alone, never on which thread was faster.

use std::collections::HashMap;

use chunk_chunker::Name;
use chunk_store::pack::Writer;
use chunk_store::{Backend, Decoder, Frame, Key, Lookup, PackSlot, Place};
use rayon::ThreadPool;

use crate::compressing::{Compressed, Compressing};
use crate::error::MakeError;
use crate::options::Options;

/// Lines of the chunk list that may wait for an unfinished frame before it is closed, full or not.
const PATIENCE: usize = 1 << 16;

/// Where a line's bytes lie, or will lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    /// Zeros lie nowhere.
    Nowhere,
    /// In a frame that is written.
    Placed(Place),
    /// In frame number `frame` of this run, from `first` on.
    Frame { frame: usize, first: u32 },
}

/// Where a chunk was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// In a frame of this run.
    New(Spot),
    /// In an older pack.
    Old(Place),
    /// Nowhere in the store.
    Nowhere,
}

/// The frame behind a spot is not written yet.
#[derive(Debug)]
pub(crate) struct Unwritten;

/// What was added to the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) chunks: u64,
    pub(crate) plain_bytes: u64,
    /// Bytes of chunks that older packs hold too, for the reasons in `reuse` and `repack`.
    pub(crate) again_bytes: u64,
    pub(crate) packs: u64,
    pub(crate) pack_bytes: u64,
}

pub(crate) struct Packing<'b> {
    backend: &'b dyn Backend,
    lookup: &'b mut Lookup,
    pool: &'b ThreadPool,
    options: &'b Options,
    /// The frame that is being filled.
    bytes: Vec<u8>,
    chunks: Vec<(Name, u32)>,
    waiting_lines: usize,
    /// Number of that frame.
    frame: usize,
    /// Chunks in frames that are not written yet.
    pending: HashMap<Name, (usize, u32)>,
    compressing: Compressing,
    pack: Option<(PackSlot, Writer<'b>)>,
    /// Packs from this one on are of this run.
    first_pack: PackSlot,
    /// Where each frame of this run was written.
    written: Vec<(PackSlot, Frame)>,
    added: Added,
    /// The version that forbids new chunks.
    frozen: Option<Key>,
}

impl<'b> Packing<'b> {
    pub(crate) fn new(
        backend: &'b dyn Backend,
        lookup: &'b mut Lookup,
        pool: &'b ThreadPool,
        options: &'b Options,
        depth: usize,
        frozen: Option<Key>,
    ) -> Self {
        Self {
            backend,
            first_pack: lookup.next_slot(),
            lookup,
            pool,
            options,
            bytes: Vec::new(),
            chunks: Vec::new(),
            waiting_lines: 0,
            frame: 0,
            pending: HashMap::new(),
            compressing: Compressing::new(options, depth),
            pack: None,
            written: Vec::new(),
            added: Added::default(),
            frozen,
        }
    }

    /// Looks for a chunk.
    pub(crate) fn find(&self, name: &Name, len: u32) -> Found {
        if let Some(&(frame, first)) = self.pending.get(name) {
            return Found::New(Spot::Frame { frame, first });
        }
        match self.lookup.find(name, len) {
            Some(place) if place.pack >= self.first_pack => Found::New(Spot::Placed(place)),
            Some(place) => Found::Old(place),
            None => Found::Nowhere,
        }
    }

    /// Takes a chunk into the open frame that older packs hold too.
    pub(crate) fn store_again<'p>(
        &mut self,
        name: Name,
        len: u32,
        parts: impl Iterator<Item = &'p [u8]>,
    ) -> Result<Spot, MakeError> {
        let spot = self.store(name, len, parts)?;
        self.added.chunks -= 1;
        self.added.plain_bytes -= u64::from(len);
        self.added.again_bytes += u64::from(len);
        Ok(spot)
    }

    /// Takes a chunk into the open frame.
    pub(crate) fn store<'p>(
        &mut self,
        name: Name,
        len: u32,
        parts: impl Iterator<Item = &'p [u8]>,
    ) -> Result<Spot, MakeError> {
        if let Some(key) = &self.frozen {
            return Err(MakeError::LabelTaken { key: key.clone() });
        }
        let frame = self.frame;
        let first = u32::try_from(self.bytes.len()).expect("a frame is closed long before 4 GiB");
        parts.for_each(|part| self.bytes.extend_from_slice(part));
        self.chunks.push((name, len));
        self.pending.insert(name, (frame, first));
        self.added.chunks += 1;
        self.added.plain_bytes += u64::from(len);
        if self.bytes.len() >= self.options.frame_len as usize {
            self.close_frame()?;
        }
        Ok(Spot::Frame { frame, first })
    }

    /// To be called for each line that now waits for its turn in the list.
    pub(crate) fn tick(&mut self) -> Result<(), MakeError> {
        self.waiting_lines += usize::from(!self.chunks.is_empty());
        if self.waiting_lines >= PATIENCE { self.close_frame() } else { Ok(()) }
    }

    /// The place behind a spot; none if there is nothing to place.
    pub(crate) fn resolve(&self, spot: Spot, len: u32) -> Result<Option<Place>, Unwritten> {
        match spot {
            Spot::Nowhere => Ok(None),
            Spot::Placed(place) => Ok(Some(place)),
            Spot::Frame { frame, first } => {
                let (pack, frame) = *self.written.get(frame).ok_or(Unwritten)?;
                Ok(Some(Place { pack, frame, first, len }))
            }
        }
    }

    /// Writes all frames.
    pub(crate) fn flush(&mut self) -> Result<(), MakeError> {
        self.close_frame()?;
        while self.write_next()? {}
        Ok(())
    }

    /// Writes everything that is still open and makes it durable.
    pub(crate) fn finish(&mut self) -> Result<Added, MakeError> {
        self.flush()?;
        self.seal()?;
        Ok(self.added)
    }

    /// Whether a pack was there before this run.
    pub(crate) fn is_old(&self, pack: PackSlot) -> bool {
        pack < self.first_pack
    }

    /// The bytes of a frame in a complete pack; none if the store does not give them.
    pub(crate) fn read(&self, pack: PackSlot, frame: &Frame, decoder: &mut Decoder) -> Option<Vec<u8>> {
        let (name, _) = self.lookup.pack(pack)?;
        let mut stored = vec![0; frame.stored_len as usize];
        let mut plain = Vec::new();
        self.backend.read_at(&Key::pack(&name), u64::from(frame.offset), &mut stored).ok()?;
        decoder.decode(frame, &stored, &mut plain).ok()?;
        Some(plain)
    }

    fn close_frame(&mut self) -> Result<(), MakeError> {
        self.waiting_lines = 0;
        if self.chunks.is_empty() {
            return Ok(());
        }
        if self.compressing.is_full() {
            self.write_next()?;
        }
        let chunks = std::mem::take(&mut self.chunks);
        let capacity = self.bytes.capacity();
        let plain = std::mem::replace(&mut self.bytes, Vec::with_capacity(capacity));
        self.compressing.start(self.pool, plain, chunks).map_err(MakeError::store("compressing"))?;
        self.frame += 1;
        Ok(())
    }

    /// Writes the oldest compressed frame; false if there is none.
    fn write_next(&mut self) -> Result<bool, MakeError> {
        let Some(compressed) = self.compressing.next() else { return Ok(false) };
        let Compressed { stored, raw, chunks } = compressed?.map_err(MakeError::store("compressing"))?;
        let fits = |(_, pack): &(PackSlot, Writer<'_>)| {
            pack.len_with(stored.len(), chunks.len()) <= u64::from(self.options.pack_len)
        };
        if !self.pack.as_ref().is_some_and(fits) {
            self.seal()?;
            let writer = Writer::new(self.backend).map_err(MakeError::store("starting a pack"))?;
            self.pack = Some((self.lookup.reserve(), writer));
        }
        let (slot, writer) = self.pack.as_mut().expect("a pack was opened above");
        let frame = writer.push(&stored, raw, &chunks).map_err(MakeError::store("writing a pack"))?;
        for (name, len) in chunks {
            let (_, first) =
                self.pending.remove(&name).expect("every chunk of an unwritten frame is pending");
            self.lookup.insert(name, Place { pack: *slot, frame, first, len });
        }
        self.written.push((*slot, frame));
        Ok(true)
    }

    fn seal(&mut self) -> Result<(), MakeError> {
        if let Some((slot, writer)) = self.pack.take() {
            let sealed = writer.seal().map_err(MakeError::store("completing a pack"))?;
            self.lookup.seal(slot, sealed.name, sealed.len);
            self.added.packs += 1;
            self.added.pack_bytes += sealed.len;
        }
        Ok(())
    }
}
