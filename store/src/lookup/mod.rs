//! Which chunks the packs of a store already hold, and where.
//!
//! The answer for all packs ever written does not fit in memory, so it is kept in sorted files (*runs*) beside
//! the packs: searched where they lie, merged geometrically, never needed. Every run can be deleted; the packs
//! it covered are then read again. Chunks of packs that no run covers yet are held in memory, at most
//! [`SPILL`] of them before they become a run too.

mod run;

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chunk_chunker::Name;

use crate::backend::{Backend, Key};
use crate::frame::Frame;
use crate::pack::{self, PackName, Table, TableError};
use run::{Line, Run};

/// Chunks in memory before they are written to a run; about 30 MB.
const SPILL: usize = 1 << 18;

/// A pack's number within one [`Lookup`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackSlot(u32);

impl PackSlot {
    /// The number itself.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The slot that [`number`](Self::number) was taken from.
    pub fn from_number(number: u32) -> Self {
        Self(number)
    }
}

/// Where a chunk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The pack.
    pub pack: PackSlot,
    /// The frame in the pack.
    pub frame: Frame,
    /// Offset of the chunk's first byte in the plain frame.
    pub first: u32,
    /// Plain bytes of the chunk.
    pub len: u32,
}

/// What a store holds.
#[derive(Debug)]
pub struct Lookup {
    /// Name and length of each pack; none while the pack is still being written.
    packs: Vec<Option<(PackName, u64)>>,
    slots: HashMap<PackName, PackSlot>,
    runs: Vec<Run>,
    recent: HashMap<Name, Place>,
    directory: Option<PathBuf>,
    unreadable: Vec<(PackName, Unreadable)>,
}

/// Why a pack is treated as absent.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unreadable {
    /// Its bytes could not be read.
    Io(io::Error),
    /// Its bytes are no pack.
    Table(TableError),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Table(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<TableError> for Unreadable {
    fn from(error: TableError) -> Self {
        Self::Table(error)
    }
}

impl Lookup {
    /// Learns what `backend` holds; runs are kept in `directory`, if there is one.
    ///
    /// A pack that cannot be read counts as absent: its chunks will be stored again when they are met.
    pub fn open(backend: &dyn Backend, directory: Option<&Path>) -> io::Result<Self> {
        let packs = backend.packs()?;
        let mut lookup = Self {
            packs: Vec::with_capacity(packs.len()),
            slots: HashMap::with_capacity(packs.len()),
            runs: Vec::new(),
            recent: HashMap::new(),
            directory: directory.map(Path::to_owned),
            unreadable: Vec::new(),
        };
        for &(name, len) in &packs {
            let slot = lookup.reserve();
            lookup.name(slot, name, len);
        }
        let mut covered = vec![false; packs.len()];
        for path in lookup.directory.as_deref().map(run::files).into_iter().flatten() {
            let Some(run) = Run::open(path, |name, len| lookup.slot_of(name, len)) else { continue };
            for slot in run.slots() {
                covered[slot.0 as usize] = true;
            }
            lookup.runs.push(run);
        }
        // The order they are searched in, as after a spill: a chunk that lies in two packs is found in the same one
        // by every writer, whatever the files are called.
        lookup.runs.sort_by_key(|run| std::cmp::Reverse(run.len()));
        for (slot, &(name, len)) in packs.iter().enumerate().filter(|(slot, _)| !covered[*slot]) {
            let slot = PackSlot(u32::try_from(slot).map_err(io::Error::other)?);
            match read_table(backend, &name, len) {
                Ok(table) => lookup.learn(slot, &table),
                Err(why) => {
                    lookup.packs[slot.0 as usize] = None;
                    lookup.slots.remove(&name);
                    lookup.unreadable.push((name, why));
                }
            }
            lookup.spill_if_large();
        }
        Ok(lookup)
    }

    /// Packs that could not be read and count as absent.
    pub fn unreadable(&self) -> &[(PackName, Unreadable)] {
        &self.unreadable
    }

    /// Where the chunk `name` of `len` bytes lies, if the store has it.
    pub fn find(&self, name: &Name, len: u32) -> Option<Place> {
        let found = self.recent.get(name).copied();
        found.or_else(|| self.runs.iter().find_map(|run| run.find(name))).filter(|place| place.len == len)
    }

    /// The number of a pack that is there with exactly this length.
    pub fn slot_of(&self, name: &PackName, len: u64) -> Option<PackSlot> {
        let slot = *self.slots.get(name)?;
        (self.packs[slot.0 as usize] == Some((*name, len))).then_some(slot)
    }

    /// The pack behind a number; none while it is being written.
    pub fn pack(&self, slot: PackSlot) -> Option<(PackName, u64)> {
        self.packs[slot.0 as usize]
    }

    /// The number that the next pack to be written will have; all there are have lower ones.
    pub fn next_slot(&self) -> PackSlot {
        PackSlot(u32::try_from(self.packs.len()).expect("fewer than 2^32 packs of a store"))
    }

    /// A number for a pack that is about to be written.
    pub fn reserve(&mut self) -> PackSlot {
        let slot = self.next_slot();
        self.packs.push(None);
        slot
    }

    /// Adds a chunk of a pack that is being written.
    pub fn insert(&mut self, name: Name, place: Place) {
        self.recent.insert(name, place);
    }

    /// The pack is durable now; its chunks may outlive this process.
    pub fn seal(&mut self, slot: PackSlot, name: PackName, len: u64) {
        self.name(slot, name, len);
        self.spill_if_large();
    }

    /// Forgets the chunks of packs that were never completed.
    pub fn forget_unfinished(&mut self) {
        let packs = &self.packs;
        self.recent.retain(|_, place| packs[place.pack.0 as usize].is_some());
    }

    /// Writes what is only in memory to a run, so that the next writer starts faster.
    ///
    /// Failing is no error: the packs hold the truth.
    pub fn spill(&mut self) {
        let Some(directory) = &self.directory else { return };
        if self.recent.is_empty() {
            return;
        }
        let mut lines: Vec<Line> = Vec::with_capacity(self.recent.len());
        lines.extend(self.recent.iter().map(|(name, place)| (*name, *place)));
        lines.sort_unstable_by_key(|(name, _)| *name);
        // Runs shrink by half or more from one to the next, so a chunk is copied O(log n) times in its life.
        self.runs.sort_by_key(|run| std::cmp::Reverse(run.len()));
        let mut total = lines.len();
        let mut kept = self.runs.len();
        while kept > 0 && self.runs[kept - 1].len() <= total.saturating_mul(2) {
            kept -= 1;
            total += self.runs[kept].len();
        }
        let packs = &self.packs;
        let name_of = |slot: PackSlot| packs[slot.0 as usize];
        let Ok(path) = run::write(directory, lines, &self.runs[kept..], name_of) else { return };
        let Some(merged) = Run::open(path, |name, len| self.slot_of(name, len)) else { return };
        for old in self.runs.drain(kept..) {
            if old.path() != merged.path() {
                let _ = fs::remove_file(old.path());
            }
        }
        self.runs.push(merged);
        self.recent = HashMap::new();
    }

    fn spill_if_large(&mut self) {
        if self.recent.len() >= SPILL {
            self.spill();
        }
    }

    fn name(&mut self, slot: PackSlot, name: PackName, len: u64) {
        self.packs[slot.0 as usize] = Some((name, len));
        self.slots.insert(name, slot);
    }

    fn learn(&mut self, pack: PackSlot, table: &Table) {
        for chunk in table.chunks() {
            let frame = table.frames()[chunk.frame as usize];
            self.recent.insert(chunk.name, Place { pack, frame, first: chunk.first, len: chunk.len });
        }
    }
}

fn read_table(backend: &dyn Backend, name: &PackName, len: u64) -> Result<Table, Unreadable> {
    let key = Key::pack(name);
    let mut header = [0; pack::HEADER_LEN as usize];
    let mut trailer = [0; pack::TRAILER_LEN as usize];
    if len < (header.len() + trailer.len()) as u64 {
        return Err(TableError::Length(len).into());
    }
    backend.read_at(&key, 0, &mut header)?;
    pack::check_header(&header)?;
    backend.read_at(&key, len - trailer.len() as u64, &mut trailer)?;
    let trailer = pack::Trailer::decode(len, &trailer)?;
    let mut table = vec![0; trailer.len as usize];
    backend.read_at(&key, u64::from(trailer.offset), &mut table)?;
    Ok(Table::decode_table(&trailer, &table)?)
}
