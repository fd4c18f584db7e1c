//! The way by a patch: a device that holds exactly the image that a patch starts from fetches the patch, and of the
//! index no more than its head.
//!
//! Nothing is believed on the way. The hash of the seed finds the patch; the version's BLAKE3 vouches for the hashes
//! of all blocks that patch and seed tell; and each block is compared with its hash before it is written. What a
//! patch fails to make, frames do.

mod apply;
mod base;
mod demand;
mod run;
mod streams;
mod way;

pub(crate) use run::ByPatch;
pub(crate) use way::Way;
