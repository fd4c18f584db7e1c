//! Turns an image into a published version of a store.
//!
//! ```text
//! image ─ blocks ─┬─ read, hash, scan ─┬─ lines ─┬─ name ─┬─ pack ─ frames ─ packs
//!                 └─ on all cores      │         └─ cores ┘   └─ compress on all cores
//!                                      └──────────────── in image order ──────────────── index
//! ```
//! Every byte is read once. Results are taken in image order whoever computed them, so the same image, options
//! and store, its lookup tables included, give the same bytes for any number of threads. Memory goes with the
//! number of threads, but not for ever, and far less with the image: 33 bytes for each MiB of
//! it, about a byte for each chunk of its tree, 8 for each chunk of the version before up to 64 MiB. Packs are
//! durable before the index that names them appears.

mod audit;
mod block;
mod compressing;
mod cutting;
mod error;
mod line;
mod listing;
mod lost;
mod make;
mod naming;
mod neighbours;
mod options;
mod ordered;
mod packing;
mod patches;
mod places;
mod previous;
mod read;
mod repack;
mod reuse;
mod sha;
mod source;

pub use audit::{Audit, PackDamage, PatchDamage, VersionDamage, audit, audit_version};
pub use error::{MakeError, SourceError};
pub use listing::annotations;
pub use make::{Outcome, Publisher, Report, Wish};
pub use options::{DEFAULT_FRAME_LEN, DEFAULT_LEVEL, DEFAULT_PACK_LEN, Options, cut_around};
pub use patches::{DEFAULT_PATCH_LEVEL, Made, NoPatch, Patching};
pub use source::Source;

/// Someone who watches a publisher and may stop it.
pub trait Observer: Sync {
    /// So many bytes of the image have been read.
    fn progress(&self, done: u64, total: Option<u64>);

    /// Whether to give up.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Watches nothing.
impl Observer for () {
    fn progress(&self, _: u64, _: Option<u64>) {}
}
