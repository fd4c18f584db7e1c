//! Whether a store is what it says: every pack, frame and chunk is hashed again, and every image rebuilt.
//!
//! An audit reads, it changes nothing. A version is damaged if its index is, or if a block of its image, put
//! together from the packs as a device would do it, is not the one of its hash, or if these hashes do not join to
//! the image's. So a version that is found whole is given back byte by byte.
//!
//! Versions of a line share most blocks, and a block that lies in the same places is rebuilt once. Memory goes
//! with the images: some 50 bytes for each MiB of them that differs, and a few MiB for each thread.

mod damage;
mod image;
mod packs;
mod patches;
mod rebuild;

use std::collections::{HashMap, HashSet};

use chunk_index::{Description, Digest, Head, Index, Word};
use chunk_store::line::Version;
use chunk_store::{Backend, Key, Object, PackName};
use rayon::prelude::*;

use crate::Observer;
use crate::error::MakeError;
pub use damage::{PackDamage, PatchDamage, VersionDamage};
use image::Known;
use packs::{Looked, Packs, look_into};
use patches::Images;

/// What an audit found.
#[derive(Debug, Default)]
pub struct Audit {
    /// Packs looked at.
    pub packs: u64,
    /// Bytes of these.
    pub pack_bytes: u64,
    /// Chunks that are whole.
    pub chunks: u64,
    /// Versions looked at.
    pub versions: u64,
    /// Patches looked at.
    pub patches: u64,
    /// What is wrong with packs.
    pub damaged_packs: Vec<(PackName, PackDamage)>,
    /// What is wrong with versions.
    pub damaged_versions: Vec<(Version, VersionDamage)>,
    /// What is wrong with patches, by name. Devices do without them.
    pub damaged_patches: Vec<(Digest, PatchDamage)>,
}

impl Audit {
    /// Nothing was found.
    pub fn is_clean(&self) -> bool {
        self.damaged_packs.is_empty() && self.damaged_versions.is_empty() && self.damaged_patches.is_empty()
    }

    /// The objects whose own bytes are not what their names promise. Once these are out of the way, publishing an
    /// image again stores what it lacks.
    ///
    /// Not among them: what could not be read, for it may be whole; and indexes that only lead to damage, for they
    /// say what is wanted.
    pub fn false_objects(&self) -> impl Iterator<Item = Key> {
        let packs = self.damaged_packs.iter().filter_map(|(name, damage)| {
            let is_known = !matches!(damage, PackDamage::Unreadable(_));
            is_known.then(|| Key::pack(name))
        });
        let indexes = self.damaged_versions.iter().filter_map(|(version, damage)| {
            let is_own = matches!(
                damage,
                VersionDamage::Index(_) | VersionDamage::Misnamed { .. } | VersionDamage::NotNewest { .. }
            );
            is_own.then(|| Key::Index(version.clone()))
        });
        let patches = self.damaged_patches.iter().filter_map(|(name, damage)| {
            let is_known = !matches!(damage, PatchDamage::Unreadable(_));
            is_known.then_some(Key::Patch(*name))
        });
        packs.chain(indexes).chain(patches)
    }
}

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
    let image_bytes: u64 = versions.iter().filter_map(|version| image_len(backend, version)).sum();
    let mut watch =
        Watch { observer, done: 0, total: packs.iter().map(|(_, len)| len).sum::<u64>() + image_bytes };
    let readable = audit.packs(backend, packs, &mut watch)?;
    audit.versions(backend, versions, &readable, &mut watch)?;
    Ok(audit)
}

/// How far the audit is.
struct Watch<'o> {
    observer: &'o dyn Observer,
    done: u64,
    total: u64,
}

impl Watch<'_> {
    /// So many bytes of packs or images are done in all; an error if that is to be the end.
    fn reach(&mut self, done: u64) -> Result<(), MakeError> {
        self.done = done;
        self.observer.progress(done, Some(self.total));
        if self.observer.is_cancelled() { Err(MakeError::Cancelled) } else { Ok(()) }
    }
}

impl Audit {
    fn packs(
        &mut self,
        backend: &dyn Backend,
        packs: &[(PackName, u64)],
        watch: &mut Watch<'_>,
    ) -> Result<Packs, MakeError> {
        let mut readable = Packs::default();
        // As many packs at a time as there are threads: each is held in memory.
        for some in packs.chunks(rayon::current_num_threads()) {
            let looked: Vec<_> = some.par_iter().map(|(name, _)| look_into(backend, name)).collect();
            for ((name, len), Looked { chunks, frames, damage }) in some.iter().zip(looked) {
                self.packs += 1;
                self.pack_bytes += len;
                self.chunks += chunks;
                if let Some(damaged) = frames {
                    readable.insert(*name, damaged);
                }
                self.damaged_packs.extend(damage.map(|damage| (*name, damage)));
            }
            watch.reach(self.pack_bytes)?;
        }
        Ok(readable)
    }

    fn versions(
        &mut self,
        backend: &dyn Backend,
        versions: Vec<Version>,
        packs: &Packs,
        watch: &mut Watch<'_>,
    ) -> Result<(), MakeError> {
        // The newest version lies under two names; a damaged one counts under its label, or when it is the only
        // one.
        let alone = versions.len() == 1;
        let mut ids = HashSet::new();
        let mut lines = Lines::default();
        let mut known = Known::default();
        let (mut images, mut patched) = (Images::default(), Vec::new());
        for version in versions {
            let damage = match read_index(backend, &version) {
                Ok(index) => {
                    self.versions += u64::from(ids.insert(index.id()));
                    lines.learn(&version, &index);
                    if !index.locator().ways().patches().is_empty() {
                        patched.push(version.clone());
                    }
                    let before = watch.done;
                    let advance = |done| watch.reach(before + done);
                    let damage = image::check(&index, backend, packs, &mut known, advance)?;
                    if damage.is_none() {
                        // What a damaged image is made into says nothing of a patch.
                        images.learn(&version, &index);
                    }
                    misnamed(&version, &index).or(damage)
                }
                Err(damage) => {
                    self.versions += u64::from(alone || version.label.is_some());
                    Some(damage)
                }
            };
            self.damaged_versions.extend(damage.map(|damage| (version, damage)));
        }
        self.damaged_versions.extend(lines.behind());
        self.patches(backend, &patched, &images, watch)
    }
}

impl Audit {
    fn patches(
        &mut self,
        backend: &dyn Backend,
        versions: &[Version],
        images: &Images,
        watch: &mut Watch<'_>,
    ) -> Result<(), MakeError> {
        let mut seen = HashSet::new();
        for version in versions {
            let Ok(index) = read_index(backend, version) else { continue };
            for patch in index.locator().ways().patches().iter().filter(|patch| seen.insert(patch.name)) {
                watch.reach(watch.done)?;
                self.patches += 1;
                let damage = images.check(backend, &index, patch);
                self.damaged_patches.extend(damage.map(|damage| (patch.name, damage)));
            }
        }
        Ok(())
    }
}

fn read_index(backend: &dyn Backend, version: &Version) -> Result<Index<Object>, VersionDamage> {
    let object = backend.open(&Key::Index(version.clone()), u64::MAX).map_err(VersionDamage::Unreadable)?;
    Index::decode(object).map_err(VersionDamage::Index)
}

/// Length of a version's image, if that can be read.
fn image_len(backend: &dyn Backend, version: &Version) -> Option<u64> {
    let object = backend.open(&Key::Index(version.clone()), u64::MAX).ok()?;
    Some(Head::decode(object.as_ref()).ok()?.record().image_len())
}

/// An index that lies under the name of another version.
fn misnamed(version: &Version, index: &Index<Object>) -> Option<VersionDamage> {
    let Description { line, label, .. } = index.record().description();
    let is_named = version.name == *line && version.label.as_ref().is_none_or(|name| name == label);
    (!is_named).then(|| VersionDamage::Misnamed { says: format!("{line}@{label}") })
}

/// Of each line, which version is newest by name, and which one has the highest release.
#[derive(Default)]
struct Lines {
    newest: HashMap<Word, (Version, u64)>,
    highest: HashMap<Word, (u64, Word)>,
}

impl Lines {
    fn learn(&mut self, version: &Version, index: &Index<Object>) {
        let Description { line, label, release, .. } = index.record().description();
        if version.label.is_none() {
            self.newest.insert(line.clone(), (version.clone(), release.get()));
        }
        let found = (release.get(), label.clone());
        let highest = self.highest.entry(line.clone()).or_insert_with(|| found.clone());
        *highest = found.max(highest.clone());
    }

    /// The indexes that are newest by name alone.
    fn behind(self) -> impl Iterator<Item = (Version, VersionDamage)> {
        let Self { newest, highest } = self;
        newest.into_iter().filter_map(move |(line, (version, release))| {
            let (best, label) = highest.get(&line).filter(|(best, _)| *best > release)?;
            let highest = format!("{line}@{label}, release {best},");
            Some((version, VersionDamage::NotNewest { highest }))
        })
    }
}
