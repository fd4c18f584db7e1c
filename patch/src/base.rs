//! The bytes a patch starts from, read wherever they lie.

use std::io;

/// The base of a group: a byte string of known length that can be read anywhere.
///
/// A decoder reads pieces in no particular order, some of them more than once, and never keeps the whole, so the base may
/// be ranges of a block device joined together.
pub trait Base {
    /// Number of bytes.
    fn len(&self) -> u64;

    /// Fills `out` with the bytes from `offset` on. A decoder asks for nothing beyond [`Base::len`].
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Whether there is no byte at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Base for [u8] {
    fn len(&self) -> u64 {
        u64::try_from(<[u8]>::len(self)).expect("no slice is longer than 2^64")
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let beyond = || io::Error::new(io::ErrorKind::UnexpectedEof, "read beyond the end of the base");
        let start = usize::try_from(offset).map_err(|_| beyond())?;
        let end = start.checked_add(out.len()).ok_or_else(beyond)?;
        out.copy_from_slice(self.get(start..end).ok_or_else(beyond)?);
        Ok(())
    }
}
