//! Seeds: whatever the device already holds.
//!
//! A seed is an address space of bytes that may change, shrink or fail under our hands. It is read with
//! `pread` and never mapped, and nothing in it is believed: its chunks are found by a scan or by an index that
//! may be wrong, and checked in the buffer from which they are written.

mod directory;
mod medium;
mod mended;
mod scan;
mod sparse;
mod store;
mod window;

pub use directory::Directory;
pub(crate) use mended::Mended;
pub(crate) use scan::{Found, Scan};
pub use store::StoreSeed;
pub use window::{Identity, Window};

use std::io;
use std::ops::Range;

/// Smallest piece that may be unreadable.
const SECTOR: u64 = 4096;

/// Something that holds bytes of the image, perhaps.
#[derive(Debug)]
pub struct Seed {
    /// What reports call it.
    pub name: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Window(Window),
    Directory(Directory),
    Store(Box<StoreSeed>),
    Mended(Mended),
}

impl Seed {
    /// A part of a file or device.
    pub fn window(name: String, window: Window) -> Self {
        Self { name, kind: Kind::Window(window) }
    }

    /// The files below a directory.
    pub fn directory(name: String, directory: Directory) -> Self {
        Self { name, kind: Kind::Directory(directory) }
    }

    /// An image in a store.
    pub fn store(name: String, store: StoreSeed) -> Self {
        Self { name, kind: Kind::Store(Box::new(store)) }
    }

    /// What a part of a file or device once was.
    pub(crate) fn mended(name: String, mended: Mended) -> Self {
        Self { name, kind: Kind::Mended(mended) }
    }

    /// Bytes of the whole address space.
    pub fn size(&self) -> u64 {
        match &self.kind {
            Kind::Window(window) => window.size(),
            Kind::Directory(directory) => directory.size(),
            Kind::Store(store) => store.size(),
            Kind::Mended(mended) => mended.size(),
        }
    }

    /// Reads exactly `buffer.len()` bytes at `offset`.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match &self.kind {
            Kind::Window(window) => window.read(offset, buffer),
            Kind::Directory(directory) => directory.read(offset, buffer),
            Kind::Store(store) => store.read(offset, buffer),
            Kind::Mended(mended) => mended.read(offset, buffer),
        }
    }

    /// Reads what can be read of `buffer.len()` bytes at `offset`, and leaves the rest of `buffer` as it is.
    pub(crate) fn read_readable(&self, offset: u64, buffer: &mut [u8]) {
        if self.read(offset, buffer).is_ok() || self.as_store().is_some() {
            return;
        }
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let len = usize::try_from(SECTOR - at % SECTOR).map_or(rest.len(), |len| len.min(rest.len()));
            let (sector, behind) = rest.split_at_mut(len);
            let _ = self.read_near_error(at, sector);
            at += len as u64;
            rest = behind;
        }
    }

    /// Reads bytes near others that cannot be read.
    fn read_near_error(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match &self.kind {
            Kind::Window(window) => window.read_near_error(offset, buffer),
            Kind::Directory(_) | Kind::Store(_) | Kind::Mended(_) => self.read(offset, buffer),
        }
    }

    /// Which file or device it is, if it is one.
    pub fn identity(&self) -> Option<Identity> {
        match &self.kind {
            Kind::Window(window) => Some(window.identity()),
            _ => None,
        }
    }

    /// The part of a file or device that this seed is, if it is one.
    pub(crate) fn as_window(&self) -> Option<&Window> {
        match &self.kind {
            Kind::Window(window) => Some(window),
            _ => None,
        }
    }

    /// The store that this seed is, if it is one: it needs no scan.
    pub fn as_store(&self) -> Option<&StoreSeed> {
        match &self.kind {
            Kind::Store(store) => Some(store),
            _ => None,
        }
    }

    /// The file that this seed is, and where in it `offset` lies: what a file system may share.
    pub(crate) fn file_at(&self, offset: u64) -> Option<(&std::fs::File, u64)> {
        match &self.kind {
            Kind::Window(window) if window.is_regular() => Some((window.file(), window.start() + offset)),
            _ => None,
        }
    }

    /// The parts worth scanning, in order: everything but known holes. None of them runs across two files.
    pub fn extents(&self) -> Vec<Range<u64>> {
        match &self.kind {
            Kind::Window(window) => window.extents(),
            Kind::Directory(directory) => directory.extents(),
            Kind::Store(_) | Kind::Mended(_) => Vec::new(),
        }
    }
}
