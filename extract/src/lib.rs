//! Rebuilds an image from what is there and what a store holds.
//!
//! [`Reader`] gives any part of an image from its store; [`Need`] tells, without fetching anything, what a
//! device that holds certain chunks would have to fetch. Bytes leave this crate only after the hash of their
//! block has been checked.

mod error;
mod need;
mod reader;

pub use error::ReadError;
pub use need::{Have, Need, Traffic};
pub use reader::Reader;
