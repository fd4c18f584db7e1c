//! The image while it is read: a file, a block device or a stream.
//!
//! Files are never mapped: a source that shrinks while it is read must be an error, not a SIGBUS. Holes that
//! the file system knows are not read.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{OFlags, SeekFrom as Whence};

use crate::block::Pool;
use crate::error::SourceError;

/// An image to publish.
pub struct Source(Kind);

enum Kind {
    File(Opened),
    /// With the bytes read ahead, to know whether a block is the last.
    Stream(Box<dyn Read + Send>, Option<Vec<u8>>),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Kind::File(opened) => f.debug_tuple("Source::File").field(&opened.len).finish(),
            Kind::Stream(..) => f.write_str("Source::Stream"),
        }
    }
}

impl Source {
    /// Opens a regular file or a block device.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        // Without O_NONBLOCK, opening a pipe would wait for a writer instead of being refused.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag fits");
        let mut file =
            OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(SourceError::Open)?;
        let metadata = file.metadata().map_err(SourceError::Open)?;
        let kind = metadata.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(SourceError::Kind);
        }
        // The size in a block device's metadata is 0; its end is where its size shows.
        let len = file.seek(SeekFrom::End(0)).map_err(SourceError::Open)?;
        let stamp = kind.is_file().then(|| Stamp::of(&metadata));
        Ok(Self(Kind::File(Opened { file: Arc::new(file), len, stamp, data: 0..0, sparse: true })))
    }

    /// An image of unknown length, read to its end.
    pub fn stream(reader: impl Read + Send + 'static) -> Self {
        Self(Kind::Stream(Box::new(reader), None))
    }

    /// Length of the image, where it is known before reading.
    pub fn known_len(&self) -> Option<u64> {
        match &self.0 {
            Kind::File(opened) => Some(opened.len),
            Kind::Stream(..) => None,
        }
    }

    /// The piece of at most `block` bytes at `offset`, which must be where the last one ended; none at the end.
    ///
    /// What a stream gives lies in one of `buffers`, where it returns to when nobody needs it any more.
    pub(crate) fn piece(
        &mut self,
        offset: u64,
        block: usize,
        buffers: &Pool,
    ) -> Result<Option<Piece>, SourceError> {
        match &mut self.0 {
            Kind::File(opened) => Ok(opened.piece(offset, block)),
            Kind::Stream(reader, ahead) => {
                let mut read = |at| {
                    let mut bytes = buffers.take();
                    bytes.clear();
                    let read = reader.by_ref().take(block as u64).read_to_end(&mut bytes);
                    read.map(|_| bytes).map_err(|error| SourceError::Read { at, error })
                };
                let bytes = match ahead.take() {
                    Some(bytes) => bytes,
                    None => read(offset)?,
                };
                if bytes.is_empty() {
                    return Ok(None);
                }
                let next = read(offset + bytes.len() as u64)?;
                let is_last = next.is_empty();
                *ahead = Some(next);
                Ok(Some(Piece { bytes: Wanted::Here(bytes), is_last }))
            }
        }
    }

    /// Fails if the file is no longer the one that was opened.
    pub(crate) fn check_unchanged(&self) -> Result<(), SourceError> {
        match &self.0 {
            Kind::File(Opened { file, stamp: Some(stamp), .. }) => {
                let now = file.metadata().map_err(|error| SourceError::Read { at: 0, error })?;
                if Stamp::of(&now) == *stamp { Ok(()) } else { Err(SourceError::Changed) }
            }
            _ => Ok(()),
        }
    }
}

/// A block of the image, read or not.
pub(crate) struct Piece {
    pub(crate) bytes: Wanted,
    /// The image ends with it.
    pub(crate) is_last: bool,
}

/// Bytes that are still to be read, or already known.
pub(crate) enum Wanted {
    /// Zeros, as the file system says.
    Hole(usize),
    /// To be read from the file.
    Read { file: Arc<File>, offset: u64, len: usize },
    /// Read from the stream.
    Here(Vec<u8>),
}

impl Wanted {
    /// How many bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Hole(len) | Self::Read { len, .. } => *len,
            Self::Here(bytes) => bytes.len(),
        }
    }
}

/// Fills `buffer` from `file`; ending early means that the source has shrunk.
pub(crate) fn read(file: &File, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
    file.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => SourceError::Shrunk { at: offset },
        _ => SourceError::Read { at: offset, error },
    })
}

struct Opened {
    file: Arc<File>,
    len: u64,
    /// None for devices: their metadata says nothing about their content.
    stamp: Option<Stamp>,
    /// The extent of data last found: `data.start` bytes and more are data up to `data.end`.
    data: Range<u64>,
    /// Whether the file system tells holes.
    sparse: bool,
}

impl Opened {
    fn piece(&mut self, offset: u64, block: usize) -> Option<Piece> {
        let left = self.len.checked_sub(offset).filter(|left| *left > 0)?;
        let len = usize::try_from(left).map_or(block, |left| left.min(block));
        let bytes = if self.is_hole(offset, offset + len as u64) {
            Wanted::Hole(len)
        } else {
            Wanted::Read { file: Arc::clone(&self.file), offset, len }
        };
        Some(Piece { bytes, is_last: len as u64 == left })
    }

    fn is_hole(&mut self, start: u64, end: u64) -> bool {
        if self.sparse && self.stamp.is_some() && start >= self.data.end {
            self.data = match rustix::fs::seek(self.file.as_fd(), Whence::Data(start)) {
                Ok(data) => match rustix::fs::seek(self.file.as_fd(), Whence::Hole(data)) {
                    Ok(hole) => data..hole.max(data + 1),
                    Err(_) => data..u64::MAX,
                },
                // No data from here to the end.
                Err(rustix::io::Errno::NXIO) => self.len..u64::MAX,
                Err(_) => {
                    self.sparse = false;
                    0..0
                }
            };
        }
        self.sparse && self.stamp.is_some() && end <= self.data.start
    }
}

/// What a file system changes when somebody writes to a file.
#[derive(PartialEq, Eq)]
struct Stamp {
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}
