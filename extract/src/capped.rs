//! A bound on what is downloaded, whatever turns out not to be as it was planned.

use std::ops::Range;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};

use chunk_fetch::{FetchError, FetchErrorKind, Source, Speed, Spent};

use crate::job::ExtractError;

/// A source that gives no more than so many bytes of packs and patches, those that are kept from earlier not counted. What
/// plans are made of is counted, too, but given in any case: a plan tells how much it would be.
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

    /// How much of a range is not received because it is kept. What is in doubt is not taken from there.
    fn kept_unless(&self, doubt: u32, object: &str, range: &Range<u64>) -> u64 {
        if doubt == 0 { self.inner.kept(object, slice::from_ref(range)) } else { 0 }
    }

    fn give(&self, object: &str, range: Range<u64>, kept: u64) -> Result<(), FetchError> {
        let len = range.end.saturating_sub(range.start).saturating_sub(kept);
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
        self.read_again(object, range, 0, buffer)
    }

    fn read_again(
        &self,
        object: &str,
        range: Range<u64>,
        doubt: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<(), FetchError> {
        let kept = self.kept_unless(doubt, object, &range);
        self.give(object, range.clone(), kept)?;
        self.inner.read_again(object, range, doubt, buffer)
    }

    fn open(&self, object: &str, at_most: u64, buffer: &mut Vec<u8>) -> Result<u64, FetchError> {
        self.open_again(object, at_most, 0, buffer)
    }

    fn open_again(
        &self,
        object: &str,
        at_most: u64,
        doubt: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<u64, FetchError> {
        let kept = self.kept_unless(doubt, object, &(0..at_most));
        let len = self.inner.open_again(object, at_most, doubt, buffer)?;
        self.given.fetch_add((buffer.len() as u64).saturating_sub(kept), Ordering::Relaxed);
        Ok(len)
    }

    fn locate(&self, object: &str) -> String {
        self.inner.locate(object)
    }

    fn forget(&self, object: &str) {
        self.inner.forget(object);
    }

    fn kept(&self, object: &str, ranges: &[Range<u64>]) -> u64 {
        self.inner.kept(object, ranges)
    }

    fn spent(&self) -> Spent {
        self.inner.spent()
    }

    fn speed(&self) -> Option<Speed> {
        self.inner.speed()
    }
}
