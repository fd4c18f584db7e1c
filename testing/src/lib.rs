//! A store backend that fails at a chosen operation.
//!
//! Run an operation with the fault at 0, 1, 2, … until it succeeds, and every place where the outside world can
//! say no has been tried.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use chunk_store::line::Version;
use chunk_store::{Backend, Key, Object, PackName, Published, Upload};

/// How long a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Only the chosen operation fails.
    Once,
    /// The chosen operation fails and all after it.
    FromThenOn,
    /// A write stores half of its bytes and fails, and so does all after it: a disk that is full.
    Torn,
}

/// A backend that fails at its `n`-th operation.
#[derive(Debug)]
pub struct Faulty<'b> {
    inner: &'b dyn Backend,
    fault: Fault,
    at: u64,
    operations: AtomicU64,
}

impl<'b> Faulty<'b> {
    /// `inner`, but operation number `at` (from 0) fails.
    pub fn new(inner: &'b dyn Backend, at: u64, fault: Fault) -> Self {
        Self { inner, fault, at, operations: AtomicU64::new(0) }
    }

    /// Whether the fault was met.
    pub fn has_failed(&self) -> bool {
        self.operations.load(Ordering::SeqCst) > self.at
    }

    fn step(&self) -> io::Result<()> {
        let number = self.operations.fetch_add(1, Ordering::SeqCst);
        let fails = match self.fault {
            Fault::Once => number == self.at,
            Fault::FromThenOn | Fault::Torn => number >= self.at,
        };
        if fails { Err(io::Error::other(format!("fault at operation {number}"))) } else { Ok(()) }
    }
}

impl Backend for Faulty<'_> {
    fn create(&self) -> io::Result<Box<dyn Upload + '_>> {
        self.step()?;
        Ok(Box::new(FaultyUpload { backend: self, inner: self.inner.create()? }))
    }

    fn len(&self, key: &Key) -> io::Result<Option<u64>> {
        self.step()?;
        self.inner.len(key)
    }

    fn read_at(&self, key: &Key, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.step()?;
        self.inner.read_at(key, offset, buffer)
    }

    fn open(&self, key: &Key, limit: u64) -> io::Result<Object> {
        self.step()?;
        self.inner.open(key, limit)
    }

    fn packs(&self) -> io::Result<Vec<(PackName, u64)>> {
        self.step()?;
        self.inner.packs()
    }

    fn indexes(&self) -> io::Result<Vec<Version>> {
        self.step()?;
        self.inner.indexes()
    }
}

struct FaultyUpload<'b> {
    backend: &'b Faulty<'b>,
    inner: Box<dyn Upload + 'b>,
}

impl Write for FaultyUpload<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.backend.step() {
            if self.backend.fault == Fault::Torn {
                self.inner.write_all(&bytes[..bytes.len() / 2])?;
            }
            return Err(error);
        }
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Upload for FaultyUpload<'_> {
    fn replace(self: Box<Self>, key: &Key) -> io::Result<()> {
        self.backend.step()?;
        self.inner.replace(key)
    }

    fn swap(self: Box<Self>, key: &Key, expected: Option<[u8; 32]>) -> io::Result<Published> {
        self.backend.step()?;
        self.inner.swap(key, expected)
    }
}
