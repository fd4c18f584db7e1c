//! The way by patches: a device that holds exactly an image that a patch starts from fetches that patch, and others that
//! lead on from what it makes, and of the index no more than its head.
//!
//! Nothing is believed on the way. The hash of the seed finds the way; the version's BLAKE3 vouches for the hashes
//! of all blocks that patches and seed tell; and each block is compared with its hash before it is written. What
//! patches fail to make, frames do.
//!
//! Images between are never made as a whole: of each patch but the last, only groups that the image needs are
//! fetched, and what comes out of them is kept until the image is made ([`made`]). A target that is the only seed is
//! patched by way of a file beside it ([`staging`]).

mod ahead;
mod apply;
mod aside;
mod base;
mod chain;
mod demand;
mod groups;
mod link;
mod made;
mod mend;
mod run;
mod staging;
mod streams;
mod way;

pub(crate) use aside::left_at;
pub(crate) use run::ByPatch;
pub(crate) use staging::Staging;
pub(crate) use way::Way;
