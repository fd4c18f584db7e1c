//! Images that nobody holds: what patch after patch makes of a seed, looked up down to the seed's own bytes.

use std::ops::Range;

use chunk_delta::{Origin, Stream};

use super::link::Link;

/// Bytes of an image on the way, and where they come from in the end.
pub(super) struct Piece {
    /// Where in the image they lie.
    pub(super) image: Range<u64>,
    pub(super) root: Root,
}

/// Where bytes come from in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// They are zeros.
    Zero,
    /// They lie in the seed from this offset on.
    Seed(u64),
    /// They come out of a group of the link with this number; the offset counts all that comes out of its stream.
    Group(usize, Stream, u64),
}

/// Visits what `range` of the image that `links` make of a seed consists of, in order. No piece comes out of two groups.
pub(super) fn visit(links: &[Link], range: Range<u64>, visitor: &mut dyn FnMut(Piece)) {
    let Some((last, before)) = links.split_last() else {
        let root = Root::Seed(range.start);
        return visitor(Piece { image: range, root });
    };
    for piece in last.patch.pieces(range) {
        let at = piece.target.start;
        let root = match piece.origin {
            Origin::Zero => Root::Zero,
            Origin::New(stream, offset) => Root::Group(before.len(), stream, offset),
            Origin::Base(offset) => {
                let base = offset..offset + (piece.target.end - at);
                visit(before, base, &mut |piece| {
                    let image = at + (piece.image.start - offset)..at + (piece.image.end - offset);
                    visitor(Piece { image, ..piece });
                });
                continue;
            }
        };
        visitor(Piece { image: piece.target, root });
    }
}

/// Notes in each of `links` the groups without which `wanted` parts of the image cannot be made. Returns the parts of the
/// seed that are needed for it.
pub(super) fn note_groups(links: &mut [Link], mut wanted: Vec<Range<u64>>) -> Vec<Range<u64>> {
    for link in links.iter_mut().rev() {
        let mut below = Vec::new();
        let mut is_noted = vec![false; link.patch.groups().len()];
        for piece in wanted.iter().flat_map(|range| link.patch.pieces(range.clone())) {
            match piece.origin {
                Origin::Zero => {}
                Origin::Base(offset) => below.push(offset..offset + (piece.target.end - piece.target.start)),
                Origin::New(stream, offset) => {
                    let group = link.patch.group_of(stream, offset).expect("the groups make all new bytes");
                    if !std::mem::replace(&mut is_noted[group], true) {
                        link.groups.push(group);
                        below.extend_from_slice(&link.patch.groups()[group].base);
                    }
                }
            }
        }
        wanted = joined(below);
    }
    wanted
}

/// The same bytes in ascending ranges that do not touch.
fn joined(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.dedup_by(|next, last| {
        let touches = next.start <= last.end;
        if touches {
            last.end = last.end.max(next.end);
        }
        touches
    });
    ranges
}
