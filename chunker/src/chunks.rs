//! The chunks of a stream.

use std::io::{self, Read};
use std::mem;

use crate::cutter::{Cutter, Segment};
use crate::image::BLOCK;
use crate::params::Params;
use crate::scan::scan;

/// A chunk of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Where it starts in the image.
    pub offset: u64,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Reads an image and lends out its chunks, one after the other.
///
/// How many bytes the reader returns at a time changes nothing. A few buffers of a block each are allocated at
/// first and used again; only a chunk that lies across two of them is copied.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use chunk_chunker::{Chunks, Name, Params};
///
/// let image: &[u8] = b"a very small image";
/// let mut chunks = Chunks::new(Params::DEFAULT, image);
/// while let Some(chunk) = chunks.next_chunk()? {
///     println!("{} {}", chunk.offset, Name::of(chunk.bytes));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Chunks<R> {
    params: Params,
    reader: R,
    cutter: Cutter<Vec<u8>>,
    /// The segment being read: what an error interrupted is continued.
    incoming: Vec<u8>,
    /// Buffers whose chunks are done.
    spare: Vec<Vec<u8>>,
    /// The last chunk, if it lay across segments.
    joined: Vec<u8>,
    read: u64,
    ended: bool,
}

impl<R: Read> Chunks<R> {
    /// The chunks of all that `reader` returns.
    pub fn new(params: Params, reader: R) -> Self {
        Self {
            params,
            reader,
            cutter: Cutter::new(params),
            incoming: Vec::with_capacity(BLOCK),
            spare: Vec::new(),
            joined: Vec::new(),
            read: 0,
            ended: false,
        }
    }

    /// The next chunk; `None` at the end of the image.
    ///
    /// # Errors
    ///
    /// What the reader reports. No bytes are lost: calling again continues where the error came up.
    pub fn next_chunk(&mut self) -> io::Result<Option<Chunk<'_>>> {
        while let Some(segment) = self.cutter.release() {
            self.spare.push(segment.into_bytes());
        }
        let range = loop {
            if let Some(range) = self.cutter.next_chunk() {
                break range;
            }
            if self.ended {
                return Ok(None);
            }
            self.read_segment()?;
        };
        let offset = range.start;
        let mut parts = self.cutter.parts(range);
        let first = parts.next().expect("a chunk has bytes");
        let Some(second) = parts.next() else {
            return Ok(Some(Chunk { offset, bytes: first }));
        };
        self.joined.clear();
        self.joined.extend_from_slice(first);
        self.joined.extend_from_slice(second);
        parts.for_each(|part| self.joined.extend_from_slice(part));
        Ok(Some(Chunk { offset, bytes: &self.joined }))
    }

    /// Reads a block, or what is left of the image.
    fn read_segment(&mut self) -> io::Result<()> {
        let missing = (BLOCK - self.incoming.len()) as u64;
        self.reader.by_ref().take(missing).read_to_end(&mut self.incoming)?;
        self.ended = self.incoming.len() < BLOCK;
        let mut spare = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(BLOCK));
        spare.clear();
        let bytes = mem::replace(&mut self.incoming, spare);
        let candidates = scan(self.params, &bytes);
        let offset = self.read;
        self.read += bytes.len() as u64;
        self.cutter.push(Segment::new(offset, bytes, Some(candidates)));
        if self.ended {
            self.cutter.finish();
        }
        Ok(())
    }
}
