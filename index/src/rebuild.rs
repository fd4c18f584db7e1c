//! Leaf lists of chunks that are already known, to be matched with those of an index before fetching any.

use std::iter::FusedIterator;

use crate::entry::Entry;
use crate::grouping::{Grouper, Step};
use crate::list::LeafList;

/// The leaf lists that an index of these chunks has, in order.
///
/// Equal neighbours may come as repeats or one by one. A leaf of some index with one of these hashes
/// ([`NodeRef::hash`](crate::NodeRef::hash)) has these entries, so its list need not be fetched.
pub fn leaf_lists(chunks: impl IntoIterator<Item = Entry>) -> impl Iterator<Item = LeafList> {
    LeafLists { chunks: chunks.into_iter(), grouper: Some(Grouper::default()) }
}

struct LeafLists<I> {
    chunks: I,
    /// `None` once the last leaf is out.
    grouper: Option<Grouper>,
}

impl<I: Iterator<Item = Entry>> Iterator for LeafLists<I> {
    type Item = LeafList;

    fn next(&mut self) -> Option<LeafList> {
        let grouper = self.grouper.as_mut()?;
        for chunk in self.chunks.by_ref() {
            if let Step::Leaf(entries) = grouper.push(chunk, true) {
                return Some(LeafList::of(entries));
            }
        }
        self.grouper.take()?.finish().map(LeafList::of)
    }
}

impl<I: Iterator<Item = Entry>> FusedIterator for LeafLists<I> {}
