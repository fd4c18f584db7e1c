//! The entries of a whole index, with their places, decoded leaf by leaf.

use std::iter::FusedIterator;

use crate::entry::{Entry, Placed};
use crate::head::Head;
use crate::index::CHECKED;
use crate::list;
use crate::location::Location;
use crate::map;
use crate::walk::Walk;

/// Iterator over entries; see [`Index::entries`](crate::Index::entries).
#[derive(Debug)]
pub struct Entries<'a> {
    head: &'a Head,
    file: &'a [u8],
    walk: Walk<'a>,
    /// The open leaf, and how much of it is read.
    list: Vec<Entry>,
    map: Vec<Option<Location>>,
    read: usize,
    image_at: u64,
    from: u64,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(head: &'a Head, file: &'a [u8], from: u64) -> Self {
        Self {
            head,
            file,
            walk: Walk::new(head, file, from),
            list: Vec::new(),
            map: Vec::new(),
            read: 0,
            image_at: 0,
            from,
        }
    }

    /// Replaces the open leaf by the next, if there is one.
    fn open_leaf(&mut self) -> Option<()> {
        let leaf = self.walk.step().expect(CHECKED)?;
        let (list, map) = leaf.parts(self.file).expect(CHECKED);
        let max = self.head.record().params().max();
        list::parse(list, &leaf, max, &mut self.list).expect(CHECKED);
        map::parse(map, leaf.map.start, &self.list, self.head.locator(), &mut self.map).expect(CHECKED);
        self.read = 0;
        self.image_at = leaf.image.start;
        Some(())
    }

    fn next_of_leaf(&mut self) -> Option<Placed> {
        let entry = *self.list.get(self.read)?;
        let location = *self.map.get(self.read)?;
        let end = self.image_at.saturating_add(entry.image_len().expect(CHECKED));
        let image = self.image_at..end;
        self.read = self.read.saturating_add(1);
        self.image_at = end;
        Some(Placed { image, entry, location })
    }
}

impl Iterator for Entries<'_> {
    type Item = Placed;

    #[inline]
    fn next(&mut self) -> Option<Placed> {
        loop {
            match self.next_of_leaf() {
                Some(placed) if placed.image.end > self.from => return Some(placed),
                Some(_) => {}
                None => self.open_leaf()?,
            }
        }
    }
}

impl FusedIterator for Entries<'_> {}
