//! What a server serves.

use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a file that are read at a time: large enough that a thread's wake-up is nothing beside it.
pub(crate) const PIECE: u64 = 128 << 10;

/// What lies where.
pub trait Site: Send + Sync {
    /// The object at `path`, which starts with a slash and is decoded; none if there is none.
    fn find(&self, path: &str) -> io::Result<Option<Arc<dyn Object>>>;
}

/// Something with bytes.
pub trait Object: Send + Sync {
    /// How many bytes.
    fn size(&self) -> u64;

    /// What changes whenever the bytes do, without quotes.
    fn tag(&self) -> &str;

    /// How long it may be kept without asking.
    fn lifetime(&self) -> Lifetime;

    /// How many bytes are best read at a time, from multiples of it on.
    fn piece(&self) -> u64 {
        PIECE
    }

    /// Reads exactly `range`, no more than a piece; called from a thread that may block.
    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>>;
}

/// How long somebody may keep an object without asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// For ever: the name says the content.
    Immutable,
    /// Not at all: it may have changed.
    Revalidate,
}
