//! Images, and what may happen to them from one version to the next.

use chunk_chunker::image::BLOCK;
use proptest::prelude::*;
use proptest::sample::Index as At;

use crate::inputs::random;

/// An image of `len` bytes with what real ones have: noise, text, constant fill, zeros longer than a block.
pub(crate) fn mixed(seed: u64, len: usize) -> Vec<u8> {
    let text = b"a line of a file that occurs again and again, with a number: ";
    let mut image = Vec::with_capacity(len + 2 * BLOCK);
    let mut part = 0;
    while image.len() < len {
        let noise = random(seed ^ (part << 32), 8 + 90_000);
        match part % 5 {
            0 | 3 => image.extend_from_slice(&noise[..40_001]),
            1 => image.extend(noise.iter().step_by(40).flat_map(|byte| [text, &[*byte][..]].concat())),
            2 => image.resize(image.len() + 3 * BLOCK / 2, 0),
            _ => image.resize(image.len() + 70_000, 0xff),
        }
        part += 1;
    }
    image.truncate(len);
    image
}

/// Runs of noise, of one byte, and of noise that repeats.
pub(crate) fn any_image() -> impl Strategy<Value = Vec<u8>> {
    let run = prop_oneof![
        4 => (any::<u64>(), 1..BLOCK).prop_map(|(seed, len)| random(seed, len)),
        2 => (1..2 * BLOCK).prop_map(|len| vec![0; len]),
        1 => (any::<u8>(), 1..BLOCK / 2).prop_map(|(byte, len)| vec![byte; len]),
        1 => (any::<u64>(), 1..9000_usize, 1..BLOCK / 2).prop_map(|(seed, period, len)| {
            random(seed, period).into_iter().cycle().take(len).collect()
        }),
    ];
    prop::collection::vec(run, 0..7).prop_map(|runs| runs.concat())
}

/// A change between two versions.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Overwrite(At, u64, usize),
    Zero(At, usize),
    Insert(At, u64, usize),
    Remove(At, usize),
    Truncate(At),
    Append(u64, usize),
    AppendZeros(usize),
    /// Cut off, or filled up with zeros, at so many bytes around the end of a block.
    EndAtBlock(At, usize),
    /// One part copied over another.
    Copy(At, At, usize),
}

pub(crate) fn any_edit() -> impl Strategy<Value = Edit> {
    let at = any::<At>;
    let short = || prop_oneof![1..40_usize, 1..20_000_usize];
    prop_oneof![
        4 => (at(), any::<u64>(), short()).prop_map(|(at, seed, len)| Edit::Overwrite(at, seed, len)),
        2 => (at(), 1..3 * BLOCK / 2).prop_map(|(at, len)| Edit::Zero(at, len)),
        2 => (at(), any::<u64>(), short()).prop_map(|(at, seed, len)| Edit::Insert(at, seed, len)),
        2 => (at(), short()).prop_map(|(at, len)| Edit::Remove(at, len)),
        1 => at().prop_map(Edit::Truncate),
        1 => (any::<u64>(), 1..BLOCK).prop_map(|(seed, len)| Edit::Append(seed, len)),
        1 => (1..2 * BLOCK).prop_map(Edit::AppendZeros),
        2 => (at(), 0..3_usize).prop_map(|(at, offset)| Edit::EndAtBlock(at, offset)),
        2 => (at(), at(), 1..BLOCK).prop_map(|(from, to, len)| Edit::Copy(from, to, len)),
    ]
}

impl Edit {
    pub(crate) fn apply(&self, image: &mut Vec<u8>) {
        let place = |at: &At, image: &[u8]| at.index(image.len() + 1);
        match *self {
            Self::Overwrite(ref at, seed, len) => {
                let start = place(at, image);
                let end = image.len().min(start + len);
                image[start..end].copy_from_slice(&random(seed, end - start));
            }
            Self::Zero(ref at, len) => {
                let start = place(at, image);
                let end = image.len().min(start + len);
                image[start..end].fill(0);
            }
            Self::Insert(ref at, seed, len) => {
                let start = place(at, image);
                image.splice(start..start, random(seed, len));
            }
            Self::Remove(ref at, len) => {
                let start = place(at, image);
                let end = image.len().min(start + len);
                image.drain(start..end);
            }
            Self::Truncate(ref at) => image.truncate(place(at, image)),
            Self::Append(seed, len) => image.extend(random(seed, len)),
            Self::AppendZeros(len) => image.resize(image.len() + len, 0),
            Self::EndAtBlock(ref at, offset) => {
                let blocks = 1 + at.index(image.len() / BLOCK + 1);
                image.resize(blocks * BLOCK + offset - 1, 0);
            }
            Self::Copy(ref from, ref to, len) => {
                let (from, to) = (place(from, image), place(to, image));
                let len = len.min(image.len() - from.max(to));
                image.copy_within(from..from + len, to);
            }
        }
    }
}
