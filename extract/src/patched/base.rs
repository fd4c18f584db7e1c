//! Which seed is the base of a patch.

use chunk_chunker::image::{BlockHash, BlockTree, Blocks};
use chunk_index::{Digest, PatchRef, Ways};

use crate::content::Content;
use crate::job::{ExtractError, Job, Progress, SeedPart, WayCost};
use crate::known::KnownImage;
use crate::seed::Window;

use super::mend::Near;

/// Most lengths of a base that are tried on one seed: each may take reading all of it.
pub(super) const MOST_LENGTHS: usize = 3;

/// A seed whose first bytes are an image that ways start from.
pub(super) struct Base {
    /// The number of the seed.
    pub(super) seed: u16,
    /// The numbers of the patches that start from it, those of the cheapest ways first.
    pub(super) starts: Vec<usize>,
    /// The hashes of its blocks.
    pub(super) hashes: Vec<BlockHash>,
    /// What it is not any more, but nearly.
    pub(super) near: Option<Near>,
}

impl Base {
    /// Seed `seed`, whose first `len` bytes have blocks with these hashes, if `ways` start from that.
    pub(super) fn of(ways: &Ways, seed: u16, len: u64, hashes: Vec<BlockHash>) -> Option<Self> {
        let mut tree = BlockTree::new();
        for hash in &hashes {
            tree.push(*hash);
        }
        let starts = starts(ways, len, &tree.finish());
        (!starts.is_empty()).then_some(Self { seed, starts, hashes, near: None })
    }

    /// What the way from it that starts with patch `first` costs.
    pub(super) fn cost(&self, ways: &Ways, first: usize) -> WayCost {
        WayCost {
            seed: self.seed,
            is_changed: self.near.is_some(),
            patches: ways.from(first).count() as u64,
            bytes: cost(ways, first),
        }
    }

    /// Seed `seed`, which has `content`, if at least half of it is `image` still and `ways` start from that.
    fn nearly(ways: &Ways, seed: u16, image: &KnownImage, content: &Content) -> Option<Self> {
        let (len, blake3) = image.is();
        let starts = starts(ways, len, blake3);
        let wrong = content.differing(image.hashes())?;
        let is_near = !starts.is_empty() && 2 * wrong.len() <= image.hashes().len();
        let (image, hashes) = (image.clone(), image.hashes().to_vec());
        is_near.then_some(Self { seed, starts, hashes, near: Some(Near { image, wrong }) })
    }
}

impl Job<'_> {
    /// The seeds that `ways` start from: those with the cheapest ways first, and last those that are only nearly such.
    pub(super) fn find_bases(&self, parts: &[SeedPart], ways: &Ways) -> Result<Vec<Base>, ExtractError> {
        let mut bases = Vec::new();
        for (seed, part) in (0..).zip(parts) {
            if let Some(store) = part.seed.as_store() {
                let starts = starts(ways, store.size(), store.blake3());
                // Its index says what the store should hold; a patch is worth fetching only for what it does hold.
                let goes_on = || !self.observer.is_cancelled();
                if !starts.is_empty() && store.is_whole(self.options.threads, &goes_on) {
                    bases.push(Base { seed, starts, hashes: store.hashes(), near: None });
                }
            }
            if let Some(window) = part.seed.as_window() {
                bases.extend(self.base_in(window, (seed, part.image.as_ref()), ways)?);
            }
        }
        bases.sort_by_key(|base| (base.near.is_some(), cost(ways, base.starts[0])));
        Ok(bases)
    }

    /// Seed `seed`, which is `window` and was `image`, if one of `ways` starts from it.
    fn base_in(
        &self,
        window: &Window,
        (seed, image): (u16, Option<&KnownImage>),
        ways: &Ways,
    ) -> Result<Option<Base>, ExtractError> {
        let mut nearly = None;
        for len in lengths(window, ways.patches(), image) {
            let progress = |done, total| Progress::Checking { done, total };
            let blocks = Blocks::of_len(len);
            let content = Content::of(window, blocks, self.options.threads, self.observer, &progress)?;
            let base = content.hashes().and_then(|hashes| Base::of(ways, seed, len, hashes));
            if base.is_some() {
                return Ok(base);
            }
            if let Some(image) = image.filter(|image| image.is().0 == len) {
                nearly = Base::nearly(ways, seed, image, &content);
            }
        }
        Ok(nearly)
    }
}

/// The numbers of the patches that start from an image, those of the cheapest ways first.
fn starts(ways: &Ways, len: u64, blake3: &Digest) -> Vec<usize> {
    let is_start = |(_, patch): &(usize, &PatchRef)| patch.base_len == len && patch.base == *blake3;
    let mut starts: Vec<usize> =
        ways.patches().iter().enumerate().filter(is_start).map(|(number, _)| number).collect();
    starts.sort_by_key(|first| cost(ways, *first));
    starts
}

/// Bytes of all patches of the way that starts with patch `first`.
fn cost(ways: &Ways, first: usize) -> u64 {
    ways.from(first).map(|patch| patch.len).sum()
}

/// The lengths of images that a seed may start with: for a file its own, for a device any that it has room for. That of the
/// image that it was comes first.
fn lengths(window: &Window, patches: &[PatchRef], was: Option<&KnownImage>) -> Vec<u64> {
    let mut lengths: Vec<u64> = patches.iter().map(|patch| patch.base_len).collect();
    lengths.retain(|len| if window.is_regular() { *len == window.size() } else { *len <= window.size() });
    lengths.sort_unstable();
    lengths.dedup();
    // The longest are those of the versions that fill the device.
    lengths.reverse();
    lengths.sort_by_key(|len| was.is_none_or(|was| was.is().0 != *len));
    lengths.truncate(MOST_LENGTHS);
    lengths
}
