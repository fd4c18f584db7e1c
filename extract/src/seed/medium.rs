//! Reading what a medium holds, not what the system keeps of it in memory.
//!
//! As long as anybody has a device open, its pages stay, whatever has become of the medium since. So they are dropped,
//! and what is read then passes them by where the file system lets it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use rustix::fs::OFlags;

/// What addresses, offsets and lengths of such reads must be multiples of, on any medium.
const ALIGNMENT: u64 = 4096;

/// A file whose bytes are read from the medium.
#[derive(Debug)]
pub(super) struct Medium(File);

impl Medium {
    /// Opens `file` anew to be read so; none where that is not possible.
    pub(super) fn of(file: &File) -> Option<Self> {
        let flags = i32::try_from((OFlags::DIRECT | OFlags::NONBLOCK).bits()).ok()?;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        OpenOptions::new().read(true).custom_flags(flags).open(path).ok().map(Self)
    }

    /// Fills `buffer` with what is at `offset`.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = offset / ALIGNMENT * ALIGNMENT;
        let ahead = usize::try_from(offset - start).map_err(io::Error::other)?;
        let needed = ahead + buffer.len();
        let alignment = usize::try_from(ALIGNMENT).map_err(io::Error::other)?;
        let len = needed.next_multiple_of(alignment);
        let mut room = vec![0; len + alignment];
        let first = room.as_ptr().align_offset(alignment);
        let pages = room.get_mut(first..first + len).ok_or(io::ErrorKind::Unsupported)?;
        let mut read = 0;
        while read < needed {
            match self.0.read_at(&mut pages[read..], start + read as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.copy_from_slice(&pages[ahead..needed]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn any_part_of_a_file_is_read_as_it_is() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        let bytes: Vec<u8> = (0..=250).cycle().take(20_000).collect();
        file.write_all(&bytes).expect("written");
        file.as_file().sync_all().expect("synced");
        let Some(medium) = Medium::of(file.as_file()) else { return };
        for range in [0..20_000, 0..1, 4095..4097, 4096..8192, 12_345..20_000, 19_999..20_000] {
            let mut buffer = vec![0; range.len()];
            medium.read(range.start as u64, &mut buffer).expect("readable");
            assert!(buffer == bytes[range.clone()], "{range:?}");
        }
        let error = medium.read(19_000, &mut [0; 2000]).expect_err("it ends before that");
        assert!(
            matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput),
            "{error}"
        );
    }
}
