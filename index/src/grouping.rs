//! Where leaves and branches end. Content decides, so that an edit moves few borders; builder, decoder and
//! rebuilder ask here, so that they cannot disagree.

use std::mem;

use crate::digest::Digest;
use crate::entry::{Entry, ShortName};

/// A leaf ends by its content no earlier than here.
const LEAF_MIN: usize = 16;
/// Most entries of a leaf.
pub(crate) const LEAF_MAX: usize = 256;
/// A leaf ends by content after a short name divisible by this.
const LEAF_DIVISOR: u8 = 32;
/// A branch ends by its content no earlier than here.
const BRANCH_MIN: usize = 16;
/// Most leaves of a branch.
pub(crate) const BRANCH_MAX: usize = 512;
/// A branch ends by content after a leaf hash whose last byte is divisible by this.
const BRANCH_DIVISOR: u8 = 64;

/// Whether a leaf of `entries` entries ends after the last of them, `last`.
pub(crate) fn leaf_ends(entries: usize, last: ShortName) -> bool {
    let [lowest, ..] = last.to_bytes();
    entries >= LEAF_MAX || (entries >= LEAF_MIN && lowest.is_multiple_of(LEAF_DIVISOR))
}

/// Whether a branch of `leaves` leaves ends after the last of them, whose list has the hash `last`.
pub(crate) fn branch_ends(leaves: usize, last: &Digest) -> bool {
    let [.., lowest] = last;
    leaves >= BRANCH_MAX || (leaves >= BRANCH_MIN && lowest.is_multiple_of(BRANCH_DIVISOR))
}

/// What became of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is a repeat of the open leaf's last entry.
    Repeat,
    /// It is a new entry of the open leaf.
    Entry,
    /// It is the first entry of a new leaf; this one is complete.
    Leaf(Vec<Entry>),
}

/// Joins equal neighbours and cuts the entries into leaves.
///
/// The open leaf's last entry may still grow, so a leaf is complete only when the next entry has come.
#[derive(Debug, Default, Clone)]
pub(crate) struct Grouper {
    open: Vec<Entry>,
}

impl Grouper {
    /// Takes the next chunks of the image, all equal. `joins` tells whether they may be repeats of the last ones,
    /// should both look the same: two chunks can agree in short name and length and yet be others.
    pub(crate) fn push(&mut self, next: Entry, joins: bool) -> Step {
        let mut complete = None;
        if let Some(last) = self.open.last_mut() {
            if joins && last.is_same_chunk(&next) {
                last.repeats = last.repeats.saturating_add(next.repeats).saturating_add(1);
                return Step::Repeat;
            }
            let short = last.short;
            if leaf_ends(self.open.len(), short) {
                complete = Some(mem::take(&mut self.open));
            }
        }
        self.open.push(next);
        complete.map_or(Step::Entry, Step::Leaf)
    }

    /// The last leaf, unless the image is empty.
    pub(crate) fn finish(self) -> Option<Vec<Entry>> {
        (!self.open.is_empty()).then_some(self.open)
    }
}
