//! Equal chunks that follow each other and were found in different packs become one entry.
//!
//! A chunk can lie in several packs: two publishers stored it at once, or it was stored again. One of two
//! neighbours may be copied with its place from the version before, and the other found elsewhere. Entries that
//! look alike and lie apart have different names (FORMAT 4.3), or a version's id would depend on the store. Short
//! name and length do not tell, so the bytes are compared. That is rare: it takes a chunk that repeats.

use chunk_store::{Decoder, Place};

use crate::error::MakeError;
use crate::packing::Packing;
use crate::places::PlacedLine;

/// Lines in, lines out, one after the other.
pub(crate) struct Neighbours {
    last: Option<PlacedLine>,
    /// Two places found to hold the same bytes: the last ones that were compared.
    same: Option<(Place, Place)>,
    decoder: Decoder,
}

impl Neighbours {
    pub(crate) fn new() -> Result<Self, MakeError> {
        let decoder = Decoder::new().map_err(MakeError::store("making a decoder"))?;
        Ok(Self { last: None, same: None, decoder })
    }

    /// The next line, at the place of the last one if it is the same chunk.
    pub(crate) fn join(&mut self, mut line: PlacedLine, packing: &Packing<'_>) -> PlacedLine {
        if let (Some(last), Some(here)) = (self.last, line.place)
            && let Some(there) = last.place
            && (last.short, last.len) == (line.short, line.len)
            && there != here
            && self.are_same(there, here, packing)
        {
            line.place = Some(there);
        }
        self.last = Some(line);
        line
    }

    fn are_same(&mut self, there: Place, here: Place, packing: &Packing<'_>) -> bool {
        if self.same == Some((there, here)) {
            return true;
        }
        let mut read = |place: Place| {
            let plain = packing.read(place.pack, &place.frame, &mut self.decoder)?;
            plain.get(place.first as usize..)?.get(..place.len as usize).map(<[u8]>::to_vec)
        };
        // What cannot be read stays where it is: an audit will tell.
        let same = read(there).zip(read(here)).is_some_and(|(there, here)| there == here);
        if same {
            self.same = Some((there, here));
        }
        same
    }
}
