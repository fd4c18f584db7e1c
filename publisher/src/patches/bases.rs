//! Which releases a new release is patched from.

use std::num::NonZeroU64;

/// The releases before `release` that it is patched from, the nearest first: those 2^k back for every 2^k that divides
/// how many come before it.
///
/// Counted so, and not by the release's own number, the first release is at the end of the longest lines: many devices
/// hold what they left the factory with.
pub(crate) fn ruler(release: NonZeroU64) -> impl Iterator<Item = NonZeroU64> {
    let before = release.get() - 1;
    let powers = (0..u64::BITS).map(|power| 1 << power);
    powers
        .take_while(move |power| *power <= before && before.is_multiple_of(*power))
        .filter_map(move |power| NonZeroU64::new(release.get() - power))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bases(release: u64) -> Vec<u64> {
        ruler(NonZeroU64::new(release).expect("releases count from 1")).map(NonZeroU64::get).collect()
    }

    #[test]
    fn a_release_reaches_back_by_the_powers_of_two_that_divide_those_before_it() {
        assert_eq!(bases(1), []);
        assert_eq!(bases(2), [1]);
        assert_eq!(bases(3), [2, 1]);
        assert_eq!(bases(8), [7]);
        assert_eq!(bases(9), [8, 7, 5, 1]);
        assert_eq!(bases(13), [12, 11, 9]);
        let last = (1 << 63) + 1;
        assert_eq!(bases(last), (0..64).map(|power| last - (1 << power)).collect::<Vec<_>>());
        assert_eq!(bases(u64::MAX), [u64::MAX - 1, u64::MAX - 2]);
    }

    #[test]
    fn every_release_is_reached_from_the_first_in_a_step_for_each_bit() {
        for release in 1..2000_u64 {
            let (mut at, mut steps) = (release, 0);
            while at > 1 {
                at = *bases(at).last().expect("only the first has none");
                steps += 1;
            }
            // One for each bit of how many come before it.
            assert_eq!(steps, (release - 1).count_ones(), "{release}");
        }
    }
}
