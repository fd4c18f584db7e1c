//! Which pieces that are here make up a range, and what is missing of it.

use std::ops::Range;

/// How to have a range.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cover {
    /// Pieces from the range's start on, each with the bytes to take of it.
    pub(crate) front: Vec<Part>,
    /// What no piece reaches from either end; pieces in its middle are not worth a second request.
    pub(crate) missing: Range<u64>,
    /// Pieces up to the range's end, in ascending order.
    pub(crate) back: Vec<Part>,
}

/// Bytes of a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) piece: Range<u64>,
    pub(crate) bytes: Range<u64>,
}

/// Covers `wanted` by `pieces`, which may overlap.
pub(crate) fn cover(wanted: &Range<u64>, pieces: &[Range<u64>]) -> Cover {
    let (mut start, mut end) = (wanted.start, wanted.end);
    let mut front = Vec::new();
    while start < end {
        let reaching = pieces.iter().filter(|piece| piece.start <= start && start < piece.end);
        let Some(piece) = reaching.max_by_key(|piece| piece.end) else { break };
        front.push(Part { piece: piece.clone(), bytes: start..piece.end.min(end) });
        start = piece.end.min(end);
    }
    let mut back = Vec::new();
    while start < end {
        let reaching = pieces.iter().filter(|piece| piece.start < end && end <= piece.end);
        let Some(piece) = reaching.min_by_key(|piece| piece.start) else { break };
        back.push(Part { piece: piece.clone(), bytes: piece.start.max(start)..end });
        end = piece.start.max(start);
    }
    back.reverse();
    Cover { front, missing: start..end, back }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_missing_is_asked_for_in_one_piece() {
        let cover = cover(&(10..100), &[0..20, 15..30, 40..50, 90..200]);
        let bytes =
            |parts: &[Part]| parts.iter().map(|part| (part.bytes.start, part.bytes.end)).collect::<Vec<_>>();
        assert_eq!(bytes(&cover.front), [(10, 20), (20, 30)]);
        assert_eq!(cover.missing, 30..90);
        assert_eq!(bytes(&cover.back), [(90, 100)]);
    }

    proptest! {
        #[test]
        fn the_parts_are_the_range_and_lie_in_their_pieces(
            start in 0u64..50,
            len in 0u64..50,
            pieces in prop::collection::vec((0u64..100, 1u64..40), 0..8),
        ) {
            let pieces: Vec<_> = pieces.into_iter().map(|(start, len)| start..start + len).collect();
            let wanted = start..start + len;
            let cover = cover(&wanted, &pieces);
            let mut at = wanted.start;
            for part in &cover.front {
                prop_assert_eq!(part.bytes.start, at);
                at = part.bytes.end;
            }
            prop_assert_eq!(cover.missing.start, at);
            at = cover.missing.end;
            for part in &cover.back {
                prop_assert_eq!(part.bytes.start, at);
                at = part.bytes.end;
            }
            prop_assert_eq!(at, wanted.end);
            for part in cover.front.iter().chain(&cover.back) {
                prop_assert!(pieces.contains(&part.piece));
                prop_assert!(part.piece.start <= part.bytes.start && part.bytes.end <= part.piece.end);
                prop_assert!(!part.bytes.is_empty());
            }
            let is_held = |at: u64| pieces.iter().any(|piece| piece.contains(&at));
            prop_assert!(cover.missing.is_empty() || !is_held(cover.missing.start) && !is_held(cover.missing.end - 1));
        }
    }
}
