//! Where a store's objects lie, behind a trait small enough for a directory and for an object store.
//!
//! An object appears whole or not at all. Packs and patches are named by content and may be replaced by themselves; the
//! indexes are what writers could quarrel about, so they appear only by comparing and swapping.

mod directory;

pub use directory::Directory;

use std::fmt;
use std::io;

use chunk_chunker::Name;

use crate::line::Version;
use crate::pack::PackName;

/// The name of an object in a store (FORMAT 6).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A pack.
    Pack(PackName),
    /// A patch, by the BLAKE3 of its bytes.
    Patch([u8; 32]),
    /// An index: of one version, or the newest of a line.
    Index(Version),
}

impl Key {
    /// The key of a pack.
    pub fn pack(name: &PackName) -> Self {
        Self::Pack(*name)
    }

    /// Where the object lies, relative to the store.
    pub fn path(&self) -> String {
        match self {
            Self::Pack(name) => format!("packs/{name}.pack"),
            Self::Patch(name) => format!("patches/{}.patch", Name::from_bytes(*name)),
            Self::Index(version) => version.file_name(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

/// What became of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Published {
    /// The object is there now, and durable.
    Done,
    /// Another object was there than the writer expected; nothing changed.
    Conflict,
}

/// An object that is being written. Nobody sees it, and dropping it leaves nothing.
pub trait Upload: io::Write + Send {
    /// Makes the object durable and visible as `key`, whatever was there.
    fn replace(self: Box<Self>, key: &Key) -> io::Result<()>;

    /// Makes the object durable and visible as `key` if what is there now has the BLAKE3 `expected`; none
    /// expects that nothing is there.
    fn swap(self: Box<Self>, key: &Key, expected: Option<[u8; 32]>) -> io::Result<Published>;
}

/// The bytes of an object, read or mapped.
#[derive(Debug)]
pub struct Object(Content);

#[derive(Debug)]
enum Content {
    Read(Vec<u8>),
    Mapped(memmap2::Mmap),
}

impl AsRef<[u8]> for Object {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Content::Read(bytes) => bytes,
            Content::Mapped(map) => map,
        }
    }
}

/// The objects of a store.
pub trait Backend: Send + Sync + fmt::Debug {
    /// Starts an object whose name is decided at its end.
    fn create(&self) -> io::Result<Box<dyn Upload + '_>>;

    /// Length of an object; none if there is no such object.
    fn len(&self, key: &Key) -> io::Result<Option<u64>>;

    /// Fills `buffer` from `offset` on; an error if the object ends before.
    fn read_at(&self, key: &Key, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// All packs with their lengths, ascending by name.
    fn packs(&self) -> io::Result<Vec<(PackName, u64)>>;

    /// All indexes, ascending by name.
    fn indexes(&self) -> io::Result<Vec<Version>>;

    /// A whole object of at most `limit` bytes.
    fn open(&self, key: &Key, limit: u64) -> io::Result<Object> {
        let Some(len) = self.len(key)? else {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{key} is not in the store")));
        };
        check_len(key, len, limit)?;
        let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        self.read_at(key, 0, &mut bytes)?;
        Ok(Object(Content::Read(bytes)))
    }
}

fn check_len(key: &Key, len: u64, limit: u64) -> io::Result<()> {
    if len <= limit {
        return Ok(());
    }
    let message = format!("{key} has {len} bytes, more than the {limit} allowed");
    Err(io::Error::new(io::ErrorKind::FileTooLarge, message))
}
