//! Which seed is the base of a patch.

use chunk_chunker::image::{BlockHash, BlockTree, Blocks};
use chunk_index::{Digest, PatchRef, Ways};

use crate::content::Content;
use crate::job::{ExtractError, Job, Progress, SeedPart};
use crate::seed::Window;

/// Most lengths of a base that are tried on one seed: each may take reading all of it.
const MOST_LENGTHS: usize = 3;

/// A seed whose first bytes are an image that ways start from.
pub(super) struct Base {
    /// The number of the seed.
    pub(super) seed: u16,
    /// The numbers of the patches that start from it, those of the cheapest ways first.
    pub(super) starts: Vec<usize>,
    /// The hashes of its blocks.
    pub(super) hashes: Vec<BlockHash>,
}

impl Base {
    /// Seed `seed`, whose first `len` bytes have blocks with these hashes, if `ways` start from that.
    pub(super) fn of(ways: &Ways, seed: u16, len: u64, hashes: Vec<BlockHash>) -> Option<Self> {
        let mut tree = BlockTree::new();
        for hash in &hashes {
            tree.push(*hash);
        }
        let starts = starts(ways, len, &tree.finish());
        (!starts.is_empty()).then_some(Self { seed, starts, hashes })
    }
}

impl Job<'_> {
    /// The first of the seeds that one of `ways` starts from.
    pub(super) fn find_base(&self, parts: &[SeedPart], ways: &Ways) -> Result<Option<Base>, ExtractError> {
        for (seed, part) in (0..).zip(parts) {
            if let Some(store) = part.seed.as_store() {
                // Whatever its index says falsely is found when blocks are made from it.
                let starts = starts(ways, store.size(), store.blake3());
                if !starts.is_empty() {
                    return Ok(Some(Base { seed, starts, hashes: store.hashes() }));
                }
            }
            let Some(window) = part.seed.as_window() else { continue };
            for len in lengths(window, ways.patches()) {
                let Some(hashes) = self.hashes(window, len)? else { continue };
                if let Some(base) = Base::of(ways, seed, len, hashes) {
                    return Ok(Some(base));
                }
            }
        }
        Ok(None)
    }

    /// The hashes of the blocks of an image of `len` bytes; none if the seed cannot be read as a whole.
    fn hashes(&self, window: &Window, len: u64) -> Result<Option<Vec<BlockHash>>, ExtractError> {
        let progress = |done, total| Progress::Checking { done, total };
        let blocks = Blocks::of_len(len);
        Ok(Content::of(window, blocks, self.options.threads, self.observer, &progress)?.hashes())
    }
}

/// The numbers of the patches that start from an image, those of the cheapest ways first.
fn starts(ways: &Ways, len: u64, blake3: &Digest) -> Vec<usize> {
    let is_start = |(_, patch): &(usize, &PatchRef)| patch.base_len == len && patch.base == *blake3;
    let mut starts: Vec<usize> =
        ways.patches().iter().enumerate().filter(is_start).map(|(number, _)| number).collect();
    starts.sort_by_key(|first| ways.from(*first).map(|patch| patch.len).sum::<u64>());
    starts
}

/// The lengths of images that a seed may start with: for a file its own, for a device any that it has room for.
fn lengths(window: &Window, patches: &[PatchRef]) -> Vec<u64> {
    let mut lengths: Vec<u64> = patches.iter().map(|patch| patch.base_len).collect();
    lengths.retain(|len| if window.is_regular() { *len == window.size() } else { *len <= window.size() });
    lengths.sort_unstable();
    lengths.dedup();
    // The longest are those of the versions that fill the device.
    lengths.reverse();
    lengths.truncate(MOST_LENGTHS);
    lengths
}
