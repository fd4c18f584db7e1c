//! Whether a way saves anything: a device can always fetch the frames that it lacks.

use std::collections::{HashMap, HashSet};

use chunk_index::{Digest, Index, ShortName};
use chunk_store::Key;

use crate::line::Line;

/// Most versions whose chunks are compared with those of one other.
const MOST_COMPARED: usize = 48;

/// What devices that hold one image or another would fetch of a version's frames.
pub(crate) struct Worth<'a, T> {
    line: &'a Line<'a>,
    target: &'a Index<T>,
    /// Where the images of the line are, once somebody has asked.
    images: Option<HashMap<Digest, Key>>,
    compared: usize,
}

impl<'a, T: AsRef<[u8]>> Worth<'a, T> {
    pub(crate) fn new(line: &'a Line<'a>, target: &'a Index<T>) -> Self {
        Self { line, target, images: None, compared: 0 }
    }

    /// Whether a way of `bytes` bytes from the image `base` costs less than frames. If that takes too much to find out, or
    /// the image is gone, it does not.
    pub(crate) fn is_less(&mut self, base: &Digest, bytes: u64) -> bool {
        self.compared += 1;
        if self.compared > MOST_COMPARED {
            return false;
        }
        let images = self.images.get_or_insert_with(|| self.line.images().unwrap_or_default());
        let index = images.get(base).and_then(|key| self.line.decode(key).ok());
        index.is_some_and(|index| bytes < missing(&index, self.target))
    }
}

/// Bytes of the frames that a device lacks which has all chunks of `base`.
pub(crate) fn missing<B: AsRef<[u8]>, T: AsRef<[u8]>>(base: &Index<B>, target: &Index<T>) -> u64 {
    let held: HashSet<(ShortName, u32)> =
        base.entries().map(|placed| (placed.entry.short, placed.entry.len)).collect();
    let lacking = target.entries().filter(|placed| !held.contains(&(placed.entry.short, placed.entry.len)));
    let frames = lacking
        .filter_map(|placed| placed.location)
        .map(|location| ((location.pack, location.frame.offset), u64::from(location.frame.stored_len)));
    frames.collect::<HashMap<_, _>>().values().sum()
}
