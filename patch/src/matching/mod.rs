//! Finds what of a target resembles what of a base.

mod approximate;
mod labels;
mod suffixes;

pub(crate) use approximate::align;
pub(crate) use labels::view;
