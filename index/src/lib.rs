//! The index: the file that says what a version is and where its bytes lie (FORMAT 1 and 4).
//!
//! An index carries the *record* of a version, whose hash is the version's id; the *locator*, which names the
//! packs; a tree over the image's chunks; and the hashes of the image's blocks. Who trusts the id can check
//! every list and every block hash against it, in any order. Nothing vouches for locator and maps: they say
//! where to look, and what is found is checked.
//!
//! | to | start at |
//! |---|---|
//! | write an index | [`TreeBuilder`] |
//! | read a whole file | [`Index::decode`] |
//! | fetch only the parts that are needed | [`Head::decode`], [`leaf_lists`] |
//!
//! The crate is bytes in, values out: no I/O, no threads. Decoders accept exactly one encoding of each index,
//! never allocate for a count they have not compared with the bytes given, and panic on no input.

#![forbid(unsafe_code)]
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

mod blocks;
mod build_error;
mod builder;
mod children;
mod cursor;
mod digest;
mod entries;
mod entry;
mod error;
mod grouping;
mod head;
mod index;
mod layout;
mod list;
mod location;
mod locator;
mod map;
mod node;
mod preamble;
mod rebuild;
mod record;
mod silence;
mod varint;
mod walk;
mod ways;
mod word;

pub use blocks::Block;
pub use build_error::BuildError;
pub use builder::{Front, TreeBuilder};
pub use digest::Digest;
pub use entries::Entries;
pub use entry::{Entry, Placed, ShortName};
pub use error::{DecodeError, DecodeErrorKind};
pub use head::{Head, HeadError};
pub use index::Index;
pub use list::LeafList;
pub use location::{FrameRef, Location, LocationError};
pub use locator::{Locator, LocatorError, PackRef};
pub use node::NodeRef;
pub use rebuild::leaf_lists;
pub use record::{Description, Record, VersionId};
pub use ways::{PatchRef, Ways, WaysError};
pub use word::{Annotations, TextError, Word};
