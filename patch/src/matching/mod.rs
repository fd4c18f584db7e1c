//! Finds what of a target resembles what of a base.

mod approximate;
mod labels;
mod sampled;
mod sorted;
mod suffixes;
mod ways;

pub(crate) use approximate::{Index, Seen, align};
pub(crate) use labels::view;

/// How matches are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Search {
    /// Any match, the longest: seconds, and ten times the base's length in memory.
    Sorted,
    /// Matches of a few words and longer, the longest of so many.
    Sampled(usize),
}
