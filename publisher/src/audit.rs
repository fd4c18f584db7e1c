//! Whether a store is what it says: every pack, frame and chunk is hashed again.
//!
//! An audit reads, it changes nothing. A version is damaged if its index is, or if it leads to a frame that is
//! missing, damaged, or holds another chunk than the index looks for.

use std::collections::{HashMap, HashSet};

use chunk_chunker::Name;
use chunk_index::{DecodeError, Description, Index, ShortName, Word};
use chunk_store::line::Version;
use chunk_store::pack::{MAX_PACK, Table};
use chunk_store::{Backend, Decoder, FrameError, Key, Object, PackName, TableError};
use rayon::prelude::*;

use crate::Observer;
use crate::error::MakeError;

/// What an audit found.
#[derive(Debug, Default)]
pub struct Audit {
    /// Packs looked at.
    pub packs: u64,
    /// Bytes of these.
    pub pack_bytes: u64,
    /// Chunks hashed.
    pub chunks: u64,
    /// Versions looked at.
    pub versions: u64,
    /// What is wrong with packs.
    pub damaged_packs: Vec<(PackName, PackDamage)>,
    /// What is wrong with versions.
    pub damaged_versions: Vec<(Version, VersionDamage)>,
}

impl Audit {
    /// Nothing was found.
    pub fn is_clean(&self) -> bool {
        self.damaged_packs.is_empty() && self.damaged_versions.is_empty()
    }
}

/// What is wrong with a pack.
#[derive(Debug)]
#[non_exhaustive]
pub enum PackDamage {
    /// It cannot be read.
    Unreadable(std::io::Error),
    /// It is no pack.
    Table(TableError),
    /// Its BLAKE3 is not its name, though all that it holds is whole.
    Name,
    /// Frames or chunks are damaged.
    Frames {
        /// Offsets of the damaged frames.
        offsets: Vec<u32>,
        /// What is wrong with the first, if it cannot even be decoded.
        first: Option<FrameError>,
    },
}

/// What is wrong with a version.
#[derive(Debug)]
#[non_exhaustive]
pub enum VersionDamage {
    /// Its index cannot be read.
    Unreadable(std::io::Error),
    /// Its index is damaged.
    Index(DecodeError),
    /// Its index says that it is another version than its file's name does.
    Misnamed {
        /// What the index says.
        says: String,
    },
    /// It is the line's newest by name, but there is a higher release.
    NotNewest {
        /// Label of the highest release.
        highest: String,
    },
    /// Chunks of it cannot be had.
    Chunks {
        /// How many entries of its list.
        entries: u64,
        /// Where in the image the first of them belongs.
        first: u64,
    },
}

/// What a pack really holds: the offsets of frame and chunk, the short name and the length of each chunk that is
/// whole, ascending. 20 bytes a chunk, as all packs are held until the indexes have been compared with them.
type Contents = Vec<(u32, u32, ShortName, u32)>;

/// Audits a whole store.
pub fn audit(backend: &dyn Backend, observer: &dyn Observer) -> Result<Audit, MakeError> {
    let packs = backend.packs().map_err(MakeError::store("listing its packs"))?;
    let versions = backend.indexes().map_err(MakeError::store("listing its indexes"))?;
    audit_these(backend, &packs, versions, observer)
}

/// Audits one index and the packs that it leads to.
pub fn audit_version(
    backend: &dyn Backend,
    version: Version,
    observer: &dyn Observer,
) -> Result<Audit, MakeError> {
    let mut packs = Vec::new();
    if let Ok(index) = read_index(backend, &version) {
        for pack in index.locator().packs() {
            packs.push((PackName::from_bytes(pack.name), u64::from(pack.len)));
        }
    }
    audit_these(backend, &packs, vec![version], observer)
}

fn audit_these(
    backend: &dyn Backend,
    packs: &[(PackName, u64)],
    versions: Vec<Version>,
    observer: &dyn Observer,
) -> Result<Audit, MakeError> {
    let mut audit = Audit::default();
    let total: u64 = packs.iter().map(|(_, len)| len).sum();
    let mut whole: HashMap<PackName, Contents> = HashMap::new();
    // As many packs at a time as there are threads: each is held in memory.
    for some in packs.chunks(rayon::current_num_threads()) {
        let looked: Vec<_> = some.par_iter().map(|(name, _)| look_into(backend, name)).collect();
        for ((name, len), (contents, damage)) in some.iter().zip(looked) {
            audit.packs += 1;
            audit.pack_bytes += len;
            audit.chunks += contents.len() as u64;
            whole.insert(*name, contents);
            if let Some(damage) = damage {
                audit.damaged_packs.push((*name, damage));
            }
        }
        observer.progress(audit.pack_bytes, Some(total));
        if observer.is_cancelled() {
            return Err(MakeError::Cancelled);
        }
    }
    // The newest version lies under two names; a damaged one counts under its label, or when it is the only one.
    let alone = versions.len() == 1;
    let mut ids = HashSet::new();
    // Of each line, the version that is newest by name, and the label of the highest release.
    let mut newest: HashMap<Word, (Version, u64)> = HashMap::new();
    let mut highest: HashMap<Word, (u64, Word)> = HashMap::new();
    for version in versions {
        let damage = match read_index(backend, &version) {
            Ok(index) => {
                audit.versions += u64::from(ids.insert(index.id()));
                let Description { line, label, release, .. } = index.record().description();
                let is_named =
                    version.name == *line && version.label.as_ref().is_none_or(|name| name == label);
                if version.label.is_none() {
                    newest.insert(line.clone(), (version.clone(), release.get()));
                }
                let found = (release.get(), label.clone());
                highest
                    .entry(line.clone())
                    .and_modify(|best| *best = found.clone().max(best.clone()))
                    .or_insert(found);
                if is_named {
                    compare(&index, &whole)
                } else {
                    Some(VersionDamage::Misnamed { says: format!("{line}@{label}") })
                }
            }
            Err(damage) => {
                audit.versions += u64::from(alone || version.label.is_some());
                Some(damage)
            }
        };
        if let Some(damage) = damage {
            audit.damaged_versions.push((version, damage));
        }
    }
    for (line, (version, release)) in newest {
        if let Some((best, label)) = highest.get(&line).filter(|(best, _)| *best > release) {
            let highest = format!("{line}@{label}, release {best},");
            audit.damaged_versions.push((version, VersionDamage::NotNewest { highest }));
        }
    }
    Ok(audit)
}

fn read_index(backend: &dyn Backend, version: &Version) -> Result<Index<Object>, VersionDamage> {
    let object = backend.open(&Key::Index(version.clone()), u64::MAX).map_err(VersionDamage::Unreadable)?;
    Index::decode(object).map_err(VersionDamage::Index)
}

/// Whether each chunk lies where the index says.
fn compare(index: &Index<Object>, whole: &HashMap<PackName, Contents>) -> Option<VersionDamage> {
    let packs: Vec<_> =
        index.locator().packs().iter().map(|pack| whole.get(&PackName::from_bytes(pack.name))).collect();
    let mut lost = index.entries().filter(|placed| {
        let Some(location) = placed.location else { return false };
        let wanted = (location.frame.offset, location.first, placed.entry.short, placed.entry.len);
        packs[location.pack as usize].is_none_or(|pack| pack.binary_search(&wanted).is_err())
    });
    let first = lost.next()?.image.start;
    Some(VersionDamage::Chunks { entries: 1 + lost.count() as u64, first })
}

/// The whole chunks of a pack, and what is wrong with the rest.
fn look_into(backend: &dyn Backend, name: &PackName) -> (Contents, Option<PackDamage>) {
    let mut contents = Contents::new();
    let pack = match backend.open(&Key::pack(name), u64::from(MAX_PACK)) {
        Ok(pack) => pack,
        Err(error) => return (contents, Some(PackDamage::Unreadable(error))),
    };
    let pack = pack.as_ref();
    let table = match Table::decode(pack) {
        Ok(table) => table,
        Err(error) => return (contents, Some(PackDamage::Table(error))),
    };
    let mut decoder = match Decoder::new() {
        Ok(decoder) => decoder,
        Err(error) => return (contents, Some(PackDamage::Unreadable(error))),
    };
    let mut plain = Vec::new();
    let mut chunks = table.chunks().iter().peekable();
    let mut damaged = HashSet::new();
    let mut first = None;
    for (number, frame) in (0u32..).zip(table.frames()) {
        let stored = &pack[frame.offset as usize..][..frame.stored_len as usize];
        let decoded = decoder.decode(frame, stored, &mut plain);
        let is_whole = decoded.is_ok();
        if let Err(error) = decoded {
            damaged.insert(frame.offset);
            first.get_or_insert(error);
        }
        while let Some(chunk) = chunks.next_if(|chunk| chunk.frame == number) {
            let (from, len) = (chunk.first as usize, chunk.len as usize);
            if is_whole && Name::of(&plain[from..from + len]) == chunk.name {
                contents.push((frame.offset, chunk.first, ShortName::of(&chunk.name), chunk.len));
            } else {
                damaged.insert(frame.offset);
            }
        }
    }
    let damage = if !damaged.is_empty() {
        let mut offsets: Vec<_> = damaged.into_iter().collect();
        offsets.sort_unstable();
        Some(PackDamage::Frames { offsets, first })
    } else if blake3::hash(pack).as_bytes() == name.as_bytes() {
        None
    } else {
        Some(PackDamage::Name)
    };
    (contents, damage)
}

impl std::fmt::Display for PackDamage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::Table(error) => write!(f, "{error}"),
            Self::Name => f.write_str("holds what its table says, but is not the pack of its name"),
            Self::Frames { offsets, first } => {
                let at = offsets.first().copied().unwrap_or_default();
                write!(f, "{} damaged frames, the first at byte {at}", offsets.len())?;
                first.iter().try_for_each(|error| write!(f, ": {error}"))
            }
        }
    }
}

impl std::fmt::Display for VersionDamage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::Index(error) => write!(f, "{error}"),
            Self::Misnamed { says } => write!(f, "says that it is {says}"),
            Self::NotNewest { highest } => write!(f, "is not the newest version, {highest} is"),
            Self::Chunks { entries, first } => {
                write!(f, "{entries} chunks cannot be had, the first for byte {first} of the image")
            }
        }
    }
}
