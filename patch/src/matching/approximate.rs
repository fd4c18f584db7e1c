//! Copies that may differ: exact matches, extended while more agrees than not.
//!
//! As in bsdiff (Percival, 2003), whose insight it is that a match is worth taking only if it explains more than the
//! running copy does, mistakes included.

use super::Search;
use super::sampled::Sampled;
use super::sorted::Sorted;
use crate::copies::Copy;

/// How many bytes more than the running copy explains a match must bring to start another copy.
const ADVANTAGE: usize = 8;

/// A running copy that agrees for this long is not questioned.
const UNQUESTIONED: usize = 48;

/// The base, ready to be searched.
enum Index<'a> {
    Sorted(Sorted<'a>),
    Sampled(Sampled<'a>),
}

impl Index<'_> {
    /// A long match for the start of `sought`: a name for it, and its length.
    fn longest(&self, sought: &[u8]) -> Option<(usize, usize)> {
        match self {
            Self::Sorted(index) => index.longest(sought),
            Self::Sampled(index) => index.longest(sought),
        }
    }

    /// The place of a match: if there are several as good, the one nearest to `near`.
    fn place(&self, name: usize, sought: &[u8], len: usize, near: usize) -> usize {
        match self {
            Self::Sorted(index) => index.nearest(name, sought, len, near),
            Self::Sampled(_) => name,
        }
    }
}

/// How many bytes two strings agree in from their start.
pub(super) fn agreement(one: &[u8], two: &[u8]) -> usize {
    let wide = one.chunks_exact(8).zip(two.chunks_exact(8)).take_while(|(a, b)| a == b).count() * 8;
    wide + one[wide..].iter().zip(&two[wide..]).take_while(|(a, b)| a == b).count()
}

/// Copies from `base` that explain `target`, in its order. Both are shorter than 2^31.
pub(crate) fn align(base: &[u8], target: &[u8], search: Search) -> Vec<Copy> {
    let index = match search {
        Search::Sorted => Index::Sorted(Sorted::new(base)),
        Search::Sampled => Index::Sampled(Sampled::new(base)),
    };
    let mut copies = Vec::new();
    let agrees = |at: usize, to: usize| base.get(at).is_some_and(|byte| *byte == target[to]);
    // The running copy takes base byte `to + offset` to target byte `to`, from `start` on.
    let (mut start, mut offset) = (0_usize, 0_isize);
    let shifted = |to: usize, offset: isize| to.wrapping_add_signed(offset);
    let mut scan = 0;
    let mut len = 0;
    let mut name = None;
    while scan < target.len() {
        scan += len;
        let mut counted = scan;
        let mut score = 0;
        while scan < target.len() {
            let running = shifted(scan, offset);
            let along = base.get(running..).map_or(0, |base| agreement(base, &target[scan..]));
            let longest = if along >= UNQUESTIONED { None } else { index.longest(&target[scan..]) };
            len = longest.map_or(along, |(_, len)| len);
            name = longest.map(|(name, _)| name);
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
            let running = shifted(scan, offset);
            let found = match name {
                Some(name) if scan < target.len() => index.place(name, &target[scan..], len, running),
                _ => running,
            };
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
