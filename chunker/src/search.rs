//! Where a chunk may end: FORMAT 2 as two ranges of positions and what happens if none of them decides.

use std::ops::Range;

use crate::params::Params;

/// Which mask decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The strict one, for chunks still smaller than `avg`.
    Small,
    /// The lenient one, from `avg` on.
    Large,
}

/// The positions, counted from the start of a chunk, at which it may end.
#[derive(Debug)]
pub(crate) struct Search {
    /// First the positions to try under the strict mask.
    pub(crate) small: Range<u32>,
    /// Then, directly behind, those to try under the lenient one.
    pub(crate) large: Range<u32>,
    /// The length of the chunk if no position decides.
    pub(crate) otherwise: u32,
}

impl Search {
    /// The search in a chunk that starts `left` bytes before the end of the image.
    pub(crate) fn new(params: Params, left: u64) -> Self {
        let otherwise = u32::try_from(left).map_or(params.max(), |left| left.min(params.max()));
        let from = params.min().min(otherwise);
        // Positions are tried in pairs: where the image ends after an odd number of bytes, the last one is
        // not tried.
        let to = even(otherwise).max(from);
        let turn = even(params.avg().min(otherwise)).max(from);
        Self { small: from..turn, large: turn..to, otherwise }
    }
}

fn even(position: u32) -> u32 {
    position & !1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(left: u64) -> (Range<u32>, Range<u32>, u32) {
        let params = Params::new(64, 256, 1024, 0).expect("within the limits");
        let Search { small, large, otherwise } = Search::new(params, left);
        (small, large, otherwise)
    }

    #[test]
    fn a_rest_of_min_bytes_is_not_searched() {
        assert_eq!(ranges(0), (0..0, 0..0, 0));
        assert_eq!(ranges(63), (63..63, 63..63, 63));
        assert_eq!(ranges(64), (64..64, 64..64, 64));
    }

    #[test]
    fn the_last_odd_position_is_not_tried() {
        assert_eq!(ranges(65), (64..64, 64..64, 65));
        assert_eq!(ranges(66), (64..66, 66..66, 66));
        assert_eq!(ranges(255), (64..254, 254..254, 255));
        assert_eq!(ranges(257), (64..256, 256..256, 257));
        assert_eq!(ranges(1023), (64..256, 256..1022, 1023));
    }

    #[test]
    fn nothing_beyond_max_is_searched() {
        assert_eq!(ranges(1024), (64..256, 256..1024, 1024));
        assert_eq!(ranges(1025), (64..256, 256..1024, 1024));
        assert_eq!(ranges(u64::MAX), (64..256, 256..1024, 1024));
    }
}
