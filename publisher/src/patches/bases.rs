//! Which releases a new release is patched from.

use std::num::NonZeroU64;

/// The releases before `release` that it is patched from, the nearest first: n − 2^k for every 2^k that divides n.
pub(crate) fn ruler(release: NonZeroU64) -> impl Iterator<Item = NonZeroU64> {
    let release = release.get();
    (0..=release.trailing_zeros()).filter_map(move |power| NonZeroU64::new(release - (1 << power)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bases(release: u64) -> Vec<u64> {
        ruler(NonZeroU64::new(release).expect("releases count from 1")).map(NonZeroU64::get).collect()
    }

    #[test]
    fn a_release_reaches_back_by_the_powers_of_two_that_divide_it() {
        assert_eq!(bases(1), []);
        assert_eq!(bases(2), [1]);
        assert_eq!(bases(7), [6]);
        assert_eq!(bases(12), [11, 10, 8]);
        assert_eq!(bases(8), [7, 6, 4]);
        assert_eq!(bases(1 << 63), (0..63).map(|power| (1 << 63) - (1 << power)).collect::<Vec<_>>());
    }

    #[test]
    fn every_release_is_reached_from_the_first_in_few_steps() {
        for release in 1..2000_u64 {
            let (mut at, mut steps) = (release, 0);
            while at > 1 {
                at = *bases(at).last().expect("only the first has none");
                steps += 1;
            }
            assert!(steps <= 2 * release.ilog2() + 1, "{release}: {steps}");
        }
    }
}
