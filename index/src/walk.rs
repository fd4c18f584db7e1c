//! Walks over the leaves of a whole index, one branch at a time.

use std::slice;
use std::vec;

use crate::children;
use crate::cursor::section;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::head::Head;
use crate::node::NodeRef;

/// The leaves from some image offset on. Holds the leaves of one branch.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    head: &'a Head,
    file: &'a [u8],
    branches: slice::Iter<'a, NodeRef>,
    leaves: vec::IntoIter<NodeRef>,
    /// Where the last branch's leaves ended; the next branch's leaves must start there.
    leaves_end: Option<u64>,
    from: u64,
}

impl<'a> Walk<'a> {
    /// Starts with the leaf that holds the image byte `from`.
    pub(crate) fn new(head: &'a Head, file: &'a [u8], from: u64) -> Self {
        let branches = head.branches();
        let skipped = branches.partition_point(|branch| branch.image.end <= from);
        Self {
            head,
            file,
            branches: branches.get(skipped..).unwrap_or_default().iter(),
            leaves: Vec::new().into_iter(),
            leaves_end: None,
            from,
        }
    }

    /// The next leaf.
    pub(crate) fn step(&mut self) -> Result<Option<NodeRef>, DecodeError> {
        loop {
            if let Some(leaf) = self.leaves.find(|leaf| leaf.image.end > self.from) {
                return Ok(Some(leaf));
            }
            let Some(branch) = self.branches.next() else {
                return Ok(None);
            };
            let leaves = self.head.decode_branch(branch, section(self.file, branch.file())?)?;
            let start = leaves.first().map_or(branch.file().end, |leaf| leaf.list.start);
            if let Some(expected) = self.leaves_end.filter(|end| *end != start) {
                let kind = DecodeErrorKind::Misplaced { expected, found: start };
                return Err(DecodeError { at: branch.map.start, kind });
            }
            self.leaves_end = children::end(&leaves);
            self.leaves = leaves.into_iter();
        }
    }
}
