//! A store backend that fails at a chosen operation.
//!
//! Run an operation with the fault at 0, 1, 2, … until it succeeds, and every place where the outside world can
//! say no has been tried.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use chunk_store::line::Version;
use chunk_store::{Backend, Key, Object, PackName, Published, Upload};

/// How an operation fails, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Only the chosen operation fails.
    Once,
    /// The chosen operation fails and all after it.
    FromThenOn,
    /// A write stores half of its bytes and fails, and so does all after it: a disk that is full.
    Torn,
    /// The chosen operation takes place, but its answer is lost: the caller is told that it failed.
    Unanswered,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Once, Self::FromThenOn, Self::Torn, Self::Unanswered];
}

/// A backend where something happens at the `n`-th operation.
pub struct Faulty<'b> {
    inner: &'b dyn Backend,
    at: u64,
    event: Event<'b>,
    operations: AtomicU64,
}

enum Event<'b> {
    Fault(Fault),
    Call(Box<dyn Fn() + Send + Sync + 'b>),
}

/// What an operation is to do.
enum Fate {
    Succeed,
    Fail(io::Error),
    /// Succeed, and say this.
    Deny(io::Error),
}

impl fmt::Debug for Faulty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("inner", &self.inner).field("at", &self.at).finish_non_exhaustive()
    }
}

impl<'b> Faulty<'b> {
    /// `inner`, but operation number `at` (from 0) fails.
    pub fn new(inner: &'b dyn Backend, at: u64, fault: Fault) -> Self {
        Self { inner, at, event: Event::Fault(fault), operations: AtomicU64::new(0) }
    }

    /// `inner`, but `call` is called before operation number `at` (from 0).
    pub fn calling(inner: &'b dyn Backend, at: u64, call: impl Fn() + Send + Sync + 'b) -> Self {
        Self { inner, at, event: Event::Call(Box::new(call)), operations: AtomicU64::new(0) }
    }

    /// Whether the chosen operation was met.
    pub fn was_met(&self) -> bool {
        self.operations.load(Ordering::SeqCst) > self.at
    }

    fn fate(&self) -> Fate {
        let number = self.operations.fetch_add(1, Ordering::SeqCst);
        let error = || io::Error::other(format!("fault at operation {number}"));
        match &self.event {
            Event::Call(call) => {
                if number == self.at {
                    call();
                }
                Fate::Succeed
            }
            Event::Fault(Fault::Unanswered) if number == self.at => Fate::Deny(error()),
            Event::Fault(Fault::Once) if number == self.at => Fate::Fail(error()),
            Event::Fault(Fault::FromThenOn | Fault::Torn) if number >= self.at => Fate::Fail(error()),
            Event::Fault(_) => Fate::Succeed,
        }
    }

    fn run<T>(&self, operation: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.fate() {
            Fate::Succeed => operation(),
            Fate::Fail(error) => Err(error),
            Fate::Deny(error) => operation().and(Err(error)),
        }
    }
}

impl Backend for Faulty<'_> {
    fn create(&self) -> io::Result<Box<dyn Upload + '_>> {
        self.run(|| Ok(Box::new(FaultyUpload { backend: self, inner: self.inner.create()? }) as _))
    }

    fn len(&self, key: &Key) -> io::Result<Option<u64>> {
        self.run(|| self.inner.len(key))
    }

    fn read_at(&self, key: &Key, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.run(|| self.inner.read_at(key, offset, buffer))
    }

    fn open(&self, key: &Key, limit: u64) -> io::Result<Object> {
        self.run(|| self.inner.open(key, limit))
    }

    fn packs(&self) -> io::Result<Vec<(PackName, u64)>> {
        self.run(|| self.inner.packs())
    }

    fn indexes(&self) -> io::Result<Vec<Version>> {
        self.run(|| self.inner.indexes())
    }
}

struct FaultyUpload<'b> {
    backend: &'b Faulty<'b>,
    inner: Box<dyn Upload + 'b>,
}

impl Write for FaultyUpload<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.backend.fate() {
            Fate::Succeed => self.inner.write(bytes),
            Fate::Fail(error) => {
                if matches!(self.backend.event, Event::Fault(Fault::Torn)) {
                    self.inner.write_all(&bytes[..bytes.len() / 2])?;
                }
                Err(error)
            }
            Fate::Deny(error) => self.inner.write(bytes).and(Err(error)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Upload for FaultyUpload<'_> {
    fn replace(self: Box<Self>, key: &Key) -> io::Result<()> {
        self.backend.run(|| self.inner.replace(key))
    }

    fn swap(self: Box<Self>, key: &Key, expected: Option<[u8; 32]>) -> io::Result<Published> {
        self.backend.run(|| self.inner.swap(key, expected))
    }
}
