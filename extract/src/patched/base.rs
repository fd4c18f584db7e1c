//! Which seed is the base of a patch.

use chunk_chunker::image::{BlockHash, BlockTree, Blocks};
use chunk_index::PatchRef;

use crate::content::Content;
use crate::job::{ExtractError, Job, Progress, SeedPart};
use crate::seed::Window;

/// Most lengths of a base that are tried on one seed: each may take reading all of it.
const MOST_LENGTHS: usize = 3;

/// A seed whose first bytes are the image that a patch starts from.
pub(super) struct Base {
    /// The number of the seed.
    pub(super) seed: u16,
    pub(super) patch: PatchRef,
    /// The hashes of its blocks.
    pub(super) hashes: Vec<BlockHash>,
}

impl Job<'_> {
    /// The first of the seeds that one of `patches` starts from.
    pub(super) fn find_base(
        &self,
        parts: &[SeedPart],
        patches: &[PatchRef],
    ) -> Result<Option<Base>, ExtractError> {
        for (seed, part) in (0..).zip(parts) {
            if let Some(store) = part.seed.as_store() {
                // Whatever its index says falsely is found when blocks are made from it.
                let is_base =
                    |patch: &&PatchRef| patch.base_len == store.size() && patch.base == *store.blake3();
                if let Some(patch) = patches.iter().find(is_base).copied() {
                    return Ok(Some(Base { seed, patch, hashes: store.hashes() }));
                }
            }
            let Some(window) = part.seed.as_window() else { continue };
            for len in lengths(window, patches) {
                let Some(hashes) = self.hashes(window, len)? else { continue };
                let mut tree = BlockTree::new();
                for hash in &hashes {
                    tree.push(*hash);
                }
                let found = tree.finish();
                let mut right = patches.iter().filter(|patch| (patch.base, patch.base_len) == (found, len));
                if let Some(patch) = right.next().copied() {
                    return Ok(Some(Base { seed, patch, hashes }));
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
