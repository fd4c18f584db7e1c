//! Finds the longest match for any bytes, in the order of all suffixes.

use super::approximate::agreement;
use super::suffixes;

/// How many equally long matches are looked at on each side of the first in order to take the nearest.
const CANDIDATES: usize = 100;

/// Matches longer than this have few rivals, and take long to compare.
const LONG: usize = 1024;

/// A text and the order of its suffixes.
#[derive(Debug)]
pub(super) struct Sorted<'a> {
    text: &'a [u8],
    order: Vec<u32>,
    /// Where the suffixes start that begin with each pair of bytes.
    pairs: Vec<u32>,
}

impl<'a> Sorted<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        let order = suffixes::sort(text);
        let mut pairs = vec![0_u32; 65_537];
        for at in 0..text.len() {
            // The one suffix of a single byte comes first among those of its byte.
            let pair = usize::from(text[at]) << 8 | usize::from(text.get(at + 1).copied().unwrap_or(0));
            pairs[pair + 1] += 1;
        }
        for pair in 0..65_536 {
            pairs[pair + 1] += pairs[pair];
        }
        Self { text, order, pairs }
    }

    /// The rank of a suffix with the longest match for the start of `sought`, and the match's length.
    pub(super) fn longest(&self, sought: &[u8]) -> Option<(usize, usize)> {
        let [first, second, ..] = *sought else { return None };
        let pair = usize::from(first) << 8 | usize::from(second);
        let (mut low, mut high) = (self.pairs[pair] as usize, self.pairs[pair + 1] as usize);
        let mut best = None;
        while low < high {
            let middle = low.midpoint(high);
            let at = self.order[middle] as usize;
            let len = agreement(&self.text[at..], sought);
            if best.is_none_or(|(_, longest)| len > longest) {
                best = Some((middle, len));
            }
            match (self.text.get(at + len), sought.get(len)) {
                (Some(have), Some(want)) if have > want => high = middle,
                (_, None) => break,
                _ => low = middle + 1,
            }
        }
        best
    }

    /// The place nearest to `near` with what `sought` starts with, `len` bytes of it, among the suffixes around `rank`.
    pub(super) fn nearest(&self, rank: usize, sought: &[u8], len: usize, near: usize) -> usize {
        let sought = &sought[..len];
        let candidates = if len > LONG { 2 } else { CANDIDATES };
        let fits = |at: &&u32| self.text[**at as usize..].starts_with(sought);
        let (below, above) = self.order.split_at(rank);
        let below = below.iter().rev().take(candidates).take_while(fits);
        let above = above.iter().take(candidates).take_while(fits);
        let all = below.chain(above).map(|&at| at as usize);
        all.min_by_key(|at| at.abs_diff(near)).unwrap_or(self.order[rank] as usize)
    }
}
