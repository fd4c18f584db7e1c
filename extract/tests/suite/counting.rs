//! A source that counts what is read from it, and may be told to misbehave.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use chunk_fetch::{DirectorySource, FetchError, Source, Speed};

/// A store in a directory, and what was read of it.
#[derive(Debug)]
pub(crate) struct Counting {
    inner: DirectorySource,
    bytes: AtomicU64,
    requests: AtomicU64,
    pack_requests: AtomicU64,
    /// So many of the first answers from packs have a bit flipped.
    wrong: AtomicU64,
    speed: Option<Speed>,
}

impl Counting {
    pub(crate) fn new(root: &Path) -> Self {
        let [bytes, requests, pack_requests, wrong] = [0; 4].map(AtomicU64::new);
        Self { inner: DirectorySource::new(root), bytes, requests, pack_requests, wrong, speed: None }
    }

    /// The same, but so many of the first answers from packs are wrong.
    pub(crate) fn lying(root: &Path, times: u64) -> Self {
        Self { wrong: AtomicU64::new(times), ..Self::new(root) }
    }

    /// The same, as if it had been measured to be so far away.
    pub(crate) fn with_speed(self, speed: Speed) -> Self {
        Self { speed: Some(speed), ..self }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn pack_requests(&self) -> u64 {
        self.pack_requests.load(Ordering::SeqCst)
    }

    fn count(&self, object: &str, bytes: &[u8]) {
        self.bytes.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.pack_requests.fetch_add(u64::from(object.starts_with("packs/")), Ordering::SeqCst);
    }
}

impl Source for Counting {
    fn read(&self, object: &str, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), FetchError> {
        self.inner.read(object, range, buffer)?;
        self.count(object, buffer);
        let one_less = |left: u64| left.checked_sub(1);
        if object.starts_with("packs/")
            && self.wrong.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
        {
            let middle = buffer.len() / 2;
            buffer[middle] ^= 1;
        }
        Ok(())
    }

    fn open(&self, object: &str, at_most: u64, buffer: &mut Vec<u8>) -> Result<u64, FetchError> {
        let len = self.inner.open(object, at_most, buffer)?;
        self.count(object, buffer);
        Ok(len)
    }

    fn speed(&self) -> Option<Speed> {
        self.speed
    }
}
