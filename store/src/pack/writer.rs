//! Writing a pack: frames one after the other, then the table, then the name.

use std::io::{self, Write};

use chunk_chunker::Name;

use super::{END, FORMAT, HEADER_LEN, KNOWN_FEATURES, MAGIC, MAX_PACK, PackName, TRAILER_LEN};
use crate::backend::{Backend, Key, Upload};
use crate::frame::Frame;

/// A pack that is being written. Dropping it leaves nothing behind.
pub struct Writer<'b> {
    upload: Box<dyn Upload + 'b>,
    hash: blake3::Hasher,
    len: u32,
    frames: Vec<u8>,
    chunks: Vec<u8>,
    frame_count: u32,
    chunk_count: u32,
}

impl std::fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("len", &self.len)
            .field("frames", &self.frame_count)
            .finish_non_exhaustive()
    }
}

/// A pack that is complete, durable and visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its name.
    pub name: PackName,
    /// Its length in bytes.
    pub len: u64,
}

impl<'b> Writer<'b> {
    /// Starts a pack in `backend`.
    pub fn new(backend: &'b dyn Backend) -> io::Result<Self> {
        let mut writer = Self {
            upload: backend.create()?,
            hash: blake3::Hasher::new(),
            len: 0,
            frames: Vec::new(),
            chunks: Vec::new(),
            frame_count: 0,
            chunk_count: 0,
        };
        let mut header = Vec::with_capacity(HEADER_LEN as usize);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&FORMAT.to_le_bytes());
        header.extend_from_slice(&[0, 0]);
        header.extend_from_slice(&KNOWN_FEATURES.to_le_bytes());
        writer.append(&header)?;
        Ok(writer)
    }

    /// Bytes the pack would have if it were sealed after a frame of `stored_len` bytes and `chunks` chunks.
    pub fn len_with(&self, stored_len: usize, chunks: usize) -> u64 {
        let table = self.frames.len() + self.chunks.len() + 8 + 12 + chunks * 36;
        u64::from(self.len) + stored_len as u64 + table as u64 + u64::from(TRAILER_LEN)
    }

    /// Whether a frame of that size still fits the format's limit.
    pub fn has_room(&self, stored_len: usize, chunks: usize) -> bool {
        self.len_with(stored_len, chunks) <= u64::from(MAX_PACK)
    }

    /// Appends a frame that holds `chunks` and returns where it lies.
    pub fn push(&mut self, stored: &[u8], raw: bool, chunks: &[(Name, u32)]) -> io::Result<Frame> {
        let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "frame does not fit the pack");
        if !self.has_room(stored.len(), chunks.len()) {
            return Err(too_long());
        }
        let plain_len = chunks.iter().map(|(_, len)| len).sum();
        let stored_len = u32::try_from(stored.len()).map_err(|_| too_long())?;
        let frame = Frame { offset: self.len, stored_len, plain_len, raw };
        self.append(stored)?;
        let chunk_count = u32::try_from(chunks.len()).map_err(|_| too_long())?;
        for word in [stored_len, plain_len << 1 | u32::from(raw), chunk_count] {
            self.frames.extend_from_slice(&word.to_le_bytes());
        }
        for (name, len) in chunks {
            self.chunks.extend_from_slice(name.as_bytes());
            self.chunks.extend_from_slice(&len.to_le_bytes());
        }
        self.frame_count += 1;
        self.chunk_count += chunk_count;
        Ok(frame)
    }

    /// Completes the pack and makes it durable and visible under its name.
    pub fn seal(mut self) -> io::Result<Sealed> {
        let mut table = Vec::with_capacity(8 + self.frames.len() + self.chunks.len());
        table.extend_from_slice(&self.frame_count.to_le_bytes());
        table.extend_from_slice(&self.chunk_count.to_le_bytes());
        table.append(&mut self.frames);
        table.append(&mut self.chunks);
        let offset = u64::from(self.len);
        let hash = blake3::hash(&table);
        table.extend_from_slice(&offset.to_le_bytes());
        table.extend_from_slice(hash.as_bytes());
        table.extend_from_slice(END);
        self.append(&table)?;
        let name = PackName::from_bytes(*self.hash.finalize().as_bytes());
        // The name is the content: whatever lies there under it is the same pack, or a damaged copy to replace.
        self.upload.replace(&Key::pack(&name))?;
        Ok(Sealed { name, len: u64::from(self.len) })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.upload.write_all(bytes)?;
        self.hash.update(bytes);
        self.len += u32::try_from(bytes.len()).expect("has_room keeps packs below 64 MiB");
        Ok(())
    }
}
