//! Images that a device is known to have held: the hashes of their blocks, and what their indexes are called.
//!
//! A slot that was mounted is no longer the image that was installed, but for a few blocks. Whoever knows the hashes of
//! all blocks can tell which, fetch these few, and go on from the image as it was.

use std::path::Path;

use chunk_chunker::image::{BLOCK, BlockHash, BlockTree, Blocks};
use chunk_index::{Block, Description, Digest, Index, Record};
use chunk_store::line::Version;

use crate::recipe::{Recipe, read_index};
use crate::verified::Check;

/// What a file of this kind starts with.
const MAGIC: [u8; 8] = *b"chunkimg";
/// Bytes before the name of the index: the magic, the lengths of image and name, and the image's BLAKE3.
const FIXED: usize = 8 + 8 + 8 + 32;
/// Longest name of an index.
const LONGEST_NAME: usize = 1 << 12;
/// Blocks of zeros that are hashed to know their hashes: a second's work.
const MOST_ZEROS: usize = 4096;

/// An image that is known block by block.
#[derive(Debug, Clone)]
pub struct KnownImage {
    len: u64,
    blake3: Digest,
    hashes: Vec<BlockHash>,
    /// The name of its index in its store.
    object: String,
}

impl KnownImage {
    /// The image that the index at `path` describes; none if that index cannot be read, or has too many blocks of
    /// zeros.
    pub fn of_index_at(path: &Path) -> Option<Self> {
        let index = Index::decode(read_index(path).ok()?).ok()?;
        let recipe = Recipe::whole(index).ok()?;
        Self::new(recipe.record(), &Check::new(recipe.blocks(), recipe.said().ok()?))
    }

    /// The image of the version `record`, whose blocks `check` knows; none if it does not, or if too many of them are zeros.
    pub(crate) fn new(record: &Record, check: &Check) -> Option<Self> {
        let Description { line, label, blake3, .. } = record.description();
        let version = Version { name: line.clone(), label: Some(label.clone()) };
        Self::of((record.image_len(), *blake3), check, version.file_name())
    }

    fn of((len, blake3): (u64, Digest), check: &Check, object: String) -> Option<Self> {
        let silent = check.all().iter().filter(|said| **said == Block::Silent).count();
        // Who found the target right has not asked what each block is.
        if silent > MOST_ZEROS || check.all().len() as u64 != check.blocks().count() {
            return None;
        }
        let zeros = vec![0; BLOCK];
        let blocks = check.blocks();
        let hash = |(number, said): (u64, &Block)| match said {
            Block::Hash(hash) => *hash,
            Block::Silent => {
                let range = blocks.range(number);
                blocks.hash(number, &zeros[..in_memory(range.end - range.start)])
            }
        };
        let hashes = (0..).zip(check.all()).map(hash).collect();
        Some(Self { len, blake3, hashes, object })
    }

    /// What [`KnownImage::encode`] made, unless a bit of it has changed.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (fixed, rest) = bytes.split_at_checked(FIXED)?;
        let number = |at: usize| Some(u64::from_le_bytes(fixed.get(at..at + 8)?.try_into().ok()?));
        let (len, name_len, blake3) = (number(8)?, number(16)?, Digest::try_from(&fixed[24..]).ok()?);
        let name_len = usize::try_from(name_len).ok().filter(|len| *len <= LONGEST_NAME)?;
        let (name, hashes) = rest.split_at_checked(name_len)?;
        let (hashes, odd) = hashes.as_chunks::<32>();
        if fixed[..8] != MAGIC || !odd.is_empty() || Blocks::of_len(len).count() != hashes.len() as u64 {
            return None;
        }
        let hashes: Vec<BlockHash> = hashes.iter().map(|hash| BlockHash::from_bytes(*hash)).collect();
        let mut tree = BlockTree::new();
        for hash in &hashes {
            tree.push(*hash);
        }
        let object = Version::from_file_name(str::from_utf8(name).ok()?)?.file_name();
        (tree.finish() == blake3).then_some(Self { len, blake3, hashes, object })
    }

    /// This in a file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.len.to_le_bytes());
        bytes.extend((self.object.len() as u64).to_le_bytes());
        bytes.extend(self.blake3);
        bytes.extend(self.object.as_bytes());
        for hash in &self.hashes {
            bytes.extend(hash.as_bytes());
        }
        bytes
    }

    /// Length and BLAKE3.
    pub(crate) fn is(&self) -> (u64, &Digest) {
        (self.len, &self.blake3)
    }

    /// The hashes of all blocks.
    pub(crate) fn hashes(&self) -> &[BlockHash] {
        &self.hashes
    }

    /// The name of its index in its store.
    pub(crate) fn object(&self) -> &str {
        &self.object
    }
}

fn in_memory(len: u64) -> usize {
    usize::try_from(len).expect("a block is in memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> KnownImage {
        let image: Vec<u8> = (0..=250).cycle().take(BLOCK + 100).chain(vec![0; BLOCK]).collect();
        let blocks = Blocks::of_len(image.len() as u64);
        let said = (0..blocks.count()).map(|number| {
            let range = blocks.range(number);
            let bytes = &image[in_memory(range.start)..in_memory(range.end)];
            if bytes.iter().all(|byte| *byte == 0) {
                Block::Silent
            } else {
                Block::Hash(blocks.hash(number, bytes))
            }
        });
        let check = Check::new(blocks, said.collect());
        let blake3 = *blake3::hash(&image).as_bytes();
        KnownImage::of((image.len() as u64, blake3), &check, name.to_owned()).expect("few zeros")
    }

    #[test]
    fn what_was_known_is_known_again() {
        let bytes = known("image@1.cidx").encode();
        let again = KnownImage::decode(&bytes).expect("nothing has changed");
        assert_eq!((again.object(), again.encode()), ("image@1.cidx", bytes));
    }

    #[test]
    fn what_has_changed_is_not_believed() {
        let right = known("x@1.cidx").encode();
        for len in 0..right.len() {
            assert!(KnownImage::decode(&right[..len]).is_none(), "{len} bytes");
        }
        // The lowest bits of the image's length are all that hashes of blocks do not tell.
        for at in (0..right.len()).filter(|at| !(8..11).contains(at)) {
            let mut wrong = right.clone();
            wrong[at] ^= 0x80;
            assert!(KnownImage::decode(&wrong).is_none(), "byte {at}");
        }
    }
}
