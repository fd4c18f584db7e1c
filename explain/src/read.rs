//! Reading images: any bytes of them, a few at a time, and numbers out of the bytes.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

/// Bytes that are read at once.
const WINDOW: u64 = 1 << 20;
/// Windows that are kept.
const KEPT: usize = 16;

/// An image, or anything else whose bytes can be read in any order.
#[expect(clippy::len_without_is_empty, reason = "an image without bytes is as good as any")]
pub trait ReadAt {
    /// Bytes it has.
    fn len(&self) -> u64;

    /// Fills `buffer` with the bytes from `offset` on, all of which must be there.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// A file or device of known length.
#[derive(Debug)]
pub struct FileImage {
    /// The file.
    pub file: File,
    /// Bytes it has; the metadata of a device would not tell.
    pub len: u64,
}

impl ReadAt for FileImage {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}

/// An image of which the parts read last are kept, at most 16 MiB: metadata is read in small steps.
///
/// Parts are aligned to 1 MiB, so that an image in a store rebuilds each of its blocks once.
pub(crate) struct Cached<'a> {
    image: &'a mut dyn ReadAt,
    windows: VecDeque<(u64, Vec<u8>)>,
}

impl std::fmt::Debug for Cached<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cached").field("len", &self.image.len()).finish_non_exhaustive()
    }
}

impl<'a> Cached<'a> {
    /// Reads `image`.
    pub(crate) fn new(image: &'a mut dyn ReadAt) -> Self {
        Self { image, windows: VecDeque::new() }
    }

    /// Bytes the image has.
    pub(crate) fn len(&self) -> u64 {
        self.image.len()
    }

    /// The bytes of `range`; `None` if it is not inside of the image.
    pub(crate) fn get(&mut self, range: Range<u64>) -> io::Result<Option<Vec<u8>>> {
        if range.start > range.end || range.end > self.len() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let first = at / WINDOW * WINDOW;
            let window = self.window(first)?;
            let skipped = in_memory(at.saturating_sub(first));
            let wanted = in_memory(range.end.saturating_sub(at));
            let part = window.get(skipped..).unwrap_or_default();
            let part = part.get(..wanted).unwrap_or(part);
            bytes.extend_from_slice(part);
            at = at.saturating_add(part.len() as u64);
        }
        Ok(Some(bytes))
    }

    fn window(&mut self, first: u64) -> io::Result<&[u8]> {
        let kept = self.windows.iter().position(|(start, _)| *start == first);
        let window = if let Some(window) = kept.and_then(|at| self.windows.remove(at)) {
            window
        } else {
            let reused = if self.windows.len() < KEPT { None } else { self.windows.pop_back() };
            let mut bytes = reused.map(|(_, bytes)| bytes).unwrap_or_default();
            bytes.resize(in_memory(self.len().saturating_sub(first).min(WINDOW)), 0);
            self.image.read_at(first, &mut bytes)?;
            (first, bytes)
        };
        self.windows.push_front(window);
        Ok(self.windows.front().map(|(_, bytes)| bytes.as_slice()).unwrap_or_default())
    }
}

/// Part of an image that holds a file system: all of it, or a partition.
#[derive(Debug)]
pub(crate) struct Volume<'v, 'a> {
    image: &'v mut Cached<'a>,
    range: Range<u64>,
}

impl<'v, 'a> Volume<'v, 'a> {
    /// The part at `range`, which must be inside of the image.
    pub(crate) fn new(image: &'v mut Cached<'a>, range: Range<u64>) -> Self {
        Self { image, range }
    }

    pub(crate) fn len(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// `len` bytes at `at`; `None` if the volume does not have them all.
    pub(crate) fn get(&mut self, at: u64, len: u64) -> io::Result<Option<Vec<u8>>> {
        match self.place(at, len) {
            Some(place) => self.image.get(place),
            None => Ok(None),
        }
    }

    /// Where in the image `len` bytes at `at` lie; `None` if the volume does not have them all.
    pub(crate) fn place(&self, at: u64, len: u64) -> Option<Range<u64>> {
        let end = at.checked_add(len).filter(|end| *end <= self.len())?;
        Some(self.range.start.saturating_add(at)..self.range.start.saturating_add(end))
    }
}

/// Little-endian numbers of a record that may be shorter than it should.
pub(crate) trait Fields {
    fn field<const N: usize>(&self, at: usize) -> Option<[u8; N]>;

    fn u8(&self, at: usize) -> Option<u8> {
        self.field::<1>(at).map(|[byte]| byte)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.field(at).map(u16::from_le_bytes)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.field(at).map(u32::from_le_bytes)
    }

    fn u64(&self, at: usize) -> Option<u64> {
        self.field(at).map(u64::from_le_bytes)
    }
}

impl Fields for [u8] {
    fn field<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.get(at..)?.first_chunk().copied()
    }
}

/// A length that is in memory, or is read into it in parts of at most a window.
pub(crate) fn in_memory(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
