//! Whose bytes are new.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::layout::{Layout, Metadata, Owner};

/// Bytes of `regions`, which are in order and disjoint, by the owners that `layout` knows. All of them are counted, each
/// once; what several files share is divided by the length of their shares.
pub(crate) fn costs(regions: &[Range<u64>], layout: &Layout) -> BTreeMap<Owner, u64> {
    let mut costs = BTreeMap::new();
    let mut pay = |owner, bytes: u64| {
        if bytes > 0 {
            *costs.entry(owner).or_insert(0_u64) += bytes;
        }
    };
    each_part(regions, layout, |part, owner| {
        let bytes = part.end - part.start;
        match owner {
            Owner::Shared(share) => {
                divide(bytes, layout.shares.get(share).map_or(&[], Vec::as_slice), &mut pay);
            }
            owner => pay(owner, bytes),
        }
    });
    costs
}

/// The parts of `regions` that no span covers.
pub(crate) fn unowned(regions: &[Range<u64>], layout: &Layout) -> Vec<Range<u64>> {
    parts_of(Metadata::Free, regions, layout)
}

/// The parts of `regions` that are such metadata.
pub(crate) fn parts_of(metadata: Metadata, regions: &[Range<u64>], layout: &Layout) -> Vec<Range<u64>> {
    let mut parts = Vec::new();
    each_part(regions, layout, |part, owner| {
        if owner == Owner::Metadata(metadata) {
            parts.push(part);
        }
    });
    parts
}

fn each_part(regions: &[Range<u64>], layout: &Layout, mut show: impl FnMut(Range<u64>, Owner)) {
    for region in regions {
        let mut at = region.start;
        let first = layout.spans.partition_point(|span| span.image.end <= region.start);
        for span in &layout.spans[first..] {
            if span.image.start >= region.end {
                break;
            }
            let part = span.image.start.max(region.start)..span.image.end.min(region.end);
            if at < part.start {
                show(at..part.start, Owner::Metadata(Metadata::Free));
            }
            at = part.end;
            show(part, span.owner);
        }
        if at < region.end {
            show(at..region.end, Owner::Metadata(Metadata::Free));
        }
    }
}

/// Divides `bytes` by the lengths of shares, without losing one.
fn divide(bytes: u64, shares: &[(usize, u64)], pay: &mut impl FnMut(Owner, u64)) {
    let mut left = bytes;
    let mut weight: u128 = shares.iter().map(|(_, len)| u128::from(*len)).sum();
    for (file, len) in shares {
        let part = (u128::from(left) * u128::from(*len)).checked_div(weight).unwrap_or(0);
        let part = u64::try_from(part).map_or(left, |part| part.min(left));
        pay(Owner::File(*file), part);
        left -= part;
        weight -= u128::from(*len);
    }
    pay(Owner::Metadata(Metadata::Tables), left);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_new_byte_is_counted_once() {
        let mut layout = Layout::default();
        layout.shares.push(vec![(0, 30), (1, 10)]);
        layout.claim(100..200, Owner::File(0));
        layout.claim(300..310, Owner::Shared(0));
        layout.claim(400..500, Owner::Metadata(Metadata::Inodes));
        let costs = costs(&[0..50, 90..110, 190..450, 600..601], &layout.finish());
        let expected = [
            (Owner::File(0), 10 + 10 + 7),
            (Owner::File(1), 3),
            (Owner::Metadata(Metadata::Inodes), 50),
            (Owner::Metadata(Metadata::Free), 50 + 10 + 100 + 90 + 1),
        ];
        assert_eq!(costs.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_shared_is_divided_to_the_byte() {
        for bytes in [0, 1, 99, 100, 101, u64::MAX] {
            let mut sum = 0_u64;
            divide(bytes, &[(0, 1), (1, 0), (2, u64::MAX), (3, 7)], &mut |_, part| sum += part);
            assert_eq!(sum, bytes);
        }
    }
}
