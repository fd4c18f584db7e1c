//! The last stage: the chunk list, in image order, becomes the index.
//!
//! Finished leaves go to a temporary file: they come last in the index, behind parts that are known only at the
//! end.

use std::collections::HashMap;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use chunk_chunker::Params;
use chunk_chunker::image::BlockHash;
use chunk_index::{
    Annotations, Description, FrameRef, Front, Location, Locator, PackRef, Record, TreeBuilder, Ways,
};
use chunk_store::{Lookup, PackSlot, Place};
use tempfile::SpooledTempFile;

use crate::error::MakeError;
use crate::places::{IN_MEMORY, PlacedLine};

pub(crate) struct Listing {
    tree: TreeBuilder,
    leaves: SpooledTempFile,
    finished: Vec<u8>,
    /// Packs in the order in which the image first needs them.
    packs: Vec<PackSlot>,
    numbers: HashMap<PackSlot, u32>,
}

/// The parts of an index around the leaves that are kept already.
pub(crate) struct Sealed {
    front: Front,
    last_leaves: Vec<u8>,
}

impl Sealed {
    /// What the version is.
    pub(crate) fn record(&self) -> &Record {
        &self.front.record
    }
}

impl Listing {
    pub(crate) fn new(params: Params, scratch: &Path) -> Self {
        Self {
            tree: TreeBuilder::new(params),
            leaves: SpooledTempFile::new_in(IN_MEMORY, scratch),
            finished: Vec::new(),
            packs: Vec::new(),
            numbers: HashMap::new(),
        }
    }

    /// Takes the next line.
    pub(crate) fn push(&mut self, line: PlacedLine) -> Result<(), MakeError> {
        let location = line.place.map(|place| self.locate(&place));
        self.tree
            .push(line.short, line.len, 1, location, &mut self.finished)
            .map_err(|error| MakeError::Description(error.to_string()))?;
        if self.finished.len() >= 1 << 16 {
            self.leaves.write_all(&self.finished).map_err(MakeError::store("keeping the chunk list"))?;
            self.finished.clear();
        }
        Ok(())
    }

    /// Completes the index of an image with these block hashes, and ways that lead to it. Can be done again with
    /// others.
    pub(crate) fn seal(
        &self,
        description: Description,
        blocks: &[BlockHash],
        ways: Ways,
        lookup: &Lookup,
    ) -> Result<Sealed, MakeError> {
        let impossible = |error: &dyn std::error::Error| MakeError::Description(error.to_string());
        let pack = |slot: &PackSlot| {
            let (name, len) = lookup.pack(*slot).expect("a pack is sealed before the list is complete");
            PackRef { name: *name.as_bytes(), len: u32::try_from(len).expect("no pack exceeds 64 MiB") }
        };
        let locator = Locator::new(self.packs.iter().map(pack).collect());
        let locator = locator.map_err(|error| impossible(&error))?.with_ways(ways);
        let mut last_leaves = self.finished.clone();
        let front = self.tree.clone().finish(description, &locator, blocks, &mut last_leaves);
        Ok(Sealed { front: front.map_err(|error| impossible(&error))?, last_leaves })
    }

    /// Writes a whole index; returns its length.
    pub(crate) fn write(&mut self, sealed: &Sealed, mut out: &mut dyn Write) -> io::Result<u64> {
        out.write_all(&sealed.front.bytes)?;
        self.leaves.seek(SeekFrom::Start(0))?;
        let leaves = io::copy(&mut self.leaves, &mut out)?;
        out.write_all(&sealed.last_leaves)?;
        Ok(sealed.front.bytes.len() as u64 + leaves + sealed.last_leaves.len() as u64)
    }

    fn locate(&mut self, place: &Place) -> Location {
        let packs = &mut self.packs;
        let number = *self.numbers.entry(place.pack).or_insert_with(|| {
            packs.push(place.pack);
            u32::try_from(packs.len() - 1).expect("slots are 32-bit numbers")
        });
        let frame = place.frame;
        Location {
            pack: number,
            frame: FrameRef {
                offset: frame.offset,
                stored_len: frame.stored_len,
                plain_len: frame.plain_len,
                raw: frame.raw,
            },
            first: place.first,
        }
    }
}

/// Annotations from pairs as a command line gives them.
pub fn annotations<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Annotations, MakeError> {
    let mut annotations = Annotations::default();
    for (key, value) in pairs {
        let set = key.parse().and_then(|key| annotations.set(key, value));
        set.map_err(|error| MakeError::Description(format!("annotation {key:?}: {error}")))?;
    }
    Ok(annotations)
}
