//! Ranges of an image joined to one byte string: the base of a group.

use std::io;
use std::ops::Range;

use chunk_patch::Base;

use crate::image::Image;

/// Some ranges of an image, one behind the other.
#[derive(Debug)]
pub struct Ranges<'a, I> {
    image: I,
    parts: &'a [Range<u64>],
    /// Where each of them ends in the joined string.
    ends: Vec<u64>,
}

impl<'a, I: Image> Ranges<'a, I> {
    /// Joins `ranges` of `image`.
    pub fn new(image: I, ranges: &'a [Range<u64>]) -> Self {
        let mut end = 0_u64;
        let ends = ranges.iter().map(|range| {
            end = end.saturating_add(range.end.saturating_sub(range.start));
            end
        });
        let ends = ends.collect();
        Self { image, parts: ranges, ends }
    }
}

impl<I: Image> Base for Ranges<'_, I> {
    fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut at = offset;
        let mut rest = out;
        let mut number = self.ends.partition_point(|end| *end <= offset);
        while !rest.is_empty() {
            let beyond = || io::Error::new(io::ErrorKind::UnexpectedEof, "read beyond the base");
            let (range, end) = self.parts.get(number).zip(self.ends.get(number)).ok_or_else(beyond)?;
            let left = end - at;
            let here = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
            let (now, later) = rest.split_at_mut(here);
            self.image.read_at(range.end - left, now)?;
            at += here as u64;
            rest = later;
            number += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_read_as_if_they_touched() {
        let image: Vec<u8> = (0..100).collect();
        let ranges = [10..13, 0..2, 50..60];
        let joined = Ranges::new(&image[..], &ranges);
        let all = [&image[10..13], &image[0..2], &image[50..60]].concat();
        assert_eq!(joined.len(), 15);
        for from in 0..=15 {
            for to in from..=15 {
                let mut out = vec![0; to - from];
                joined.read_at(from as u64, &mut out).expect("within");
                assert_eq!(out, all[from..to]);
            }
        }
        assert!(joined.read_at(10, &mut [0; 6]).is_err());
    }
}
