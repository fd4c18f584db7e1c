//! Every way to cut finds the cuts of the reference, whatever the parameters, the pieces in which the image
//! arrives, and the pieces that were scanned ahead.

#![no_main]

#[path = "../../chunker/tests/reference/mod.rs"]
mod reference;

use std::io::{self, Read};

use chunk_chunker::{Chunks, Cutter, Params, Segment, cut, parallel, scan};
use libfuzzer_sys::arbitrary::{self, Unstructured};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Unstructured::new(bytes);
    let Ok((params, pieces)) = params(&mut input).and_then(|params| Ok((params, pieces(&mut input)?))) else {
        return;
    };
    let image = image(input.take_rest());
    let expected = reference::cuts(params, &image);

    assert_eq!(one_by_one(params, &image), expected, "cut");
    assert_eq!(parallel::cuts(params, &image), expected, "parallel::cuts");
    assert_eq!(streamed(params, &image, &pieces), expected, "Chunks");
    assert_eq!(driven(params, &image, &pieces), expected, "Cutter");
    assert_restart(params, &image, &pieces, &expected);
});

/// How the image arrives: the length of each piece, in turn, and whether it was scanned before.
type Pieces = Vec<(usize, bool)>;

/// Small parameters, so that a short input has many chunks; any that FORMAT 2 allows in this range.
fn params(input: &mut Unstructured) -> arbitrary::Result<Params> {
    let avg = 1_u32 << input.int_in_range(8..=11)?;
    let min = input.int_in_range(32..=avg / 2)? * 2;
    let max = input.int_in_range(512.max(avg / 2)..=4096)? * 2;
    let level = input.int_in_range(0..=3)?;
    Ok(Params::new(min, avg, max, level).expect("within the limits of FORMAT 2"))
}

/// Short pieces as often as long ones: the faults that are hard to find are at their borders.
fn pieces(input: &mut Unstructured) -> arbitrary::Result<Pieces> {
    let mut piece = || {
        // An input that has run out gives zeros; those must not make it slow.
        let longest = 1 << (14 - input.int_in_range(0..=11)?);
        Ok((longest - input.int_in_range(0..=longest - 1)?, input.arbitrary()?))
    };
    (0..6).map(|_| piece()).collect()
}

/// The bytes over and over, then noise that they seed; several of the longest chunks of each. Repeats defeat a
/// cutter that looks at more or fewer bytes than it should, and in noise every kind of border is met soon.
fn image(bytes: &[u8]) -> Vec<u8> {
    let mut image = bytes.repeat(8_000 / bytes.len().max(1) + 1);
    let repeated = image.len();
    image.resize(repeated + 24_000, 0);
    blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut image[repeated..]);
    image
}

fn one_by_one(params: Params, image: &[u8]) -> Vec<u64> {
    let mut ends = Vec::new();
    let mut rest = image;
    while !rest.is_empty() {
        rest = &rest[cut(params, rest)..];
        ends.push((image.len() - rest.len()) as u64);
    }
    ends
}

fn streamed(params: Params, image: &[u8], pieces: &Pieces) -> Vec<u64> {
    let lengths = pieces.iter().map(|(length, _)| *length).cycle();
    let mut chunks = Chunks::new(params, Ragged { rest: image, lengths });
    let mut ends = Vec::new();
    while let Some(chunk) = chunks.next_chunk().expect("reading memory") {
        let start = chunk.offset as usize;
        assert_eq!(chunk.bytes, &image[start..][..chunk.bytes.len()]);
        ends.push((start + chunk.bytes.len()) as u64);
    }
    ends
}

/// A reader that returns as many bytes as it likes.
struct Ragged<'a, I> {
    rest: &'a [u8],
    lengths: I,
}

impl<I: Iterator<Item = usize>> Read for Ragged<'_, I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = self.lengths.next().unwrap_or(1).min(buffer.len());
        self.rest.read(&mut buffer[..wanted])
    }
}

fn driven(params: Params, image: &[u8], pieces: &Pieces) -> Vec<u64> {
    let mut cutter = Cutter::new(params);
    drive(&mut cutter, params, image, 0, pieces)
}

/// Pushes the image from `offset` on and returns where the chunks end.
fn drive<'a>(
    cutter: &mut Cutter<&'a [u8]>,
    params: Params,
    image: &'a [u8],
    mut offset: usize,
    pieces: &Pieces,
) -> Vec<u64> {
    let mut ends = Vec::new();
    let mut collect = |cutter: &mut Cutter<&'a [u8]>| {
        while let Some(chunk) = cutter.next_chunk() {
            assert_eq!(
                cutter.parts(chunk.clone()).collect::<Vec<_>>().concat(),
                &image[chunk.start as usize..chunk.end as usize]
            );
            ends.push(chunk.end);
        }
        while cutter.release().is_some() {}
    };
    for (length, scanned) in pieces.iter().cycle() {
        if offset == image.len() {
            break;
        }
        let bytes = &image[offset..][..(*length).min(image.len() - offset)];
        let candidates = scanned.then(|| scan(params, bytes));
        cutter.push(Segment::new(offset as u64, bytes, candidates));
        offset += bytes.len();
        collect(cutter);
    }
    cutter.finish();
    collect(cutter);
    ends
}

/// Cuts again from the middle of the image: a cut does not depend on how its start was reached.
fn assert_restart(params: Params, image: &[u8], pieces: &Pieces, expected: &[u64]) {
    let Some((first, rest)) = expected.get(expected.len() / 2..).and_then(<[u64]>::split_first) else {
        return;
    };
    let mut cutter = Cutter::new(params);
    cutter.restart(*first);
    assert_eq!(drive(&mut cutter, params, image, *first as usize, pieces), rest, "restart");
}
