//! Stdout as a target: a reader may not read for long, and must not keep a signal waiting.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// Longest time between two looks at the wish to stop, for a signal that another thread has taken.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// Bytes that a pipe takes without waiting when it takes any.
const AT_ONCE: usize = 4096;

/// Stdout, written for as long as nobody wishes to stop.
pub(crate) struct Stdout {
    file: File,
    /// Bytes written at a time.
    step: usize,
    stop: Arc<AtomicBool>,
}

impl Stdout {
    /// Stdout, if there is one.
    pub(crate) fn open(stop: Arc<AtomicBool>) -> io::Result<Self> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let kind = file.metadata()?.file_type();
        if is_closed(&file)? {
            return Err(Errno::BADF.into());
        }
        let step = if kind.is_fifo() || kind.is_socket() { AT_ONCE } else { usize::MAX };
        Ok(Self { file, step, stop })
    }
}

/// Whether stdout was closed when the program was started. What starts it then opens `/dev/null` in its place, for
/// reading and writing, lest another file become stdout; who wants the bytes to go there opens it for writing alone.
fn is_closed(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    let null = rustix::fs::makedev(1, 3);
    let is_null = metadata.file_type().is_char_device() && metadata.rdev() == null;
    Ok(is_null && rustix::fs::fcntl_getfl(file)?.contains(OFlags::RDWR))
}

impl Write for Stdout {
    /// Fails when it was wished to stop.
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let part = &buffer[..buffer.len().min(self.step)];
        while !self.stop.load(Ordering::Relaxed) {
            match poll(&mut [PollFd::new(&self.file, PollFlags::OUT)], Some(&PATIENCE)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => match self.file.write(part) {
                    // Somebody else writes to the same pipe and was faster.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    written => return written,
                },
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::other("interrupted"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
