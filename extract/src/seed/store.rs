//! Another image in a store of this machine.

use std::io;

use chunk_chunker::image::{BLOCK, BlockHash, Blocks};
use chunk_fetch::Source;
use chunk_index::{Block, Entry, Index};

use crate::reader::Reader;

/// An index with the store it lies in.
pub struct StoreSeed {
    index: Index<Vec<u8>>,
    source: Box<dyn Source>,
}

impl std::fmt::Debug for StoreSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("StoreSeed").field(&self.index.id()).finish()
    }
}

impl StoreSeed {
    /// The image that `index` describes, from `source`.
    pub fn new(index: Index<Vec<u8>>, source: Box<dyn Source>) -> Self {
        Self { index, source }
    }

    pub(crate) fn size(&self) -> u64 {
        self.index.record().image_len()
    }

    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut reader = Reader::new(&self.index, &*self.source).map_err(io::Error::other)?;
        let mut rest = &mut *buffer;
        let end = offset + rest.len() as u64;
        reader.copy(offset..end, &mut rest).map_err(io::Error::other)
    }

    /// The BLAKE3 of the image.
    pub(crate) fn blake3(&self) -> &[u8; 32] {
        &self.index.record().description().blake3
    }

    /// The hashes of all its blocks.
    pub(crate) fn hashes(&self) -> Vec<BlockHash> {
        let blocks = Blocks::of_len(self.size());
        let zeros = vec![0; BLOCK];
        let hashes = self.index.blocks().map(|(number, said)| match said {
            Block::Hash(hash) => hash,
            Block::Silent => {
                let range = blocks.range(number);
                let len = usize::try_from(range.end - range.start).expect("a block is in memory");
                blocks.hash(number, &zeros[..len])
            }
        });
        hashes.collect()
    }

    /// Its chunks, with their places.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = (Entry, u64)> {
        self.index.entries().map(|placed| (placed.entry, placed.image.start))
    }
}
