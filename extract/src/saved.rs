//! Old bytes of the target that were saved before they were overwritten.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::journal::Journal;

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
    /// Blocks that were written and may not be durable yet.
    written: HashSet<u64>,
    journal: Option<Journal>,
    /// Whether the journal has failed and is left as it is.
    is_broken: bool,
}

impl Inner {
    /// Does something with the journal. Without one a power cut costs a download; a full disk must not cost the
    /// update.
    fn with_journal(&mut self, act: impl FnOnce(&mut Journal) -> io::Result<()>) {
        if let Some(journal) = self.journal.as_mut().filter(|_| !self.is_broken) {
            self.is_broken = act(journal).is_err();
        }
    }
}

impl Saved {
    /// Nothing saved yet. Every save goes into `journal` as well.
    pub(crate) fn new(journal: Option<Journal>) -> Self {
        Self { inner: Mutex::new(Inner { journal, ..Inner::default() }) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the old bytes of `own` for block `reader`.
    pub(crate) fn put(&self, reader: u64, own: Range<u64>, bytes: Vec<u8>) {
        let mut inner = self.inner();
        inner.with_journal(|journal| journal.append(reader, &bytes));
        inner.for_block.entry(reader).or_default().push((own, bytes));
    }

    /// What was kept for block `reader`.
    pub(crate) fn take(&self, reader: u64) -> Kept {
        self.inner().for_block.remove(&reader).unwrap_or_default()
    }

    /// Says that block `number` is written, though perhaps not durable yet.
    pub(crate) fn written(&self, number: u64) {
        let mut inner = self.inner();
        if inner.journal.is_some() {
            inner.written.insert(number);
        }
    }

    /// Makes everything saved so far durable, if there is a journal.
    pub(crate) fn sync(&self) {
        self.inner().with_journal(Journal::sync);
    }

    /// Lets the journal forget what was saved for the blocks written so far: all of them are durable.
    pub(crate) fn settle(&self) {
        let mut inner = self.inner();
        let written = std::mem::take(&mut inner.written);
        inner.with_journal(|journal| journal.forget(&written));
    }

    /// Removes the journal.
    pub(crate) fn finish(self) -> io::Result<()> {
        let inner = self.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        inner.journal.map_or(Ok(()), Journal::remove)
    }
}
