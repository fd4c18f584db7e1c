//! Old bytes of the target that were saved before they were overwritten.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::target::open_private;

/// Old bytes, each with where they were in the target.
pub(crate) type Kept = Vec<(Range<u64>, Vec<u8>)>;

/// Bytes kept for blocks that are still to be written, in memory and, if there is one, in a journal.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    for_block: HashMap<u64, Kept>,
    /// Blocks whose bytes were taken and that are not written yet.
    taken: HashSet<u64>,
    journal: Option<Journal>,
}

/// A file of saved bytes on a medium that keeps them.
///
/// It has no structure: a run that was cut short finds in it the chunks that it had saved, as in any seed.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// What an earlier run has saved ends here; it is a seed as long as this run lasts.
    start: u64,
    dirty: bool,
}

impl Journal {
    /// Starts a journal at `path`, after what an earlier run may have left there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = open_private(path)?;
        let start = file.metadata()?.len();
        if let Some(directory) = path.parent() {
            // What is in a file that nobody finds after a power cut is not saved.
            File::open(directory)?.sync_all()?;
        }
        Ok(Self { path: path.to_owned(), file, start, dirty: false })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        let end = self.file.metadata()?.len();
        self.dirty = true;
        self.file.write_all_at(bytes, end)
    }

    fn sync(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.dirty) {
            self.file.flush()?;
            self.file.sync_all()?;
        }
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(self.start)
    }
}

impl Saved {
    /// Nothing saved yet. Every save goes into `journal` as well.
    pub(crate) fn new(journal: Option<Journal>) -> Self {
        Self { inner: Mutex::new(Inner { journal, ..Inner::default() }) }
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the old bytes of `own` for block `reader`.
    pub(crate) fn put(&self, reader: u64, own: Range<u64>, bytes: Vec<u8>) {
        let mut inner = self.inner();
        // Without a journal a power cut costs a download; a full disk must not cost the update.
        if inner.journal.as_mut().is_some_and(|journal| journal.append(&bytes).is_err()) {
            inner.journal = None;
        }
        inner.for_block.entry(reader).or_default().push((own, bytes));
    }

    /// What was kept for block `reader`.
    pub(crate) fn take(&self, reader: u64) -> Kept {
        let mut inner = self.inner();
        let Some(kept) = inner.for_block.remove(&reader) else { return Vec::new() };
        inner.taken.insert(reader);
        kept
    }

    /// Says that block `reader` is written, though perhaps not durable yet.
    pub(crate) fn written(&self, reader: u64) {
        self.inner().taken.remove(&reader);
    }

    /// Makes everything saved so far durable, if there is a journal.
    pub(crate) fn sync(&self) {
        let mut inner = self.inner();
        if inner.journal.as_mut().is_some_and(|journal| journal.sync().is_err()) {
            inner.journal = None;
        }
    }

    /// Forgets what this run has put into the journal, unless it is still needed. All blocks written so far are
    /// durable.
    pub(crate) fn settle(&self) -> io::Result<()> {
        let mut inner = self.inner();
        if !inner.for_block.is_empty() || !inner.taken.is_empty() {
            return Ok(());
        }
        inner.journal.as_mut().map_or(Ok(()), Journal::clear)
    }

    /// Removes the journal.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self.inner.into_inner().unwrap_or_else(PoisonError::into_inner).journal {
            Some(journal) => std::fs::remove_file(&journal.path),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_keeps_what_a_block_was_given_until_the_block_is_written() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("journal");
        let content = || std::fs::read(&path).expect("the journal is there");
        let saved = Saved::new(Some(Journal::open(&path).expect("a journal")));
        saved.put(7, 10..13, b"old".to_vec());
        saved.settle().expect("settled");
        assert_eq!(content(), b"old", "block 7 needs it");
        assert_eq!(saved.take(7), [(10..13, b"old".to_vec())]);
        saved.settle().expect("settled");
        assert_eq!(content(), b"old", "block 7 is nowhere yet");
        saved.written(7);
        saved.settle().expect("settled");
        assert_eq!(content(), b"");
        saved.finish().expect("finished");
        assert!(!path.exists());
    }

    #[test]
    fn a_journal_goes_on_behind_what_an_earlier_run_has_left() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("journal");
        let start = || Saved::new(Some(Journal::open(&path).expect("a journal")));
        start().put(1, 0..5, b"early".to_vec());
        let saved = start();
        saved.put(2, 5..9, b"late".to_vec());
        assert_eq!(std::fs::read(&path).expect("the journal is there"), b"earlylate");
        saved.take(2);
        saved.written(2);
        saved.settle().expect("settled");
        assert_eq!(std::fs::read(&path).expect("the journal is there"), b"early", "it is a seed of this run");
    }
}
