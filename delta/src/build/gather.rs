//! Sections that follow each other share a group: what one needs of the base often serves the next, and so does what
//! an encoder has learnt.

use std::ops::Range;

use super::sections::Section;
use crate::format::{Stream, UNIT};

/// Base ranges closer than this become one: saying both costs more than reading what lies between.
const NEAR: u64 = 4 * UNIT;

/// What is encoded together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gathered {
    pub(super) stream: Stream,
    /// Ascending.
    pub(super) target: Vec<Range<u64>>,
    /// Ascending, of whole units, and apart.
    pub(super) base: Vec<Range<u64>>,
}

/// Bytes of target and base after which a group is full. A device holds both at once to decode it.
fn room(stream: Stream) -> u64 {
    match stream {
        Stream::Plain => 12 << 20,
        Stream::Programs => 16 << 20,
    }
}

/// Groups of the sections of one stream, which ascend.
pub(super) fn gather(sections: &[Section], stream: Stream, base_len: u64) -> Vec<Gathered> {
    let mut groups: Vec<Gathered> = Vec::new();
    for section in sections {
        let target = section.target.clone();
        if let Some(group) = groups.last_mut() {
            let base = joined(&group.base, &section.base, base_len);
            if total(&group.target) + (target.end - target.start) <= room(stream)
                && total(&base) <= room(stream)
            {
                group.base = base;
                match group.target.last_mut().filter(|last| last.end == target.start) {
                    Some(last) => last.end = target.end,
                    None => group.target.push(target),
                }
                continue;
            }
        }
        let base = joined(&[], &section.base, base_len);
        groups.push(Gathered { stream, target: vec![target], base });
    }
    groups
}

/// Bytes of all ranges.
pub(super) fn total(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

/// All of both, in whole units, ascending and apart.
fn joined(one: &[Range<u64>], other: &[Range<u64>], base_len: u64) -> Vec<Range<u64>> {
    let whole = |range: &Range<u64>| {
        range.start / UNIT * UNIT..range.end.div_ceil(UNIT).saturating_mul(UNIT).min(base_len)
    };
    let mut all: Vec<Range<u64>> = one.iter().chain(other).map(whole).collect();
    all.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(all.len());
    for range in all {
        match joined.last_mut().filter(|last| range.start <= last.end + NEAR) {
            Some(last) => last.end = last.end.max(range.end),
            None => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "ranges are meant")]
mod tests {
    use super::*;

    const M: u64 = 1 << 20;

    fn section(target: Range<u64>, base: Range<u64>) -> Section {
        Section { target, base: vec![base] }
    }

    #[test]
    fn groups_stay_below_their_bounds_and_share_their_base() {
        let sections = [
            section(0..5 * M, 100 * M + 5..106 * M),
            section(7 * M..12 * M, 105 * M..110 * M),
            section(12 * M..15 * M, 0..M),
            section(20 * M..21 * M, 30 * M..38 * M),
        ];
        let groups = gather(&sections, Stream::Plain, 1000 * M);
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].target, [0..5 * M, 7 * M..12 * M]);
        assert_eq!(groups[0].base, [100 * M..110 * M]);
        assert_eq!(groups[1].target, [12 * M..15 * M, 20 * M..21 * M]);
        assert_eq!(groups[1].base, [0..M, 30 * M..38 * M]);
    }

    #[test]
    fn a_base_ends_with_the_image() {
        let groups = gather(&[section(0..10, 4000..5000)], Stream::Programs, 5000);
        assert_eq!(groups[0].base, [0..5000]);
    }
}
