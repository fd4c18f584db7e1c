//! Patches: each is named by its bytes, and makes the image of the version that lists it.

use std::collections::HashMap;

use chunk_chunker::image::{BLOCK, BlockHash, Blocks};
use chunk_delta::{Patch, Rebuilder};
use chunk_index::{Block, Digest, Index, PatchRef};
use chunk_store::line::Version;
use chunk_store::{Backend, Key, Object};

use super::damage::PatchDamage;
use super::read_index;
use crate::patches::StoredImage;

/// Longest patch that is looked at.
const PATCH_LIMIT: u64 = 1 << 40;
/// Longest script that is read.
const SCRIPT_LIMIT: u32 = 1 << 24;

/// Where whole images lie that patches start from: each in some version.
#[derive(Debug, Default)]
pub(super) struct Images(HashMap<Digest, Version>);

impl Images {
    pub(super) fn learn(&mut self, version: &Version, index: &Index<Object>) {
        self.0.entry(index.record().description().blake3).or_insert_with(|| version.clone());
    }

    /// What is wrong with `patch`, which `index` lists. Whether it makes the image is known only if its base is in
    /// the store.
    pub(super) fn check(
        &self,
        backend: &dyn Backend,
        index: &Index<Object>,
        patch: &PatchRef,
    ) -> Option<PatchDamage> {
        let file = match backend.open(&Key::Patch(patch.name), PATCH_LIMIT) {
            Ok(file) => file,
            Err(error) => return Some(PatchDamage::Unreadable(error)),
        };
        let bytes = file.as_ref();
        if *blake3::hash(bytes).as_bytes() != patch.name || bytes.len() as u64 != patch.len {
            return Some(PatchDamage::Name);
        }
        let head = match Patch::decode(bytes, patch.len, SCRIPT_LIMIT) {
            Ok(head) => head,
            Err(error) => return Some(PatchDamage::Head(error)),
        };
        let record = index.record();
        let next = patch.next.map(|next| &index.locator().ways().patches()[usize::from(next)]);
        let makes = next
            .map_or((record.image_len(), &record.description().blake3), |next| (next.base_len, &next.base));
        if head.base() != (patch.base_len, &patch.base) || head.target() != makes {
            return Some(PatchDamage::Other);
        }
        let base = read_index(backend, self.0.get(&patch.base)?).ok()?;
        let Some(hashes) = head.blocks(&hashes(&base)) else { return Some(PatchDamage::Blocks) };
        rebuild(backend, &head, &bytes, &base, &hashes)
    }
}

fn rebuild(
    backend: &dyn Backend,
    patch: &Patch,
    file: &&[u8],
    base: &Index<Object>,
    hashes: &[BlockHash],
) -> Option<PatchDamage> {
    let image = StoredImage::new(backend, base).ok()?;
    let mut rebuilder = Rebuilder::new(patch, file, &image);
    let blocks = Blocks::of_len(patch.target().0);
    let mut block = Vec::with_capacity(BLOCK);
    for (number, hash) in (0..).zip(hashes) {
        let range = blocks.range(number);
        if let Err(error) = rebuilder.read(range.clone(), &mut block) {
            return Some(PatchDamage::Rebuild { at: range.start, error });
        }
        if blocks.hash(number, &block) != *hash {
            return Some(PatchDamage::Wrong { at: range.start });
        }
    }
    None
}

/// The hashes of all blocks of a version.
fn hashes(index: &Index<Object>) -> Vec<BlockHash> {
    let blocks = Blocks::of_len(index.record().image_len());
    let zeros = vec![0; BLOCK];
    let hash = |(number, block)| match block {
        Block::Hash(hash) => hash,
        Block::Silent => {
            let range = blocks.range(number);
            let len = usize::try_from(range.end - range.start).expect("a block is in memory");
            blocks.hash(number, &zeros[..len])
        }
    };
    index.blocks().map(hash).collect()
}
