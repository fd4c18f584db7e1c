//! Copies that may differ: exact matches found by sorted suffixes, extended while more agrees than not.

use super::suffixes;
use crate::copies::Copy;

/// How many bytes more than the running copy explains a match must bring to start another copy.
const ADVANTAGE: usize = 8;

/// A running copy that agrees for this long is not questioned.
const UNQUESTIONED: usize = 48;

/// How many equally long matches are looked at on each side of the first in order to take the nearest.
const CANDIDATES: usize = 100;

/// The base, ready to be searched.
struct Index<'a> {
    text: &'a [u8],
    order: Vec<u32>,
    /// Where the suffixes start that begin with each pair of bytes.
    pairs: Vec<u32>,
}

impl<'a> Index<'a> {
    fn new(text: &'a [u8]) -> Self {
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

    /// The place nearest to `near` where the first `len` bytes of `sought` are, among those that come close to `rank`
    /// in the order of suffixes.
    fn nearest(&self, sought: &[u8], len: usize, rank: usize, near: usize) -> usize {
        let sought = &sought[..len];
        let fits = |at: &&u32| self.text[**at as usize..].starts_with(sought);
        let (below, above) = self.order.split_at(rank);
        let below = below.iter().rev().take(CANDIDATES).take_while(fits);
        let above = above.iter().take(CANDIDATES).take_while(fits);
        let all = below.chain(above).map(|&at| at as usize);
        all.min_by_key(|at| at.abs_diff(near)).unwrap_or(self.order[rank] as usize)
    }

    /// The place with the longest match for the start of `sought`, by its rank in the order of suffixes; its length.
    fn longest(&self, sought: &[u8]) -> (usize, usize) {
        let [first, second, ..] = *sought else { return (0, 0) };
        let pair = usize::from(first) << 8 | usize::from(second);
        let (mut low, mut high) = (self.pairs[pair] as usize, self.pairs[pair + 1] as usize);
        if low == high {
            return (0, 0);
        }
        let mut best = (0, 0);
        while low < high {
            let middle = low.midpoint(high);
            let at = self.order[middle] as usize;
            let len = agreement(&self.text[at..], sought);
            if len > best.1 {
                best = (middle, len);
            }
            match (self.text.get(at + len), sought.get(len)) {
                (Some(have), Some(want)) if have > want => high = middle,
                (_, None) => return best,
                _ => low = middle + 1,
            }
        }
        best
    }
}

/// How many bytes two strings agree in from their start.
pub(crate) fn agreement(one: &[u8], two: &[u8]) -> usize {
    let wide = one.chunks_exact(8).zip(two.chunks_exact(8)).take_while(|(a, b)| a == b).count() * 8;
    wide + one[wide..].iter().zip(&two[wide..]).take_while(|(a, b)| a == b).count()
}

/// Copies from `base` that explain `target`, in its order. Both are shorter than 2^31.
pub(crate) fn align(base: &[u8], target: &[u8]) -> Vec<Copy> {
    let index = Index::new(base);
    let mut copies = Vec::new();
    let agrees = |at: usize, to: usize| base.get(at).is_some_and(|byte| *byte == target[to]);
    // The running copy takes base byte `to + offset` to target byte `to`, from `start` on.
    let (mut start, mut offset) = (0_usize, 0_isize);
    let shifted = |to: usize, offset: isize| to.wrapping_add_signed(offset);
    let mut scan = 0;
    let mut len = 0;
    let mut found = 0;
    let mut rank = None;
    while scan < target.len() {
        scan += len;
        let mut counted = scan;
        let mut score = 0;
        while scan < target.len() {
            let running = shifted(scan, offset);
            let along = base.get(running..).map_or(0, |base| agreement(base, &target[scan..]));
            rank = None;
            (found, len) = if along >= UNQUESTIONED {
                (running, along)
            } else {
                let (place, len) = index.longest(&target[scan..]);
                rank = (len > 0).then_some(place);
                (running, len)
            };
            while counted < scan + len.max(1) {
                score += usize::from(agrees(shifted(counted, offset), counted));
                counted += 1;
            }
            if (len == score && len != 0) || len > score + ADVANTAGE {
                break;
            }
            if agrees(running, scan) {
                score -= 1;
            }
            scan += 1;
        }
        if len != score || scan == target.len() {
            if let Some(rank) = rank.filter(|_| scan < target.len()) {
                found = index.nearest(&target[scan..], len, rank, shifted(scan, offset));
            }
            let forward = extend(scan - start, |ahead| agrees(shifted(start + ahead, offset), start + ahead));
            let backward = if scan < target.len() {
                extend((scan - start).min(found), |back| agrees(found - 1 - back, scan - 1 - back))
            } else {
                0
            };
            let (forward, backward) = share(start, scan, forward, backward, |to| {
                (agrees(shifted(to, offset), to), agrees((found + to).wrapping_sub(scan), to))
            });
            push(&mut copies, shifted(start, offset), start, forward);
            start = scan - backward;
            offset = found.cast_signed() - scan.cast_signed();
        }
    }
    copies
}

/// How far to extend a copy of which `agrees` says whether it holds, `most` at most: as far as pays most when a byte
/// that agrees brings as much as one that does not costs.
fn extend(most: usize, agrees: impl Fn(usize) -> bool) -> usize {
    let (mut gain, mut best, mut len) = (0_isize, 0, 0);
    for ahead in 0..most {
        gain += if agrees(ahead) { 1 } else { -1 };
        if gain > best {
            (best, len) = (gain, ahead + 1);
        }
    }
    len
}

/// Divides the bytes that both a copy from `start` and one back from `scan` would take, where it pays most.
fn share(
    start: usize,
    scan: usize,
    forward: usize,
    backward: usize,
    agree: impl Fn(usize) -> (bool, bool),
) -> (usize, usize) {
    let Some(both) = (start + forward).checked_sub(scan - backward).filter(|&both| both > 0) else {
        return (forward, backward);
    };
    let from = scan - backward;
    let (mut gain, mut best, mut kept) = (0_isize, 0, 0);
    for ahead in 0..both {
        let (first, second) = agree(from + ahead);
        gain += isize::from(first) - isize::from(second);
        if gain > best {
            (best, kept) = (gain, ahead + 1);
        }
    }
    (forward - (both - kept), backward - kept)
}

fn push(copies: &mut Vec<Copy>, base: usize, target: usize, len: usize) {
    if len > 0 {
        let number = |value: usize| u32::try_from(value).expect("base and target are shorter than 2^31");
        copies.push(Copy { base: number(base), target: number(target), len: number(len) });
    }
}
