//! Copies that may differ: of all ways to explain a target by pieces of a base, the cheapest that is found.
//!
//! A way walks along *diagonals*, each the distance from a place in the target to the place in the base that stands for
//! it. To stay on one costs little where the bytes agree and much where they do not; to change costs what a copy takes
//! in the list. A handful of ways is followed at a time, so a choice is made only when what comes has shown which of
//! them was right.

use super::Search;
use super::sampled::Sampled;
use super::sorted::Sorted;
use super::ways::Ways;
use crate::copies::Copy;

/// A byte string as the search sees it, and the same with what tells places apart that look alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) alike: &'a [u8],
    pub(crate) told: &'a [u8],
}

impl<'a> Seen<'a> {
    /// Bytes that are no more than what they are.
    pub(crate) fn plain(bytes: &'a [u8]) -> Self {
        Self { alike: bytes, told: bytes }
    }
}

/// While the best way agrees with so many bytes to come, no other is searched.
const UNQUESTIONED: usize = 32;

/// The shortest match that is worth a look.
const SHORTEST: usize = 6;

/// Behind the start of a match, the next search is skipped for one in so many of its bytes.
const PATIENCE: usize = 8;

/// A base, ready to be searched.
#[derive(Debug)]
pub(crate) struct Index<'a> {
    base: Seen<'a>,
    matches: Matches<'a>,
}

#[derive(Debug)]
enum Matches<'a> {
    Sorted(Sorted<'a>),
    Sampled(Sampled<'a>),
}

impl<'a> Index<'a> {
    /// Prepares `base`, which is shorter than 2^31, for a search.
    pub(crate) fn new(base: Seen<'a>, search: Search) -> Self {
        let matches = match search {
            Search::Sorted => Matches::Sorted(Sorted::new(base.alike)),
            Search::Sampled(depth) => Matches::Sampled(Sampled::new(base.alike, depth)),
        };
        Self { base, matches }
    }

    /// Whether so little of `target` is in the base that copies would hardly shorten it. Only a search that is quick
    /// gives anything up.
    pub(crate) fn is_strange_to(&self, target: Seen<'_>) -> bool {
        /// In 256ths of the places that are looked at.
        const LEAST: usize = 112;
        match &self.matches {
            Matches::Sorted(_) => false,
            Matches::Sampled(index) => index.likeness(target.alike) < LEAST,
        }
    }

    /// A long match for the start of `sought`, of several as long the one nearest to `near`: its place and length.
    fn longest(&self, sought: &[u8], near: usize) -> Option<(usize, usize)> {
        match &self.matches {
            Matches::Sorted(index) => {
                let (rank, len) = index.longest(sought)?;
                Some((index.nearest(rank, sought, len, near), len))
            }
            Matches::Sampled(index) => index.longest(sought, near),
        }
    }
}

/// How many bytes two strings agree in from their start.
#[inline]
pub(super) fn agreement(one: &[u8], two: &[u8]) -> usize {
    let (ones, twos) = (one.as_chunks::<8>().0, two.as_chunks::<8>().0);
    let mut wide = 0;
    for (a, b) in ones.iter().zip(twos) {
        let differ = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differ != 0 {
            return wide + (differ.trailing_zeros() / 8) as usize;
        }
        wide += 8;
    }
    wide + one[wide..].iter().zip(&two[wide..]).take_while(|(a, b)| a == b).count()
}

/// Copies from the base that explain `target`, in its order. It is shorter than 2^31.
pub(crate) fn align(index: &Index<'_>, target: Seen<'_>) -> Vec<Copy> {
    /// Looking further ahead at once would find no more.
    const AHEAD: usize = 256;
    let base = index.base;
    let mut ways = Ways::new(base, target);
    let (mut at, mut searched) = (0, 0);
    while let Some(sought) = target.alike.get(at..).filter(|sought| !sought.is_empty()) {
        let (near, on_diagonal) = ways.lead(at);
        let along = base.told.get(near..).filter(|_| on_diagonal);
        let along = along.map_or(0, |base| agreement(&base[..base.len().min(AHEAD)], &target.told[at..]));
        if along >= UNQUESTIONED && ways.is_alone() {
            ways.advance(at, along);
            at += along;
            continue;
        }
        if along < UNQUESTIONED && at >= searched {
            if let Some(start) = sought.first_chunk::<SHORTEST>() {
                ways.resume(at, start);
            }
            searched = at + 1;
            if let Some((place, len)) = index.longest(sought, near).filter(|(_, len)| *len >= SHORTEST) {
                searched += len / PATIENCE;
                ways.follow(at, place.wrapping_sub(at).cast_signed());
            }
        }
        ways.step(at);
        at += 1;
    }
    ways.copies(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(seed: u32, len: usize) -> Vec<u8> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_le_bytes()[3]
        };
        std::iter::repeat_with(next).take(len).collect()
    }

    fn align(base: Seen<'_>, target: Seen<'_>, search: Search) -> Vec<Copy> {
        super::align(&Index::new(base, search), target)
    }

    fn copy(base: u32, target: u32, len: u32) -> Copy {
        Copy { base, target, len }
    }

    #[test]
    fn scattered_differences_do_not_end_a_copy() {
        let base = bytes(1, 20_000);
        let mut target = base[5000..9000].to_vec();
        for at in (50..3950).step_by(37) {
            target[at] ^= 0x55;
        }
        let copies = align(Seen::plain(&base), Seen::plain(&target), Search::Sorted);
        assert_eq!(copies, [copy(5000, 0, 4000)]);
    }

    #[test]
    fn a_quick_search_tells_what_is_mostly_new_and_a_thorough_one_gives_nothing_up() {
        let base = bytes(1, 40_000);
        let known = |len: usize| [&base[..len], &bytes(2, 40_000 - len)[..]].concat();
        for (len, is_strange) in [(0, true), (16_000, true), (28_000, false), (40_000, false)] {
            let target = known(len);
            for search in [Search::Sorted, Search::Sampled(1), Search::Sampled(8)] {
                let index = Index::new(Seen::plain(&base), search);
                let expected = is_strange && search != Search::Sorted;
                assert_eq!(index.is_strange_to(Seen::plain(&target)), expected, "{len} bytes, {search:?}");
            }
        }
    }

    #[test]
    fn agreement_ends_with_the_first_byte_that_differs_or_with_the_shorter() {
        let bytes = bytes(5, 60);
        for len in 0..40 {
            let mut other = bytes.clone();
            other[len] ^= 1;
            assert_eq!(agreement(&bytes, &other), len);
            assert_eq!(agreement(&bytes[..len], &bytes), len);
        }
    }

    #[test]
    fn a_match_too_short_for_a_copy_is_not_taken() {
        let base = bytes(1, 20_000);
        let mut target = base[5000..9000].to_vec();
        // Three bytes differ; from elsewhere seven would agree, for two changes of diagonal.
        target[2000..2007].copy_from_slice(&base[15_000..15_007]);
        target[2000..2004].copy_from_slice(&base[7000..7004]);
        let copies = align(Seen::plain(&base), Seen::plain(&target), Search::Sorted);
        assert_eq!(copies, [copy(5000, 0, 4000)]);
    }

    #[test]
    fn what_moved_is_found_and_what_is_new_is_left_out() {
        let base = bytes(1, 20_000);
        let new = bytes(2, 300);
        let target = [&base[12_000..15_000], &new[..], &base[3000..6000]].concat();
        for search in [Search::Sorted, Search::Sampled(1), Search::Sampled(8)] {
            let copies = align(Seen::plain(&base), Seen::plain(&target), search);
            let near = |one: u32, two: u32| one.abs_diff(two) <= 4;
            let [first, second] = copies[..] else { panic!("{copies:?}") };
            assert!(first.base == 12_000 && first.target == 0 && near(first.len, 3000), "{first:?}");
            assert!(near(second.base, 3000) && near(second.target, 3300), "{second:?}");
            assert_eq!(second.target_end(), 6300);
        }
    }

    #[test]
    fn of_places_that_look_alike_the_one_that_is_told_is_kept() {
        let (body, other) = (bytes(3, 400), bytes(4, 100));
        let mut changed = body.clone();
        for at in (10..400).step_by(40) {
            changed[at] ^= 0x55;
        }
        let base = [&body[..], &other, &changed].concat();
        let target = [&other[..], &body].concat();
        // More agrees with the first place, but only the second is told to be the same.
        let (mut told, mut sought) = (base.clone(), target.clone());
        for at in (0..400).step_by(20) {
            told[at..at + 4].copy_from_slice(b"away");
            told[at + 500..at + 504].copy_from_slice(b"here");
            sought[at + 100..at + 104].copy_from_slice(b"here");
        }
        let copies = align(Seen::plain(&base), Seen::plain(&target), Search::Sorted);
        assert_eq!(copies.len(), 2, "without being told it changes the place: {copies:?}");
        let seen = (Seen { alike: &base, told: &told }, Seen { alike: &target, told: &sought });
        assert_eq!(align(seen.0, seen.1, Search::Sorted), [copy(400, 0, 500)]);
    }
}
