//! The first stage: read a block, hash it, and find where chunks could end in it.
//!
//! A block that the previous version has at the same place is only hashed. Its chunks are known already, and
//! hashing a whole block is several times faster than cutting it and naming its chunks.

use std::sync::{Arc, Mutex};

use chunk_chunker::image::{BLOCK, BlockHash, Blocks};
use chunk_chunker::{Candidates, Params, is_zero, scan};

use crate::error::SourceError;
use crate::source::{self, Wanted};

/// What the previous version has at a block's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing that could be compared.
    Unknown,
    /// So many zeros.
    Zeros(u64),
    /// A block with this hash.
    Hash(BlockHash),
}

/// A block on its way to the cutter.
pub(crate) struct Block {
    pub(crate) bytes: Bytes,
    pub(crate) hash: BlockHash,
    /// The previous version has the same bytes here.
    pub(crate) clean: bool,
    /// Where chunks could end; none where nobody will need to know.
    pub(crate) candidates: Option<Candidates>,
}

/// The bytes of a block, shared by the stages that look at them, in memory that is used again.
#[derive(Clone, Debug)]
pub(crate) struct Bytes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    content: Content,
    pool: Pool,
}

#[derive(Debug)]
enum Content {
    Zeros(usize),
    Read(Vec<u8>),
}

static ZEROS: [u8; BLOCK] = [0; BLOCK];

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match &self.0.content {
            Content::Zeros(len) => &ZEROS[..*len],
            Content::Read(bytes) => bytes,
        }
    }
}

impl Bytes {
    /// Whether every byte is zero, as found when it was read.
    pub(crate) fn are_zeros(&self) -> bool {
        matches!(self.0.content, Content::Zeros(_))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Content::Read(bytes) = &mut self.content {
            self.pool.give(std::mem::take(bytes));
        }
    }
}

/// Buffers of one block each. Fresh memory costs a page fault for every 4 KiB, nearly as much as hashing them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pool {
    /// A buffer with whatever it held before.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.0.lock().map(|mut free| free.pop()).ok().flatten().unwrap_or_else(|| Vec::with_capacity(BLOCK))
    }

    fn give(&self, buffer: Vec<u8>) {
        if let Ok(mut free) = self.0.lock() {
            free.push(buffer);
        }
    }
}

/// Everything a worker needs to make a [`Block`].
pub(crate) struct Job {
    pub(crate) index: u64,
    pub(crate) piece: Wanted,
    /// The image, as far as its length is known.
    pub(crate) blocks: Blocks,
    pub(crate) before: Before,
    pub(crate) params: Params,
    pub(crate) pool: Pool,
}

impl Job {
    pub(crate) fn run(self) -> Result<Block, SourceError> {
        let content = match self.piece {
            Wanted::Hole(len) => Content::Zeros(len),
            Wanted::Here(bytes) => without_zeros(bytes, &self.pool),
            Wanted::Read { file, offset, len } => {
                let mut buffer = self.pool.take();
                buffer.resize(len, 0);
                source::read(&file, offset, &mut buffer)?;
                without_zeros(buffer, &self.pool)
            }
        };
        let bytes = Bytes(Arc::new(Shared { content, pool: self.pool }));
        let hash = self.blocks.hash(self.index, bytes.as_ref());
        let clean = match self.before {
            Before::Unknown => false,
            // A hash tells the length as well.
            Before::Zeros(len) => bytes.are_zeros() && bytes.as_ref().len() as u64 == len,
            Before::Hash(before) => before == hash,
        };
        let wanted = !clean && !bytes.are_zeros();
        let candidates = wanted.then(|| scan(self.params, bytes.as_ref()));
        Ok(Block { bytes, hash, clean, candidates })
    }
}

fn without_zeros(bytes: Vec<u8>, pool: &Pool) -> Content {
    if is_zero(&bytes) {
        let len = bytes.len();
        pool.give(bytes);
        Content::Zeros(len)
    } else {
        Content::Read(bytes)
    }
}
