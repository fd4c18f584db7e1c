//! A line of versions as a publisher sees it: what is newest, and how a new version becomes it.
//!
//! `NAME.cidx` is where publishers meet. It is only ever swapped against the very bytes a publisher has seen, so
//! of two that publish at once, one starts over and releases stay in order. `NAME@LABEL.cidx` follows; a crash
//! between the two is mended by the next publisher, before `NAME.cidx` moves on.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroU64;

use chunk_index::{Digest, Head, Index, Record, Word};
use chunk_store::line::Version;
use chunk_store::{Backend, Key, Object, Published, Upload};

use crate::error::MakeError;

/// Longest index that is read.
const INDEX_LIMIT: u64 = 1 << 34;

/// What lies under a line's names.
pub(crate) struct Line<'b> {
    backend: &'b dyn Backend,
    pub(crate) name: Word,
    /// BLAKE3 of `NAME.cidx` as it was found; none if there is none.
    seen: Option<[u8; 32]>,
    newest: Option<Index<Object>>,
}

impl<'b> Line<'b> {
    /// Looks at the line `name`.
    pub(crate) fn open(backend: &'b dyn Backend, name: &Word) -> Result<Self, MakeError> {
        let mut line = Self { backend, name: name.clone(), seen: None, newest: None };
        let pointer = line.pointer();
        if backend.len(&pointer).map_err(MakeError::store("looking for the newest index"))?.is_some() {
            let object = line.open_object(&pointer)?;
            line.seen = Some(*blake3::hash(object.as_ref()).as_bytes());
            line.newest = Index::decode(object).ok();
        }
        if line.newest.is_none() {
            line.newest = line.highest_release()?;
        }
        Ok(line)
    }

    /// The newest version that can be read.
    pub(crate) fn newest(&self) -> Option<&Index<Object>> {
        self.newest.as_ref()
    }

    /// The version with this label, if the label is taken.
    pub(crate) fn version(&self, label: &Word) -> Result<Option<Index<Object>>, MakeError> {
        let key = self.key(label);
        if self.backend.len(&key).map_err(MakeError::store("looking for a version"))?.is_none() {
            let newest = self.newest.as_ref().filter(|index| index.record().description().label == *label);
            return Ok(match newest {
                Some(_) => Some(self.decode(&self.pointer())?),
                None => None,
            });
        }
        self.decode(&key).map(Some)
    }

    /// Release of the newest version; 0 if there is none.
    pub(crate) fn last_release(&self) -> u64 {
        self.newest.as_ref().map_or(0, |newest| newest.record().description().release.get())
    }

    /// The release that follows the newest.
    pub(crate) fn next_release(&self) -> Result<NonZeroU64, MakeError> {
        let next = self.last_release().checked_add(1).and_then(NonZeroU64::new);
        next.ok_or_else(out_of_releases)
    }

    /// A label that no version has, and the release that goes with it.
    pub(crate) fn free_release(&self, from: NonZeroU64) -> Result<(NonZeroU64, Word), MakeError> {
        let mut release = Some(from);
        while let Some(free) = release {
            let label = number(free);
            let taken =
                self.backend.len(&self.key(&label)).map_err(MakeError::store("looking for a version"))?;
            if taken.is_none() {
                return Ok((free, label));
            }
            release = free.checked_add(1);
        }
        Err(out_of_releases())
    }

    /// Key of a version of this line.
    pub(crate) fn key(&self, label: &Word) -> Key {
        Key::Index(Version { name: self.name.clone(), label: Some(label.clone()) })
    }

    /// Key of the line's newest index.
    pub(crate) fn pointer(&self) -> Key {
        Key::Index(Version { name: self.name.clone(), label: None })
    }

    /// Makes the index that `write` writes the line's newest. The one before must have been
    /// [kept](Self::keep_newest).
    ///
    /// A conflict means that somebody else was faster: look at the line again.
    pub(crate) fn publish(
        &self,
        record: &Record,
        mut write: impl FnMut(&mut dyn Upload) -> io::Result<()>,
    ) -> Result<Published, MakeError> {
        if self.upload(&mut write, |upload| upload.swap(&self.pointer(), self.seen))? == Published::Conflict {
            return Ok(Published::Conflict);
        }
        self.restore(record, write)?;
        Ok(Published::Done)
    }

    /// Puts the index that `write` writes under its version's label, whichever version is newest.
    pub(crate) fn restore(
        &self,
        record: &Record,
        mut write: impl FnMut(&mut dyn Upload) -> io::Result<()>,
    ) -> Result<(), MakeError> {
        let key = self.key(&record.description().label);
        // Another publisher may have kept this version already; no other may ever be in its place.
        if self.upload(&mut write, |upload| upload.swap(&key, None))? == Published::Conflict
            && self.decode(&key)?.id() != record.id()
        {
            return Err(MakeError::LabelTaken { key });
        }
        Ok(())
    }

    /// Replaces a version's index by one with the same record, which says other places.
    pub(crate) fn rewrite(
        &self,
        version: &Index<Object>,
        mut write: impl FnMut(&mut dyn Upload) -> io::Result<()>,
    ) -> Result<(), MakeError> {
        let label = &version.record().description().label;
        self.upload(&mut write, |upload| upload.replace(&self.key(label)))?;
        if self.newest.as_ref().is_some_and(|newest| newest.id() == version.id()) {
            // A conflict means that the line has moved on, and the new place of this version is known above.
            let _ = self.upload(&mut write, |upload| upload.swap(&self.pointer(), self.seen))?;
            return Ok(());
        }
        self.confirm(version)
    }

    /// Replaces a version's index, if it still is what was read, by one with the same record.
    pub(crate) fn amend(
        &self,
        version: &Index<Object>,
        mut write: impl FnMut(&mut dyn Upload) -> io::Result<()>,
    ) -> Result<Published, MakeError> {
        self.keep_newest()?;
        let key = self.key(&version.record().description().label);
        let read = *blake3::hash(version.bytes()).as_bytes();
        if self.upload(&mut write, |upload| upload.swap(&key, Some(read)))? == Published::Conflict {
            return Ok(Published::Conflict);
        }
        if self.newest.as_ref().is_some_and(|newest| newest.id() == version.id()) {
            // A conflict means that the line has moved on.
            let _ = self.upload(&mut write, |upload| upload.swap(&self.pointer(), self.seen))?;
        }
        Ok(Published::Done)
    }

    /// The version of this release, if there is one.
    pub(crate) fn release(&self, release: NonZeroU64) -> Result<Option<Index<Object>>, MakeError> {
        let is_it = |index: &Index<Object>| index.record().description().release == release;
        if let Some(index) = self.version(&number(release))?.filter(is_it) {
            return Ok(Some(index));
        }
        for version in self.versions()? {
            let key = Key::Index(version);
            let head = self.open_object(&key).ok().and_then(|object| Head::decode(object.as_ref()).ok());
            if head.is_some_and(|head| head.record().description().release == release) {
                return self.decode(&key).map(Some);
            }
        }
        Ok(None)
    }

    /// Where the images of all versions are.
    pub(crate) fn images(&self) -> Result<HashMap<Digest, Key>, MakeError> {
        let key = |version| {
            let key = Key::Index(version);
            let head = Head::decode(self.open_object(&key).ok()?.as_ref()).ok()?;
            Some((head.record().description().blake3, key))
        };
        Ok(self.versions()?.filter_map(key).collect())
    }

    /// Makes sure that the newest version is found by its label and by `NAME.cidx`. If it is `version`, both lead
    /// to the places that `version` does.
    pub(crate) fn confirm(&self, version: &Index<Object>) -> Result<(), MakeError> {
        self.keep_newest()?;
        let Some(newest) = &self.newest else { return Ok(()) };
        let right = if newest.id() == version.id() { version } else { newest }.bytes();
        if self.seen != Some(*blake3::hash(right).as_bytes()) {
            let write = &mut |out: &mut dyn Upload| out.write_all(right);
            // A conflict means that somebody else made it right.
            let _ = self.upload(write, |upload| upload.swap(&self.pointer(), self.seen))?;
        }
        Ok(())
    }

    fn upload<T>(
        &self,
        write: &mut impl FnMut(&mut dyn Upload) -> io::Result<()>,
        publish: impl FnOnce(Box<dyn Upload + '_>) -> io::Result<T>,
    ) -> Result<T, MakeError> {
        let mut upload = self.backend.create().map_err(MakeError::store("starting an index"))?;
        write(&mut *upload).map_err(MakeError::store("writing an index"))?;
        publish(upload).map_err(MakeError::store("publishing an index"))
    }

    /// Makes sure that the newest version can be reached by its label, whatever becomes of `NAME.cidx`.
    pub(crate) fn keep_newest(&self) -> Result<(), MakeError> {
        let Some(newest) = &self.newest else { return Ok(()) };
        let key = self.key(&newest.record().description().label);
        if self.backend.len(&key).map_err(MakeError::store("looking for a version"))?.is_some() {
            return Ok(());
        }
        // A conflict means that somebody else has kept it.
        let write = &mut |out: &mut dyn Upload| out.write_all(newest.bytes());
        let _ = self.upload(write, |upload| upload.swap(&key, None))?;
        Ok(())
    }

    /// The version with the highest release, for a line whose newest index is lost or damaged.
    fn highest_release(&self) -> Result<Option<Index<Object>>, MakeError> {
        let mut highest = None;
        for version in self.versions()? {
            match self.decode(&Key::Index(version)) {
                Ok(index) => {
                    let release = |index: &Index<Object>| index.record().description().release;
                    highest = highest.filter(|other| release(other) > release(&index)).or(Some(index));
                }
                Err(MakeError::Index { .. }) => {}
                // It may be whole, and the highest: nobody knows.
                Err(error) => return Err(error),
            }
        }
        Ok(highest)
    }

    /// The line's versions, as they lie under their labels.
    pub(crate) fn versions(&self) -> Result<impl Iterator<Item = Version>, MakeError> {
        let all = self.backend.indexes().map_err(MakeError::store("listing its indexes"))?;
        let name = self.name.clone();
        Ok(all.into_iter().filter(move |version| version.name == name && version.label.is_some()))
    }

    pub(crate) fn decode(&self, key: &Key) -> Result<Index<Object>, MakeError> {
        Index::decode(self.open_object(key)?).map_err(|error| MakeError::Index { key: key.clone(), error })
    }

    pub(crate) fn open_object(&self, key: &Key) -> Result<Object, MakeError> {
        self.backend.open(key, INDEX_LIMIT).map_err(MakeError::store("reading an index"))
    }
}

/// The label of a release that nobody has called otherwise.
pub(crate) fn number(release: NonZeroU64) -> Word {
    release.to_string().parse().expect("digits are a word")
}

/// The line cannot go on.
fn out_of_releases() -> MakeError {
    MakeError::Description("the line has run out of releases".to_owned())
}
