//! Stdin as an image: a stream that may stay silent for long, and must not keep a signal waiting.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Longest time between two looks at the wish to stop, for a signal that another thread has taken.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Stdin, read for as long as nobody wishes to stop.
pub(crate) struct Stdin {
    file: File,
    stop: Arc<AtomicBool>,
}

impl Stdin {
    /// Stdin without a buffer in between: only the system may hold bytes that are waited for.
    pub(crate) fn open(stop: Arc<AtomicBool>) -> io::Result<Self> {
        Ok(Self { file: File::from(io::stdin().as_fd().try_clone_to_owned()?), stop })
    }
}

impl Read for Stdin {
    /// Ends when it was wished to stop. Whoever wished that asks no more whether the image is whole.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.stop.load(Ordering::Relaxed) {
            let ready = poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&PATIENCE));
            match ready {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => match self.file.read(buffer) {
                    // Somebody else reads the same pipe and was faster.
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    read => return read,
                },
                Err(error) => return Err(error.into()),
            }
        }
        Ok(0)
    }
}
