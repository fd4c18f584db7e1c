//! Packs: every frame decoded, every chunk named again.

use std::collections::HashMap;

use chunk_chunker::Name;
use chunk_store::pack::{MAX_PACK, Table};
use chunk_store::{Backend, Decoder, Key, PackName};

use super::damage::PackDamage;

/// The packs whose tables can be read, with the offsets of their damaged frames, ascending. What is whole is not
/// remembered: a version that needs it reads it again.
#[derive(Debug, Default)]
pub(super) struct Packs(HashMap<PackName, Vec<u32>>);

impl Packs {
    pub(super) fn insert(&mut self, name: PackName, damaged: Vec<u32>) {
        self.0.insert(name, damaged);
    }

    /// Whether the frame at `offset` of the pack is not known to be damaged.
    pub(super) fn may_hold(&self, name: &PackName, offset: u32) -> bool {
        self.0.get(name).is_some_and(|damaged| damaged.binary_search(&offset).is_err())
    }
}

/// What was found in one pack.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Chunks that are whole.
    pub(super) chunks: u64,
    /// Offsets of damaged frames, ascending; none if the pack's table cannot be read.
    pub(super) frames: Option<Vec<u32>>,
    pub(super) damage: Option<PackDamage>,
}

/// Hashes all that a pack holds.
pub(super) fn look_into(backend: &dyn Backend, name: &PackName) -> Looked {
    let lost = |damage| Looked { damage: Some(damage), ..Looked::default() };
    let pack = match backend.open(&Key::pack(name), u64::from(MAX_PACK)) {
        Ok(pack) => pack,
        Err(error) => return lost(PackDamage::Unreadable(error)),
    };
    let pack = pack.as_ref();
    let table = match Table::decode(pack) {
        Ok(table) => table,
        Err(error) => return lost(PackDamage::Table(error)),
    };
    let mut decoder = match Decoder::new() {
        Ok(decoder) => decoder,
        Err(error) => return lost(PackDamage::Unreadable(error)),
    };
    let mut plain = Vec::new();
    let mut chunks = table.chunks().iter().peekable();
    let mut whole = 0;
    let mut offsets = Vec::new();
    let mut first = None;
    for (number, frame) in (0u32..).zip(table.frames()) {
        let stored = &pack[frame.offset as usize..][..frame.stored_len as usize];
        let decoded = decoder.decode(frame, stored, &mut plain);
        let is_decoded = decoded.is_ok();
        let mut is_whole = is_decoded;
        first = first.or(decoded.err());
        while let Some(chunk) = chunks.next_if(|chunk| chunk.frame == number) {
            let (from, len) = (chunk.first as usize, chunk.len as usize);
            let is_named = is_decoded && Name::of(&plain[from..from + len]) == chunk.name;
            whole += u64::from(is_named);
            is_whole &= is_named;
        }
        if !is_whole {
            offsets.push(frame.offset);
        }
    }
    let damage = if !offsets.is_empty() {
        Some(PackDamage::Frames { offsets: offsets.clone(), first })
    } else if blake3::hash(pack).as_bytes() == name.as_bytes() {
        None
    } else {
        Some(PackDamage::Name)
    };
    Looked { chunks: whole, frames: Some(offsets), damage }
}
