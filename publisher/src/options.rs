//! What a publisher may choose. None of it changes what a reader must be able to do.

use std::path::PathBuf;

use chunk_chunker::{Params, ParamsError};

use crate::patches::Patching;

/// How images are cut, compressed and packed.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where chunks end. Versions cut with other parameters share nothing with those cut so.
    pub params: Params,
    /// zstd's level for new frames.
    pub level: i32,
    /// Plain bytes after which a frame is closed.
    pub frame_len: u32,
    /// Longest pack.
    pub pack_len: u32,
    /// Worker threads; none for one on each processor.
    pub jobs: Option<usize>,
    /// Whether records carry the image's SHA-256 too, for updaters that ask for it. It is the one step that
    /// cannot be spread over processors.
    pub sha256: bool,
    /// The patches that lead to a new version; none for none.
    pub patches: Option<Patching>,
    /// Where to keep what does not fit in memory while an image is read.
    pub scratch: PathBuf,
    /// Where to keep the lookup tables; none keeps them in memory.
    pub lookup: Option<PathBuf>,
}

/// zstd's level unless told otherwise.
pub const DEFAULT_LEVEL: i32 = 6;
/// Plain bytes of a frame unless told otherwise.
pub const DEFAULT_FRAME_LEN: u32 = 512 << 10;
/// Bytes of a pack unless told otherwise.
pub const DEFAULT_PACK_LEN: u32 = 32 << 20;

impl Options {
    /// The defaults, for a store in `root`.
    pub fn for_directory(store: &chunk_store::Directory) -> Self {
        Self { lookup: Some(store.lookup()), ..Self::with_scratch(store.root().join("tmp")) }
    }

    /// The defaults, with temporary files in `scratch` and the lookup in memory.
    pub fn with_scratch(scratch: PathBuf) -> Self {
        Self {
            params: Params::DEFAULT,
            level: DEFAULT_LEVEL,
            frame_len: DEFAULT_FRAME_LEN,
            pack_len: DEFAULT_PACK_LEN,
            jobs: None,
            sha256: false,
            patches: None,
            scratch,
            lookup: None,
        }
    }
}

/// The parameters that this crate recommends for chunks of about `avg` bytes, a power of two.
pub fn cut_around(avg: u32) -> Result<Params, ParamsError> {
    Params::new(avg / 4, avg, avg.saturating_mul(8).min(Params::LARGEST_MAX), Params::DEFAULT.level())
}
