//! Whole objects from servers that send no ranges, kept in files without a name until others need the room.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// As many of the longest objects as are kept at most.
const KEPT: u64 = 4;

/// The objects that are here whole.
#[derive(Debug)]
pub(crate) struct Spool {
    directory: PathBuf,
    most: u64,
    /// The oldest first.
    objects: Mutex<VecDeque<(String, Place)>>,
}

type Place = Arc<tokio::sync::Mutex<Option<Whole>>>;

/// The place of one object: whoever holds it is the only one to fetch the object.
#[derive(Debug)]
pub(crate) struct Slot(OwnedMutexGuard<Option<Whole>>);

/// An object.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    file: Arc<File>,
    len: u64,
}

/// An object on its way in.
#[derive(Debug)]
pub(crate) struct Incomplete {
    file: File,
    len: u64,
}

impl Spool {
    /// A spool for objects of up to `longest` bytes.
    pub(crate) fn new(directory: PathBuf, longest: u64) -> Self {
        Self { directory, most: longest.saturating_mul(KEPT), objects: Mutex::default() }
    }

    /// Waits for the place of `object`, which is empty if the object is not here.
    pub(crate) async fn slot(&self, object: &str) -> Slot {
        Slot(self.place(object).lock_owned().await)
    }

    /// The place of `object` if nobody holds it.
    pub(crate) fn free_slot(&self, object: &str) -> Option<Slot> {
        self.place(object).try_lock_owned().ok().map(Slot)
    }

    fn place(&self, object: &str) -> Place {
        self.with(|objects| {
            if let Some((_, place)) = objects.iter().find(|(name, _)| name == object) {
                return Arc::clone(place);
            }
            let place = Place::default();
            objects.push_back((object.to_owned(), Arc::clone(&place)));
            place
        })
    }

    /// The object, if it is here and nobody is busy with it.
    pub(crate) fn find(&self, object: &str) -> Option<Whole> {
        self.with(|objects| {
            let (_, place) = objects.iter().find(|(name, _)| name == object)?;
            place.try_lock().ok()?.clone()
        })
    }

    /// The object turned out to be wrong.
    pub(crate) fn forget(&self, object: &str) {
        self.with(|objects| objects.retain(|(name, _)| name != object));
    }

    /// A file for an object.
    pub(crate) fn create(&self) -> io::Result<Incomplete> {
        Ok(Incomplete { file: tempfile::tempfile_in(&self.directory)?, len: 0 })
    }

    /// Puts `incomplete`, which is whole now, into its place.
    pub(crate) fn keep(&self, slot: &mut Slot, incomplete: Incomplete) -> Whole {
        let whole = Whole { file: Arc::new(incomplete.file), len: incomplete.len };
        self.make_room(whole.len);
        *slot.0 = Some(whole.clone());
        whole
    }

    /// Gives up the oldest objects until `len` more bytes fit.
    fn make_room(&self, len: u64) {
        // None if somebody is busy with the object, which stays then.
        let held = |place: &Place| place.try_lock().ok().map(|whole| whole.as_ref().map_or(0, Whole::len));
        self.with(|objects| {
            let mut total: u64 = objects.iter().filter_map(|(_, place)| held(place)).sum();
            objects.retain(|(_, place)| match held(place) {
                Some(freed) if total.saturating_add(len) > self.most => {
                    total = total.saturating_sub(freed);
                    false
                }
                _ => true,
            });
        });
    }

    fn with<T>(&self, change: impl FnOnce(&mut VecDeque<(String, Place)>) -> T) -> T {
        change(&mut self.objects.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Slot {
    /// The object, if somebody else has fetched it.
    pub(crate) fn whole(&self) -> Option<Whole> {
        self.0.clone()
    }
}

impl Whole {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The bytes from `start` to `end`, or to the object's end if that comes first.
    pub(crate) fn read(&self, start: u64, end: u64) -> io::Result<Vec<u8>> {
        let len = end.min(self.len).saturating_sub(start);
        let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes)
    }
}

impl Incomplete {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.len = self.len.saturating_add(u64::try_from(bytes.len()).map_err(io::Error::other)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(spool: &Spool, object: &str, len: usize) {
        let mut slot = spool.free_slot(object).expect("nobody holds it");
        let mut incomplete = spool.create().expect("a file");
        incomplete.append(&vec![7; len]).expect("written");
        spool.keep(&mut slot, incomplete);
    }

    #[test]
    fn the_oldest_objects_make_room_and_no_file_has_a_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let spool = Spool::new(directory.path().to_owned(), 10);
        for object in ["a", "b", "c", "d"] {
            fill(&spool, object, 10);
        }
        assert_eq!(spool.find("a").expect("here").read(8, 20).expect("read"), [7, 7]);
        fill(&spool, "e", 10);
        assert!(spool.find("a").is_none());
        assert!(spool.find("b").is_some());
        assert!(spool.find("e").is_some());
        assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 0);
    }

    #[test]
    fn one_holds_the_place_of_an_object_at_a_time_and_a_wrong_object_is_forgotten() {
        let spool = Spool::new(std::env::temp_dir(), 10);
        let slot = spool.free_slot("a").expect("nobody holds it");
        assert!(spool.free_slot("a").is_none());
        assert!(spool.free_slot("b").is_some());
        drop(slot);
        fill(&spool, "a", 10);
        assert_eq!(spool.free_slot("a").expect("nobody holds it").whole().expect("here").len(), 10);
        spool.forget("a");
        assert!(spool.free_slot("a").expect("nobody holds it").whole().is_none());
    }
}
