//! Patches: known base bytes become target bytes.
//!
//! A *group* is a target and the base that is most like it. [`encode`] tries the [`Method`]s on a group and keeps the
//! smallest patch; [`Decoder`] rebuilds the target front to back, reading the base wherever it needs to. What comes
//! out is what the patch says, not yet what anybody wanted: who uses it checks the hash of what was written.
//!
//! No I/O but what [`Base`] does for a decoder, no threads. A decoder's memory and time are bounded by the lengths of
//! base, patch and target, all known before: method 0 holds base and target, the others at most 24 MiB for any patch.
//! It panics on no input.

#![forbid(unsafe_code)]

mod base;
mod body;
mod coder;
mod copies;
mod decoder;
mod difference;
mod encoder;
mod error;
mod fields;
mod layout;
mod limits;
mod map;
mod marks;
mod matching;
mod method;
mod pages;
mod predict;
mod prefixed;
mod programs;

pub use base::Base;
pub use decoder::Decoder;
pub use encoder::{Effort, EncodeError, encode};
pub use error::DecodeError;
pub use limits::{Limits, MAX_GROUP, MAX_PREFIXED};
pub use method::Method;
