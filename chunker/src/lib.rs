//! Cuts an image into content-defined chunks and names them.
//!
//! The cuts are those of FORMAT 2: a chunk ends where the bytes before the cut say so, and therefore most
//! chunks stay the same when bytes elsewhere change. The image as a whole is known by its BLAKE3, joined from
//! the hashes of its blocks (FORMAT 3).
//!
//! There are four ways to the same cuts, for
//!
//! | what is at hand | |
//! |---|---|
//! | one chunk's bytes, wanted now | [`cut`] |
//! | a stream | [`Chunks`] |
//! | a buffer and all processors | [`parallel::cuts`] |
//! | a pipeline that reads and scans on its own | [`scan`] and [`Cutter`], of which the two above are made |
//!
//! The crate does no I/O but through the reader given to [`Chunks`], and starts no thread but in [`parallel`].

mod chunks;
mod cut;
mod cutter;
pub mod gear;
mod hex;
pub mod image;
mod name;
pub mod parallel;
mod params;
mod scan;
mod search;
mod zero;

pub use chunks::{Chunk, Chunks};
pub use cut::cut;
pub use cutter::{Cutter, Segment};
pub use hex::HexError;
pub use name::Name;
pub use params::{Params, ParamsError};
pub use scan::{Candidates, scan};
pub use zero::is_zero;
