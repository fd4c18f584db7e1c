//! A bound on what is downloaded, whatever turns out not to be as it was planned.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use chunk_fetch::{FetchError, FetchErrorKind, Source, Speed, Spent};

use crate::job::ExtractError;

/// A source that gives no more than so many bytes of packs and patches. What plans are made of is counted, too, but
/// given in any case: a plan tells how much it would be.
pub(crate) struct Capped<'a> {
    inner: &'a dyn Source,
    allowed: u64,
    given: AtomicU64,
    /// How many bytes it would have been, once it was too much.
    refused: AtomicU64,
}

impl<'a> Capped<'a> {
    pub(crate) fn new(inner: &'a dyn Source, allowed: u64) -> Self {
        Self { inner, allowed, given: AtomicU64::new(0), refused: AtomicU64::new(0) }
    }

    /// What is told of a run that ended in `error`: that too much was wanted, if something was refused.
    pub(crate) fn explain(&self, error: ExtractError) -> ExtractError {
        match (error, self.refused.load(Ordering::Relaxed)) {
            (error @ ExtractError::TooMuch { .. }, _) | (error, 0) => error,
            (_, needed) => ExtractError::TooMuch { needed, allowed: self.allowed },
        }
    }

    fn give(&self, object: &str, range: Range<u64>) -> Result<(), FetchError> {
        let len = range.end.saturating_sub(range.start);
        let given = self.given.fetch_add(len, Ordering::Relaxed).saturating_add(len);
        let is_bulk = object.starts_with("packs/") || object.starts_with("patches/");
        if given <= self.allowed || !is_bulk {
            return Ok(());
        }
        self.refused.fetch_max(given, Ordering::Relaxed);
        Err(FetchError { location: object.to_owned(), range, kind: FetchErrorKind::Cancelled })
    }
}

impl Source for Capped<'_> {
    fn read(&self, object: &str, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), FetchError> {
        self.give(object, range.clone())?;
        self.inner.read(object, range, buffer)
    }

    fn read_again(
        &self,
        object: &str,
        range: Range<u64>,
        doubt: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<(), FetchError> {
        self.give(object, range.clone())?;
        self.inner.read_again(object, range, doubt, buffer)
    }

    fn open(&self, object: &str, at_most: u64, buffer: &mut Vec<u8>) -> Result<u64, FetchError> {
        let len = self.inner.open(object, at_most, buffer)?;
        self.given.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        Ok(len)
    }

    fn open_again(
        &self,
        object: &str,
        at_most: u64,
        doubt: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<u64, FetchError> {
        let len = self.inner.open_again(object, at_most, doubt, buffer)?;
        self.given.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        Ok(len)
    }

    fn locate(&self, object: &str) -> String {
        self.inner.locate(object)
    }

    fn forget(&self, object: &str) {
        self.inner.forget(object);
    }

    fn spent(&self) -> Spent {
        self.inner.spent()
    }

    fn speed(&self) -> Option<Speed> {
        self.inner.speed()
    }
}
