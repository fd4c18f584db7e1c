//! Bytes from a store, near or far.
//!
//! A [`Source`] reads ranges of objects by their path relative to the index: `packs/….pack` beside it. What the
//! bytes mean is nobody's business here; they are believed only after their hash has been checked above.
//! [`join`] decides which ranges are worth one request together.

mod directory;
mod error;
mod join;

pub use directory::DirectorySource;
pub use error::{FetchError, FetchErrorKind};
pub use join::{Request, join};

use std::ops::Range;

/// Where objects of a store are read from.
pub trait Source: Send + Sync {
    /// Reads exactly `range` of `object` into `buffer`, which is cleared first.
    ///
    /// An answer that is longer or shorter than asked for is an error, whatever the server calls it.
    fn read(&self, object: &str, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), FetchError>;
}
