//! Patches: what leads from versions that devices have to a version that is published (FORMAT 8).
//!
//! Both images are read from the store, so a patch needs no old file. A patch is durable before an index names it,
//! and it is published only if it costs a device less than the frames that it lacks.

mod bases;
mod encode;
mod image;
mod make;
mod restore;
mod ways;
mod worth;

pub use make::{Made, NoPatch};

use chunk_store::line::Version;

pub(crate) use bases::ruler;
pub(crate) use image::StoredImage;
pub(crate) use make::Maker;
pub(crate) use ways::Steps;
pub(crate) use worth::Worth;

/// How hard to try unless told otherwise, on the scale of zstd's levels.
pub const DEFAULT_PATCH_LEVEL: u8 = 9;

/// Which patches lead to a new version, and how hard to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patching {
    /// On the scale of zstd's levels, 1–22.
    pub level: u8,
    /// Whether it is patched from the last release and from those 2^k back for every 2^k that divides how many come before
    /// it: from any release, the line's newest is then at most some 2·log2 patches away.
    pub ruler: bool,
    /// Other versions of the store that it is patched from.
    pub from: Vec<Version>,
}

impl Default for Patching {
    fn default() -> Self {
        Self { level: DEFAULT_PATCH_LEVEL, ruler: true, from: Vec::new() }
    }
}
