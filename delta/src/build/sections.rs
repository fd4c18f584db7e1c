//! Runs of new bytes, and the base bytes that are most like them: those between the same neighbours.

use std::ops::Range;

use super::parts::{Part, Source};

/// Base bytes on each side of what lies between the neighbours.
const MARGIN: u64 = 16 << 10;
/// Longest section; a longer run of new bytes becomes several.
const LONGEST: u64 = 8 << 20;
/// The same where the run is cut, because what was inserted or removed within it is not known.
const WIDE_MARGIN: u64 = 2 << 20;
/// Shortest copy that is a neighbour: shorter ones can be anywhere.
const NEIGHBOUR: u64 = 4 << 10;

/// New bytes and the base bytes that are like them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) target: Range<u64>,
    pub(super) base: Vec<Range<u64>>,
}

/// The sections of new bytes in `parts`, those of programs not among them.
pub(super) fn sections(parts: &[Part], base_len: u64, target_len: u64) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut left = (0, 0);
    let neighbour = |part: &&Part| part.len() >= NEIGHBOUR;
    for (number, part) in parts.iter().enumerate() {
        match part.source {
            Source::Copy(base) if part.len() >= NEIGHBOUR => left = (part.target.end, base + part.len()),
            Source::New => {
                let mut right = parts[number..].iter().filter(neighbour);
                let right = right.find_map(|part| part.base().map(|base| (part.target.start, base.start)));
                let right = right.unwrap_or((target_len, base_len));
                let before = left.1 + (part.target.start - left.0);
                let after = right.1.saturating_sub(right.0 - part.target.end);
                cut(&part.target, before.min(base_len), after, base_len, &mut sections);
            }
            _ => {}
        }
    }
    sections
}

/// The sections of a run that would lie from `before` to `after` if its neighbours are right.
fn cut(target: &Range<u64>, before: u64, after: u64, base_len: u64, out: &mut Vec<Section>) {
    let len = target.end - target.start;
    let around = |start: u64, end: u64, margin: u64| {
        start.saturating_sub(margin)..end.saturating_add(margin).min(base_len)
    };
    let is_plausible = before <= after && after - before <= 2 * len + (256 << 10);
    let pieces = len.div_ceil(LONGEST).max(1);
    for piece in 0..pieces {
        let (start, end) = (len * piece / pieces, len * (piece + 1) / pieces);
        let base = if !is_plausible {
            // Each neighbour may be right.
            let from = before.saturating_add(start);
            let to = after.saturating_sub(len - end);
            vec![
                around(from, from + (end - start), MARGIN),
                around(to.saturating_sub(end - start), to, MARGIN),
            ]
        } else if pieces == 1 {
            vec![around(before, after, MARGIN)]
        } else {
            // Below 2^56: images are shorter than 2^48, and pieces are counted in 8 MiB.
            let at = |piece: u64| before + (after - before) / pieces * piece;
            let all = around(before, after, MARGIN);
            let near = around(at(piece), at(piece + 1), WIDE_MARGIN);
            let part = near.start.max(all.start)..near.end.min(all.end);
            vec![part]
        };
        let base = base.into_iter().filter(|range| range.start < range.end).collect();
        out.push(Section { target: target.start + start..target.start + end, base });
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "ranges are meant")]
mod tests {
    use super::*;

    fn part(target: Range<u64>, source: Source) -> Part {
        Part { target, source }
    }

    const K: u64 = 1 << 10;

    #[test]
    fn the_base_of_a_section_lies_between_its_neighbours() {
        let parts = [
            part(0..100 * K, Source::Copy(1000 * K)),
            part(100 * K..110 * K, Source::New),
            part(110 * K..200 * K, Source::Copy(1105 * K)),
        ];
        let found = sections(&parts, 5000 * K, 200 * K);
        let base = vec![1084 * K..1121 * K];
        assert_eq!(found, [Section { target: 100 * K..110 * K, base }]);
    }

    #[test]
    fn neighbours_out_of_order_give_a_window_each() {
        let parts = [
            part(0..100 * K, Source::Copy(3000 * K)),
            part(100 * K..110 * K, Source::New),
            part(110 * K..200 * K, Source::Copy(1000 * K)),
        ];
        let found = sections(&parts, 5000 * K, 200 * K);
        assert_eq!(found[0].base, [3084 * K..3126 * K, 974 * K..1016 * K]);
    }

    #[test]
    fn a_long_run_is_cut_and_each_section_has_its_part_of_the_base() {
        let parts = [part(0..20 << 20, Source::New)];
        let found = sections(&parts, 21 << 20, 20 << 20);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].base, [0..9 << 20]);
        assert_eq!(found[1].base, [5 << 20..16 << 20]);
        assert_eq!(found[2].base, [12 << 20..21 << 20]);
    }
}
