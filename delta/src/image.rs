//! An image that can be read anywhere.

use std::io;

/// Bytes of an image, wherever they lie.
pub trait Image {
    /// Fills `out` with the bytes from `offset` on.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
}

impl Image for [u8] {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        chunk_patch::Base::read_at(self, offset, out)
    }
}

impl<I: Image + ?Sized> Image for &I {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, out)
    }
}
