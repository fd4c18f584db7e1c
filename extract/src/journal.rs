//! Saved bytes on a medium that keeps them.
//!
//! A journal has no structure: a run that was cut short finds in it the chunks that it had saved, as in any seed.
//! What it holds for which block is known only to the run that writes it. A new run takes over what its plan reads
//! of the journal that it found, and nothing else, so a journal is never longer than its bound, however often runs
//! are cut short: what no longer fits is not saved, and costs a download if the power goes.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::target::open_private;

/// Bytes copied at a time.
const STEP: usize = 1 << 20;

/// A file of saved bytes.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// Where it ends.
    len: u64,
    /// Most bytes that it may have.
    most: u64,
    /// What is still needed of it, each with the block that needs it.
    needed: Vec<(Range<u64>, u64)>,
    dirty: bool,
}

impl Journal {
    /// Starts a journal of at most `most` bytes at `path`. Of the one that an earlier run may have left there it
    /// keeps what is `needed`, each part with the block that needs it.
    ///
    /// Who has opened that one may go on reading it.
    pub(crate) fn start(path: &Path, most: u64, needed: Vec<(Range<u64>, u64)>) -> io::Result<Self> {
        let file = open_private(path)?;
        let len = file.metadata()?.len();
        let mut journal = Self { path: path.to_owned(), file, len, most, needed, dirty: false };
        if len > 0 {
            // Without room for a copy it goes on behind what is there.
            let _ = journal.rewrite();
        }
        // What is in a file that nobody finds after a power cut is not saved.
        journal.sync_name()?;
        Ok(journal)
    }

    /// Saves `bytes` for block `reader`, if there is room.
    pub(crate) fn append(&mut self, reader: u64, bytes: &[u8]) -> io::Result<()> {
        let len = bytes.len() as u64;
        // Copying what is needed is worth it only if that is not most of what is there.
        if self.len + len > self.most && self.needed_len() <= self.most / 2 {
            self.rewrite()?;
        }
        if self.len + len > self.most {
            return Ok(());
        }
        self.dirty = true;
        self.file.write_all_at(bytes, self.len)?;
        self.needed.push((self.len..self.len + len, reader));
        self.len += len;
        Ok(())
    }

    /// Makes what was saved durable.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.dirty) { self.file.sync_all() } else { Ok(()) }
    }

    /// Forgets what was saved for `blocks`.
    pub(crate) fn forget(&mut self, blocks: &HashSet<u64>) -> io::Result<()> {
        self.needed.retain(|(_, reader)| !blocks.contains(reader));
        if self.needed.is_empty() && self.len > 0 {
            self.file.set_len(0)?;
            self.len = 0;
        }
        Ok(())
    }

    /// Removes it.
    pub(crate) fn remove(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }

    fn needed_len(&self) -> u64 {
        self.needed.iter().map(|(range, _)| range.end - range.start).sum()
    }

    /// Puts a file in the place of this one that has what is needed of it, as far as there is room, and nothing else.
    fn rewrite(&mut self) -> io::Result<()> {
        // In their order, so that chunks that lie in several parts stay whole.
        self.needed.sort_unstable_by_key(|(range, _)| (range.start, range.end));
        let path = self.path.with_extension("journal-new");
        let file = open_private(&path)?;
        let copied = self.copy_to(&file).and_then(|needed| {
            file.sync_all()?;
            fs::rename(&path, &self.path)?;
            Ok(needed)
        });
        let needed = copied.inspect_err(|_| drop(fs::remove_file(&path)))?;
        (self.len, self.needed) = (file.metadata()?.len(), needed);
        (self.file, self.dirty) = (file, false);
        self.sync_name()
    }

    /// Copies what is needed; returns where each part is now.
    fn copy_to(&self, file: &File) -> io::Result<Vec<(Range<u64>, u64)>> {
        file.set_len(0)?;
        let mut buffer = Vec::new();
        // Up to where this file is copied, and where the new one ends.
        let (mut copied, mut len) = (0, 0);
        let mut moved = Vec::with_capacity(self.needed.len());
        for (range, reader) in &self.needed {
            let range = range.start.min(self.len)..range.end.min(self.len);
            let mut at = range.start.max(copied);
            if len + range.end.saturating_sub(at) > self.most {
                continue;
            }
            while at < range.end {
                let step = usize::try_from(range.end - at).map_or(STEP, |left| left.min(STEP));
                buffer.resize(step, 0);
                self.file.read_exact_at(&mut buffer, at)?;
                file.write_all_at(&buffer, len)?;
                at += step as u64;
                len += step as u64;
            }
            copied = copied.max(range.end);
            let end = len - (copied - range.end);
            moved.push((end - (range.end - range.start)..end, *reader));
        }
        Ok(moved)
    }

    fn sync_name(&self) -> io::Result<()> {
        match self.path.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("target.journal");
        (directory, path)
    }

    fn content(path: &Path) -> Vec<u8> {
        fs::read(path).expect("the journal is there")
    }

    #[test]
    fn it_keeps_what_a_block_was_given_until_the_block_is_durable() {
        let (directory, path) = directory();
        let mut journal = Journal::start(&path, 100, Vec::new()).expect("a journal");
        journal.append(7, b"old").expect("written");
        journal.append(8, b"older").expect("written");
        journal.forget(&HashSet::from([7])).expect("forgotten");
        assert_eq!(content(&path), b"oldolder", "block 8 needs some of it");
        journal.forget(&HashSet::from([8, 9])).expect("forgotten");
        assert_eq!(content(&path), b"");
        journal.remove().expect("removed");
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 0);
    }

    #[test]
    fn of_an_earlier_one_only_what_is_needed_stays_and_the_rest_can_still_be_read() {
        let (directory, path) = directory();
        File::create(&path).and_then(|file| file.write_all_at(b"0123456789", 0)).expect("written");
        let earlier = File::open(&path).expect("it is there");
        // Overlapping, out of order, and beyond the end.
        let needed = vec![(6..8, 3), (1..4, 1), (2..5, 2), (9..15, 4)];
        let mut journal = Journal::start(&path, 100, needed).expect("a journal");
        assert_eq!(content(&path), b"1234679");
        assert_eq!(journal.needed, [(0..3, 1), (1..4, 2), (4..6, 3), (6..7, 4)]);
        assert_eq!(io::read_to_string(earlier).expect("readable"), "0123456789");
        journal.append(5, b"new").expect("written");
        assert_eq!(content(&path), b"1234679new");
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1);
    }

    #[test]
    fn it_never_grows_beyond_its_bound_and_gives_up_what_is_done_first() {
        let (_directory, path) = directory();
        let mut journal = Journal::start(&path, 10, Vec::new()).expect("a journal");
        for (block, bytes) in [(1, b"aaa"), (2, b"bbb"), (3, b"ccc")] {
            journal.append(block, bytes).expect("written");
        }
        journal.append(4, b"ddd").expect("no room is no error");
        assert_eq!(content(&path), b"aaabbbccc", "all of it is needed, so block 4 goes without");
        journal.forget(&HashSet::from([1, 3])).expect("forgotten");
        journal.append(5, b"eee").expect("written");
        assert_eq!(content(&path), b"bbbeee");
        // A bound that has become smaller is kept, too.
        drop(journal);
        let needed = vec![(0..3, 2), (3..6, 5)];
        Journal::start(&path, 4, needed).expect("a journal");
        assert_eq!(content(&path), b"bbb");
    }
}
