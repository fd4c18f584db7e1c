//! Regular files: a new one that takes its place when complete, or one that is updated where it lies.

use std::fs::{File, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::seed::Window;
use crate::target::{
    Media, Refusal, Share, Target, TargetError, directory_of, expect_writable, guard, look_private, mark,
    open_private,
};
use crate::verified::Verified;

/// A file on its way to becoming the image.
#[derive(Debug)]
pub(crate) struct Replacement {
    media: Media,
    /// Where the image is to be.
    path: PathBuf,
    /// Where it is written, if that is elsewhere.
    part: Option<PathBuf>,
    image_len: u64,
    had: u64,
}

impl Replacement {
    /// Makes a file beside `path`, or goes on with the one that an earlier run has left.
    pub(crate) fn beside(path: &Path, image_len: u64) -> Result<Self, TargetError> {
        // What a link leads to is replaced, not the link.
        let resolved = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let path = resolved.as_path();
        expect_unused(path)?;
        let part = part_of(path);
        let file = open_locked(&part, open_private)?;
        let opens = |error| TargetError::Open(part.clone(), error);
        if !mark::is_ours(&file).map_err(opens)? {
            return Err(TargetError::Refused(path.to_owned(), Refusal::Foreign(part)));
        }
        if file.metadata().map_err(opens)?.len() == 0 {
            mark::claim(&file).map_err(opens)?;
        }
        if let Ok(existing) = path.metadata() {
            // Who replaces a file does not change who may read it.
            let _ = file.set_permissions(existing.permissions());
        }
        Self::of(file, path.to_owned(), Some(part), image_len)
    }

    /// Updates the file at `path` itself.
    pub(crate) fn within(path: &Path, image_len: u64) -> Result<Self, TargetError> {
        let file = open_locked(path, |path| File::options().read(true).write(true).open(path))?;
        guard::check_file(&file).map_err(|refusal| TargetError::Refused(path.to_owned(), refusal))?;
        Self::of(file, path.to_owned(), None, image_len)
    }

    /// Refuses what [`Replacement::beside`] would refuse, and writes nothing.
    pub(crate) fn probe_beside(path: &Path) -> Result<(), TargetError> {
        let resolved = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let path = resolved.as_path();
        expect_unused(path)?;
        let part = part_of(path);
        let opens = |error| TargetError::Open(part.clone(), error);
        expect_writable(directory_of(path)).map_err(opens)?;
        if part.symlink_metadata().is_ok() {
            let file = open_locked(&part, look_private)?;
            let is_ours = mark::is_ours(&file);
            let _ = file.unlock();
            if !is_ours.map_err(opens)? {
                return Err(TargetError::Refused(path.to_owned(), Refusal::Foreign(part)));
            }
        }
        Ok(())
    }

    /// Refuses what [`Replacement::within`] would refuse, and writes nothing.
    pub(crate) fn probe_within(path: &Path) -> Result<(), TargetError> {
        expect_writable(path).map_err(|error| TargetError::Open(path.to_owned(), error))?;
        let file = open_locked(path, |path| File::open(path))?;
        let used = guard::check_file(&file);
        let _ = file.unlock();
        used.map_err(|refusal| TargetError::Refused(path.to_owned(), refusal))
    }

    fn of(file: File, path: PathBuf, part: Option<PathBuf>, image_len: u64) -> Result<Self, TargetError> {
        let opens = |error| TargetError::Open(path.clone(), error);
        let had = file.metadata().map_err(opens)?.len();
        let media = Media::file(Arc::new(file), (had == 0).then(|| directory_of(&path).to_owned()));
        Ok(Self { media, path, part, image_len, had })
    }

    /// Makes the file as long as the image, unless its file system has no room for what `written` bytes add to it.
    pub(crate) fn make_room(&self, written: u64) -> Result<(), TargetError> {
        let file = self.media.handle();
        self.expect_room(written)?;
        if self.had < self.image_len {
            file.set_len(self.image_len).map_err(|error| no_room(&self.path, self.image_len, error))?;
        }
        Ok(())
    }

    /// Refuses to go on if the file system has no room for what `written` bytes add to the file.
    pub(crate) fn expect_room(&self, written: u64) -> Result<(), TargetError> {
        let file = self.media.handle();
        match (rustix::fs::fstatvfs(&**file), file.metadata()) {
            (Ok(space), Ok(metadata)) => {
                expect_room(&self.path, &space, growth(&metadata, self.image_len, written))
            }
            _ => Ok(()),
        }
    }

    /// Removes what was made for nothing.
    pub(crate) fn discard(&self) {
        if self.had == 0 {
            let _ = self.part.as_ref().map(std::fs::remove_file);
        }
    }
}

/// How much more a file occupies at most when `written` bytes of an image of `image_len` are written to it.
pub(crate) fn growth(file: &Metadata, image_len: u64, written: u64) -> u64 {
    // What lies behind the image is cut off last, and the rest is written over.
    let surplus = file.len().saturating_sub(image_len);
    let occupied = file.blocks().saturating_mul(512).saturating_sub(surplus);
    written.min(image_len.saturating_sub(occupied))
}

impl Drop for Replacement {
    fn drop(&mut self) {
        // Closing is not enough: a process that was started meanwhile may have the file open as well.
        let _ = self.media.handle().unlock();
    }
}

/// Refuses `target` if its file system has no room for `needed` more bytes.
pub(crate) fn expect_room(
    target: &Path,
    space: &rustix::fs::StatVfs,
    needed: u64,
) -> Result<(), TargetError> {
    let available = space.f_bavail.saturating_mul(space.f_frsize);
    if needed > available {
        return Err(TargetError::Space { path: target.to_owned(), needed, available });
    }
    Ok(())
}

/// Refuses a file that is to be replaced while something else lives in it.
fn expect_unused(path: &Path) -> Result<(), TargetError> {
    match File::open(path) {
        Ok(existing) => {
            guard::check_file(&existing).map_err(|refusal| TargetError::Refused(path.to_owned(), refusal))
        }
        Err(_) => Ok(()),
    }
}

/// The file beside `path` in which a new image grows.
pub(crate) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

/// Opens `path` for ourselves alone. Whoever had it before may have renamed or removed what was opened.
fn open_locked(path: &Path, open: impl Fn(&Path) -> io::Result<File>) -> Result<File, TargetError> {
    let opens = |error| TargetError::Open(path.to_owned(), error);
    loop {
        let file = open(path).map_err(opens)?;
        lock(&file, path)?;
        let opened = file.metadata().map_err(opens)?;
        if path.metadata().is_ok_and(|there| there.dev() == opened.dev() && there.ino() == opened.ino()) {
            return Ok(file);
        }
    }
}

fn lock(file: &File, path: &Path) -> Result<(), TargetError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(TargetError::Refused(path.to_owned(), Refusal::Locked)),
        // A file system without locks is no reason not to update it.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(error)) => Err(TargetError::Open(path.to_owned(), error)),
    }
}

fn no_room(path: &Path, needed: u64, error: io::Error) -> TargetError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded => {
            TargetError::Space { path: path.to_owned(), needed, available: 0 }
        }
        _ => TargetError::Open(path.to_owned(), error),
    }
}

impl Target for Replacement {
    fn content(&self) -> Option<Window> {
        if self.had == 0 { None } else { Window::of(Arc::clone(self.media.handle()), Some(0..self.had)).ok() }
    }

    fn file(&self) -> Option<Arc<File>> {
        Some(Arc::clone(self.media.handle()))
    }

    fn put(&mut self, block: &Verified, shares: &[Share<'_>]) -> Result<u64, TargetError> {
        self.media.put(block, shares)
    }

    fn flush(&mut self) -> Result<(), TargetError> {
        self.media.flush()
    }

    fn doubt(&mut self) {
        self.media.doubt();
    }

    fn finish(&mut self) -> Result<(), TargetError> {
        let file = self.media.handle();
        if file.metadata().map_err(TargetError::Flush)?.len() != self.image_len {
            file.set_len(self.image_len).map_err(TargetError::Flush)?;
            file.sync_all().map_err(TargetError::Flush)?;
        }
        let Some(part) = &self.part else { return Ok(()) };
        let renames = |error| TargetError::Rename(self.path.clone(), error);
        if let Ok(existing) = self.path.metadata() {
            // Not before: what belongs to somebody else is not continued by a later run.
            let _ = std::os::unix::fs::fchown(&**file, Some(existing.uid()), Some(existing.gid()));
            let _ = file.set_permissions(existing.permissions());
        }
        std::fs::rename(part, &self.path).map_err(renames)?;
        // Not before: a run that is cut short here has left a file of ours.
        mark::release(file);
        File::open(directory_of(&self.path)).and_then(|directory| directory.sync_all()).map_err(renames)
    }
}
