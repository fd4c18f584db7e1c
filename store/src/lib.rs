//! Chunk bytes at rest.
//!
//! New chunks are compressed together in *frames*, frames are gathered in immutable *packs*, and packs lie in a
//! [`Backend`]: a directory today, an object store another day. [`Lookup`] tells a publisher which chunks the
//! packs already hold.
//!
//! What this crate promises: a pack is whole and durable before anybody can see it under its name, and no
//! length that comes from a pack is believed before it has been compared with the bytes at hand.
//!
//! What it leaves to others: which chunks make up an image (the index), and the network.

pub mod backend;
mod frame;
pub mod line;
mod lookup;
mod map;
pub mod pack;

pub use backend::{Backend, Directory, Key, Object, Published, Upload};
pub use frame::{Compressor, Decoder, Frame, FrameError, MAX_FRAME};
pub use lookup::{Lookup, PackSlot, Place, Unreadable};
pub use pack::{PackName, TableError};
