//! The file: header, script, block hashes, groups (FORMAT 8).

mod error;
mod header;
mod number;
mod patch;
mod script;

pub use error::PatchError;
pub use patch::{Group, Origin, Patch, Piece};
pub use script::Stream;

pub(crate) use header::Header;
pub(crate) use script::{BlockRun, GroupLine, Kind, Op, Script, comparable};

/// Bytes of an image that ranges of a base are counted in.
pub(crate) const UNIT: u64 = 4096;
/// Longest script, stored or plain.
pub(crate) const SCRIPT_LIMIT: u32 = 1 << 24;
/// Longest image.
pub(crate) const IMAGE_LIMIT: u64 = 1 << 48;
/// What a stored group may be longer than its target.
pub(crate) const GROUP_MARGIN: u64 = 1 << 16;

/// The length of something that is in memory.
pub(crate) fn length<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}
