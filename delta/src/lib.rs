//! Patches: files that turn one known image into another (FORMAT 8).
//!
//! A patch says in a *script* which bytes of its target lie in its base and which are new, and carries the new ones
//! in *groups*, each encoded with the base bytes that are most like it ([`chunk_patch`]). It also carries the hashes
//! of those blocks of the target that its base has not in their place, so whoever holds the base, and has hashed its
//! blocks, knows every block hash of the target before a byte of it is made.
//!
//! | to | start at |
//! |---|---|
//! | make a patch | [`Plan::new`], [`Spec::encode`], [`Plan::head`] |
//! | use one | [`Patch::decode`], [`Patch::blocks`], [`Patch::pieces`], [`Patch::group_of`], [`Ranges`]; or [`Rebuilder`] |
//!
//! The crate does no I/O but what [`Image`] does for it, and starts no thread. What a decoder accepts is bounded by
//! the lengths of the file and of the two images, and it panics on no input. What it rebuilds is what the patch says,
//! and nobody's image before its block hashes have been compared.

#![forbid(unsafe_code)]

mod build;
mod format;
mod image;
mod ranges;
mod rebuild;

pub use build::{BuildError, Plan, Side, Spec};
pub use format::{Group, Origin, Patch, PatchError, Piece, Stream};
pub use image::Image;
pub use ranges::Ranges;
pub use rebuild::{RebuildError, Rebuilder};
