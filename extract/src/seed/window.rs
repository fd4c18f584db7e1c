//! A file or block device, or a part of one.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::num::NonZero;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Advice, OFlags, SeekFrom as Whence};
use rustix::io::Errno;

use super::medium::Medium;
use crate::target::drop_pages;

/// A hole shorter than this is read: to find the place in the chunks behind it costs reading, too.
const WORTH_SKIPPING: u64 = 16 << 20;
/// What a page cache holds as one is at most so long, and starts at a multiple of its length.
const LARGEST_FOLIO: u64 = 2 << 20;

/// Some bytes of a regular file or block device.
#[derive(Debug, Clone)]
pub struct Window {
    file: Arc<File>,
    range: Range<u64>,
    regular: bool,
    identity: Identity,
    /// Where the medium is read, if that was asked for and can be done.
    medium: Option<Arc<Medium>>,
}

/// What tells one file or device from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// A regular file, by file system and inode.
    File(u64, u64),
    /// A block device, by number.
    Device(u64),
}

impl Window {
    /// Opens what lies at `path`; `part` is cut to what is there.
    pub fn open(path: &Path, part: Option<Range<u64>>) -> io::Result<Self> {
        // Without O_NONBLOCK, opening a pipe would wait for a writer instead of being refused.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag fits");
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        Self::of(Arc::new(file), part)
    }

    /// A part of an open file.
    pub fn of(file: Arc<File>, part: Option<Range<u64>>) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let kind = metadata.file_type();
        let identity = if kind.is_file() {
            Identity::File(metadata.dev(), metadata.ino())
        } else if kind.is_block_device() {
            Identity::Device(metadata.rdev())
        } else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "neither a regular file nor a block device",
            ));
        };
        // The size in a block device's metadata is 0; its end is where its size shows.
        let len = (&*file).seek(SeekFrom::End(0))?;
        let whole = 0..len;
        let range = part.map_or(whole, |part| part.start.min(len)..part.end.min(len));
        Ok(Self { file, range, regular: kind.is_file(), identity, medium: None })
    }

    /// The same, but what is read is what the medium holds, as far as the system lets it be asked.
    pub(crate) fn of_medium(self) -> Self {
        drop_pages(&self.file);
        let medium = Medium::of(&self.file).map(Arc::new);
        Self { medium, ..self }
    }

    /// Which file or device this is a part of.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Its first `len` bytes, if it has so many.
    pub(crate) fn first(&self, len: u64) -> Self {
        let end = self.range.end.min(self.range.start.saturating_add(len));
        Self { range: self.range.start..end, ..self.clone() }
    }

    pub(crate) fn size(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    pub(crate) fn start(&self) -> u64 {
        self.range.start
    }

    /// Where in its file or device it lies.
    pub(crate) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn is_regular(&self) -> bool {
        self.regular
    }

    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.size());
        if end.is_none() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let at = self.range.start + offset;
        match self.medium.as_ref().map(|medium| medium.read(at, buffer)) {
            // Not every file system can, and some only tell when they are asked.
            None => self.file.read_exact_at(buffer, at),
            Some(Err(error)) if error.kind() == io::ErrorKind::InvalidInput => {
                self.file.read_exact_at(buffer, at)
            }
            Some(read) => read,
        }
    }

    /// Reads bytes near others that cannot be read.
    ///
    /// A page cache that reads ahead gives up a large folio as a whole for one bad sector. So what it holds there
    /// is dropped, and for this once it reads no more than it is asked for.
    pub(crate) fn read_near_error(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let around = (self.range.start + offset) / LARGEST_FOLIO * LARGEST_FOLIO;
        // Advice is not heeded everywhere, and then there is nothing else to try.
        let file = self.file.as_fd();
        let _ = rustix::fs::fadvise(file, around, NonZero::new(2 * LARGEST_FOLIO), Advice::DontNeed);
        let _ = rustix::fs::fadvise(file, 0, None, Advice::Random);
        let result = self.read(offset, buffer);
        let _ = rustix::fs::fadvise(file, 0, None, Advice::Normal);
        result
    }

    /// Everything but long holes, by what the file system says; devices have none.
    pub(crate) fn extents(&self) -> Vec<Range<u64>> {
        let whole = 0..self.size();
        if !self.regular {
            return vec![whole];
        }
        let mut extents: Vec<Range<u64>> = Vec::new();
        let mut at = self.range.start;
        while at < self.range.end {
            let data = match rustix::fs::seek(self.file.as_fd(), Whence::Data(at)) {
                Ok(data) => data.min(self.range.end),
                Err(Errno::NXIO) => break,
                Err(_) => return vec![whole],
            };
            let hole = match rustix::fs::seek(self.file.as_fd(), Whence::Hole(data)) {
                Ok(hole) => hole.clamp(data + 1, self.range.end.max(data + 1)).min(self.range.end),
                Err(_) => self.range.end,
            };
            if hole <= data {
                break;
            }
            let extent = data - self.range.start..hole - self.range.start;
            match extents.last_mut().filter(|last| extent.start - last.end < WORTH_SKIPPING) {
                Some(last) => last.end = extent.end,
                None => extents.push(extent),
            }
            at = hole;
        }
        extents
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(bytes).expect("written");
        file
    }

    #[test]
    fn a_window_ends_where_its_file_does() {
        let file = file(b"0123456789");
        let window = Window::open(file.path(), Some(6..100)).expect("open");
        assert_eq!(window.size(), 4);
        let mut buffer = [0; 4];
        window.read(0, &mut buffer).expect("readable");
        assert_eq!(&buffer, b"6789");
        let error = window.read(1, &mut buffer).expect_err("too far");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(Window::open(file.path(), Some(50..60)).expect("open").size(), 0);
    }

    #[test]
    fn long_holes_are_not_worth_scanning() {
        let file = file(b"data");
        file.as_file().set_len(64 << 20).expect("a hole");
        file.as_file().write_all_at(b"more", 48 << 20).expect("written");
        let extents = Window::open(file.path(), None).expect("open").extents();
        assert_eq!(extents.len(), 2, "{extents:?}");
        let read: u64 = extents.iter().map(|extent| extent.end - extent.start).sum();
        assert!(read < 32 << 20);
        for byte in [0, 3, 48 << 20, (48 << 20) + 3] {
            assert!(extents.iter().any(|extent| extent.contains(&byte)), "byte {byte} in {extents:?}");
        }
    }

    #[test]
    fn a_pipe_is_refused_at_once() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("pipe");
        let status = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo runs");
        assert!(status.success());
        let error = Window::open(&path, None).expect_err("no seed");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
