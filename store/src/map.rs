//! Files that are mapped instead of read: the one place of this crate that needs `unsafe`.
//!
//! Only files of the store are mapped, and only those that nobody changes: each is written under another name
//! and renamed when it is complete, and a replaced one lives on while it is mapped. Should somebody cut one
//! short all the same, the process dies and the store, whose objects appear whole, stays as it was. Images and
//! seeds, which do change while they are read, are never mapped.

#![expect(
    unsafe_code,
    reason = "mapping a file is unsafe; the module's documentation says why it is sound here"
)]

use std::fs::File;
use std::io;

use memmap2::Mmap;

/// Maps a whole file of the store.
pub(crate) fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the file is one of the store's, which are never changed in place.
    unsafe { Mmap::map(file) }
}
