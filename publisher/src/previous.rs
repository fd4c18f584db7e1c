//! The version before this one, as something to copy from.

use std::ops::Range;

use chunk_chunker::image::Blocks;
use chunk_index::{Block, Entries, Index, Placed, ShortName};
use chunk_store::{Frame, Lookup, Object, PackName, PackSlot, Place};

use crate::block::Before;

/// The chunks of the version before, read forward only.
pub(crate) struct Previous<'i> {
    entries: Entries<'i>,
    current: Option<Placed>,
    packs: Vec<PackSlot>,
    image_len: u64,
}

impl<'i> Previous<'i> {
    /// Prepares to copy from `index`; none if the store no longer has one of its packs whole.
    pub(crate) fn new(index: &'i Index<Object>, lookup: &Lookup) -> Option<Self> {
        let packs = index.locator().packs().iter();
        let packs = packs.map(|pack| lookup.slot_of(&PackName::from_bytes(pack.name), u64::from(pack.len)));
        let packs = packs.collect::<Option<Vec<_>>>()?;
        let mut entries = index.entries();
        let current = entries.next();
        Some(Self { entries, current, packs, image_len: index.record().image_len() })
    }

    /// Length of its image.
    pub(crate) fn image_len(&self) -> u64 {
        self.image_len
    }

    /// The chunk that starts at `offset`, if one does. Offsets must not go back.
    pub(crate) fn chunk_at(&mut self, offset: u64) -> Option<(ShortName, u32, Option<Place>)> {
        while self.current.as_ref().is_some_and(|placed| placed.image.end <= offset) {
            self.current = self.entries.next();
        }
        let Placed { image: Range { start, .. }, entry, location } = self.current.as_ref()?;
        let within = offset.checked_sub(*start)?;
        if within % u64::from(entry.len) != 0 {
            return None;
        }
        let place = location.map(|location| Place {
            pack: self.packs[location.pack as usize],
            frame: Frame {
                offset: location.frame.offset,
                stored_len: location.frame.stored_len,
                plain_len: location.frame.plain_len,
                raw: location.frame.raw,
            },
            first: location.first,
            len: entry.len,
        });
        Some((entry.short, entry.len, place))
    }
}

/// What each block of the version before was.
pub(crate) fn blocks(index: &Index<Object>) -> impl Iterator<Item = Before> {
    let blocks = Blocks::of_len(index.record().image_len());
    index.blocks().map(move |(number, block)| match block {
        Block::Silent => {
            let Range { start, end } = blocks.range(number);
            Before::Zeros(end - start)
        }
        Block::Hash(hash) => Before::Hash(hash),
    })
}
