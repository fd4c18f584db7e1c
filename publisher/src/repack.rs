//! Stores again what is left of frames that a version hardly wants any more.
//!
//! From version to version less of an old frame is wanted, and a device without a seed fetches all of it for the
//! rest. So when a version wants less than half of a frame, the chunks that it wants go into frames of their own
//! in a new pack. A device that has the version before holds them and fetches none of these frames; nobody ever
//! fetches much more than twice what a version is worth; and a chunk is stored again only after half of its
//! neighbours are gone.

use std::collections::{BTreeMap, HashMap, HashSet};

use chunk_chunker::Name;
use chunk_index::ShortName;
use chunk_store::{Decoder, Frame, PackSlot, Place};

use crate::error::MakeError;
use crate::packing::{Found, Packing, Spot};
use crate::places::{PlacedLine, Places};

/// Most chunks that one version stores again, which bounds memory; the rest follow with the next versions.
const MOST_MOVED: usize = 1 << 20;

/// Where chunks lie now that were stored again.
#[derive(Debug, Default)]
pub(crate) struct Moves(HashMap<(PackSlot, u32, u32), Spot>);

impl Moves {
    /// The line with its new place, if it has one.
    pub(crate) fn apply(&self, line: PlacedLine, packing: &Packing<'_>) -> PlacedLine {
        let moved = line.place.and_then(|place| {
            let spot = *self.0.get(&(place.pack, place.frame.offset, place.first))?;
            packing.resolve(spot, line.len).ok().flatten()
        });
        PlacedLine { place: moved.or(line.place), ..line }
    }
}

/// The chunks of one frame that are wanted, by their offset in it.
type Wanted = BTreeMap<u32, (ShortName, u32)>;

/// Stores the chunks of hardly wanted frames again.
pub(crate) fn repack(places: &mut Places, packing: &mut Packing<'_>) -> Result<Moves, MakeError> {
    let hardly: HashSet<_> = places.hardly_wanted().filter(|(pack, _)| packing.is_old(*pack)).collect();
    let mut moves = Moves::default();
    if hardly.is_empty() {
        return Ok(moves);
    }
    let mut frames: BTreeMap<(PackSlot, Frame), Wanted> = BTreeMap::new();
    let mut count = 0;
    places.each(|PlacedLine { short, len, place }| {
        if let Some(Place { pack, frame, first, .. }) = place
            && count < MOST_MOVED
            && hardly.contains(&(pack, frame))
        {
            count +=
                usize::from(frames.entry((pack, frame)).or_default().insert(first, (short, len)).is_none());
        }
        Ok(())
    })?;
    let mut decoder = Decoder::new().map_err(MakeError::store("making a decoder"))?;
    for ((pack, frame), wanted) in frames {
        // A frame that the store does not give stays where it is: an audit will tell.
        let Some(plain) = packing.read(pack, &frame, &mut decoder) else { continue };
        for (first, (short, len)) in wanted {
            let from = first as usize;
            let Some(bytes) = plain.get(from..from + len as usize) else { continue };
            let name = Name::of(bytes);
            if ShortName::of(&name) != short {
                continue;
            }
            let spot = match packing.find(&name, len) {
                Found::New(spot) => spot,
                _ => packing.store_again(name, len, std::iter::once(bytes))?,
            };
            moves.0.insert((pack, frame.offset, first), spot);
        }
    }
    Ok(moves)
}
