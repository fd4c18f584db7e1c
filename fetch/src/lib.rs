//! Bytes from a store, near or far.
//!
//! A [`Source`] reads ranges of objects by their path relative to the index: `packs/….pack` beside it. What the
//! bytes mean is nobody's business here; they are believed only after their hash has been checked above.
//! [`HttpSource`] reads from web servers, with all that these are known to do; [`CachedSource`] keeps what was read
//! for the next time. [`join`] decides which ranges are worth one request together.

mod cache;
mod directory;
mod error;
#[cfg(feature = "http")]
pub mod http;
mod join;
mod speed;

pub use cache::CachedSource;
pub use directory::DirectorySource;
pub use error::{FetchError, FetchErrorKind, RedirectRefused, Trouble, WrongAnswer};
#[cfg(feature = "http")]
pub use http::HttpSource;
pub use join::{Request, join};
pub use speed::Speed;

use std::ops::Range;

/// Where objects of a store are read from.
///
/// Many threads may read at once; each call blocks until it has its bytes or gives up. How often to ask again,
/// and whom, is the source's own business.
pub trait Source: Send + Sync {
    /// Reads exactly `range` of `object` into `buffer`, which is cleared first.
    ///
    /// An answer that is longer or shorter than asked for is an error, whatever the server calls it.
    fn read(&self, object: &str, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), FetchError>;

    /// Reads `range` of `object` once more, after `doubt` earlier answers have turned out to be wrong bytes. After none it
    /// is [`Source::read`].
    ///
    /// A source that has a choice asks past caches first and elsewhere next.
    fn read_again(
        &self,
        object: &str,
        range: Range<u64>,
        doubt: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<(), FetchError> {
        let _ = doubt;
        self.read(object, range, buffer)
    }

    /// Reads the first `at_most` bytes of `object`, or all of it if it is shorter, into `buffer`, which is
    /// cleared first. Returns the length of the whole object.
    fn open(&self, object: &str, at_most: u64, buffer: &mut Vec<u8>) -> Result<u64, FetchError>;

    /// Opens `object` once more, after `doubt` earlier answers have turned out to be wrong bytes. After none it is
    /// [`Source::open`].
    ///
    /// A source that has a choice asks past caches first and elsewhere next.
    fn open_again(
        &self,
        object: &str,
        at_most: u64,
        doubt: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<u64, FetchError> {
        let _ = doubt;
        self.open(object, at_most, buffer)
    }

    /// Where `object` was last read from, for messages: a URL or a path without anything secret.
    fn locate(&self, object: &str) -> String {
        object.to_owned()
    }

    /// Forgets what is kept of `object`: what it gave has turned out wrong, and was no range that can be asked for again.
    fn forget(&self, object: &str) {
        let _ = object;
    }

    /// How many bytes of `ranges` of `object` are kept from earlier, so that reading them costs nothing.
    fn kept(&self, object: &str, ranges: &[Range<u64>]) -> u64 {
        let _ = (object, ranges);
        0
    }

    /// What reading has cost so far.
    fn spent(&self) -> Spent {
        Spent::default()
    }

    /// What the way to the store has been like so far, if there is one and enough has come over it to tell.
    fn speed(&self) -> Option<Speed> {
        None
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn read(&self, object: &str, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), FetchError> {
        (**self).read(object, range, buffer)
    }

    fn read_again(
        &self,
        object: &str,
        range: Range<u64>,
        doubt: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<(), FetchError> {
        (**self).read_again(object, range, doubt, buffer)
    }

    fn open(&self, object: &str, at_most: u64, buffer: &mut Vec<u8>) -> Result<u64, FetchError> {
        (**self).open(object, at_most, buffer)
    }

    fn open_again(
        &self,
        object: &str,
        at_most: u64,
        doubt: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<u64, FetchError> {
        (**self).open_again(object, at_most, doubt, buffer)
    }

    fn locate(&self, object: &str) -> String {
        (**self).locate(object)
    }

    fn forget(&self, object: &str) {
        (**self).forget(object);
    }

    fn kept(&self, object: &str, ranges: &[Range<u64>]) -> u64 {
        (**self).kept(object, ranges)
    }

    fn spent(&self) -> Spent {
        (**self).spent()
    }

    fn speed(&self) -> Option<Speed> {
        (**self).speed()
    }
}

/// What reading from a source has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Bytes received, wanted or not.
    pub bytes: u64,
    /// Requests sent, with those that had to be repeated.
    pub requests: u64,
    /// Requests that had to be repeated.
    pub retries: u64,
    /// Bytes that were kept from earlier, and therefore neither asked for nor received.
    pub cached: u64,
}
