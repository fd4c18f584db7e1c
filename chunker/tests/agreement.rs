//! Every way to cut finds the cuts of the reference, and the reference those of the `fastcdc` crate.

use std::io::Read;

use chunk_chunker::{Chunks, Cutter, Params, Segment, cut, parallel, scan};
use fastcdc::v2020::{FastCDC, Normalization};
use proptest::prelude::*;

mod inputs;
mod reference;
mod strategies;

use inputs::random;
use strategies::{any_image, any_params};

fn params(min: u32, avg: u32, max: u32, level: u8) -> Params {
    Params::new(min, avg, max, level).expect("chosen within the limits")
}

/// Asserts that all ways agree on `image`.
fn agree(params: Params, image: &[u8]) {
    let expected = reference::cuts(params, image);
    assert_eq!(expected.last().copied().unwrap_or(0), image.len() as u64, "the chunks join to the image");
    let check = |way: &str, cuts: &[u64]| {
        assert!(cuts == expected, "{way}, {params:?}: {}", first_difference(cuts, &expected));
    };
    check("the fastcdc crate", &by_fastcdc(params, image));
    check("one by one", &one_by_one(params, image));
    check("in parallel", &parallel::cuts(params, image));
    check("as a stream", &streamed(params, image, image));
    for segment in [1000, 65_537, 1 << 20] {
        for scanned in [Scanned::All, Scanned::None, Scanned::EverySecond] {
            check(
                &format!("in segments of {segment}, scanned: {scanned:?}"),
                &pushed(params, image, segment, scanned),
            );
        }
    }
}

fn first_difference(cuts: &[u64], expected: &[u64]) -> String {
    let at = cuts.iter().zip(expected).take_while(|(cut, expected)| cut == expected).count();
    format!("cut {at} is at {:?}, expected at {:?}", cuts.get(at), expected.get(at))
}

fn by_fastcdc(params: Params, image: &[u8]) -> Vec<u64> {
    let [min, avg, max] = [params.min(), params.avg(), params.max()].map(|size| size as usize);
    let level = match params.level() {
        0 => Normalization::Level0,
        1 => Normalization::Level1,
        2 => Normalization::Level2,
        _ => Normalization::Level3,
    };
    let chunks = FastCDC::with_level(image, min, avg, max, level);
    chunks.map(|chunk| (chunk.offset + chunk.length) as u64).collect()
}

fn one_by_one(params: Params, image: &[u8]) -> Vec<u64> {
    let mut ends = Vec::new();
    let mut start = 0;
    while start < image.len() {
        start += cut(params, &image[start..]);
        ends.push(start as u64);
    }
    ends
}

/// Cuts what `reader` returns, and compares the chunks' bytes with the image's on the way.
fn streamed(params: Params, image: &[u8], reader: impl Read) -> Vec<u64> {
    let mut ends = Vec::new();
    let mut rest = image;
    let mut chunks = Chunks::new(params, reader);
    while let Some(chunk) = chunks.next_chunk().expect("this reader does not fail") {
        assert_eq!(chunk.offset, ends.last().copied().unwrap_or(0));
        rest = rest.strip_prefix(chunk.bytes).expect("the chunk's bytes follow in the image");
        ends.push(chunk.offset + chunk.bytes.len() as u64);
    }
    assert!(rest.is_empty());
    ends
}

#[derive(Debug, Clone, Copy)]
enum Scanned {
    All,
    None,
    EverySecond,
}

fn pushed(params: Params, image: &[u8], segment: usize, scanned: Scanned) -> Vec<u64> {
    let mut ends = Vec::new();
    let mut cutter = Cutter::new(params);
    let mut offset = 0;
    for (index, bytes) in image.chunks(segment).enumerate() {
        let scan_this = match scanned {
            Scanned::All => true,
            Scanned::None => false,
            Scanned::EverySecond => index % 2 == 0,
        };
        cutter.push(Segment::new(offset, bytes, scan_this.then(|| scan(params, bytes))));
        offset += bytes.len() as u64;
        ends.extend(std::iter::from_fn(|| cutter.next_chunk()).map(|chunk| chunk.end));
        while cutter.release().is_some() {}
    }
    cutter.finish();
    ends.extend(std::iter::from_fn(|| cutter.next_chunk()).map(|chunk| chunk.end));
    ends
}

#[test]
fn lengths_around_every_limit_are_cut_alike() {
    let image = random(1, (1 << 20) + 1);
    let small = params(64, 256, 1024, 1);
    let avg_is_limit = params(1024, 1024, 1024, 0);
    for params in [Params::DEFAULT, small, avg_is_limit] {
        let limits = [1, 48, params.min(), params.avg(), params.max(), 1 << 20];
        let lens = limits.iter().flat_map(|&limit| [limit - 1, limit, limit + 1]);
        for len in lens {
            agree(params, &image[..len as usize]);
        }
    }
}

#[test]
fn random_bytes_are_cut_alike_under_all_masks() {
    let image = random(2, 3 << 18);
    for log2 in 8..=20 {
        for level in 0..=3 {
            let avg = 1 << log2;
            agree(params(64.max(avg / 4), avg, (8 * avg).min(1 << 20), level), &image);
        }
    }
}

#[test]
fn zeros_are_cut_alike_where_they_begin_and_where_they_end() {
    let mut image = vec![0; 3 << 20];
    agree(Params::DEFAULT, &image);
    for at in [0, 1000, (1 << 20) - 1, 1 << 20, (1 << 20) + 46, (1 << 20) + 47, (3 << 20) - 1] {
        image[at] = 1;
        agree(Params::DEFAULT, &image);
        agree(params(64, 256, 1024, 2), &image);
    }
}

#[test]
fn periodic_bytes_are_cut_alike() {
    for period in [2, 3, 47, 48, 49, 251, 4096, 5000] {
        let image: Vec<u8> = random(3, period).into_iter().cycle().take(300_000).collect();
        agree(Params::DEFAULT, &image);
        agree(params(64, 256, 1024, 0), &image);
    }
}

#[test]
fn chunks_that_are_all_as_small_as_allowed_are_cut_alike() {
    let params = params(64, 256, 1024, 0);
    let small = chunk_chunker::gear::MASKS[8];
    let stop = (0..=u8::MAX).find(|&byte| chunk_chunker::gear::GEAR[usize::from(byte)] & small == 0);
    let image = vec![stop.expect("one byte in 128 stops at once"); 100_000];
    let ends = reference::cuts(params, &image);
    assert!(ends.iter().zip(1..).take(1000).all(|(&end, count)| end == 64 * count));
    agree(params, &image);
}

#[test]
fn chunks_that_are_all_as_large_as_allowed_are_cut_alike() {
    let image = vec![0; 1 << 20];
    let ends = reference::cuts(Params::DEFAULT, &image);
    let max = u64::from(Params::DEFAULT.max());
    assert!(ends.iter().zip(1..).all(|(&end, count)| end == max * count));
    agree(Params::DEFAULT, &image);
    agree(params(1 << 20, 1 << 20, 1 << 20, 3), &random(4, (3 << 20) + 5));
}

#[test]
fn bytes_that_allow_a_cut_everywhere_are_cut_alike() {
    // Under this mask a window full of this byte clears both masks.
    agree(params(64, 512, 4096, 0), &vec![57; (1 << 20) + 12345]);
    // And here it clears only one of two that are not nested.
    agree(params(64, 256, 4096, 1), &vec![57; 100_000]);
    agree(params(64, 256, 4096, 1), &vec![9; 100_000]);
}

/// Asserts that no cut of the image in its second MiB is one if the image starts there.
fn assert_never_meet(params: Params, image: &[u8]) {
    let (block, blocks) = (1 << 20, 3 << 20);
    let guessed = reference::cuts(params, &image[block..blocks - block]);
    let cuts = reference::cuts(params, &image[..blocks]);
    assert!(guessed.len() > 10, "{params:?}: too few cuts to tell");
    for at in &guessed[..guessed.len() - 1] {
        assert!(cuts.binary_search(&(at + block as u64)).is_err(), "{params:?}: both cut at {at}");
    }
}

#[test]
fn cuts_that_never_meet_those_guessed_from_the_middle_are_found_alike() {
    let len = (5 << 20) + 321;
    let stop = vec![57; len];
    for (params, image) in [
        // All as small as allowed, which does not divide a MiB.
        (params(66, 512, 4096, 0), &stop),
        (params(510, 512, 1024, 0), &stop),
        // All as large as allowed, likewise.
        (params(64, 256, 1026, 2), &vec![0; len]),
        (params(1024, 4096, 32766, 2), &vec![0; len]),
        // Each period decides for both, at places of their own.
        (params(1000, 1024, 1028, 3), &random(5, 257).into_iter().cycle().take(len).collect()),
    ] {
        assert_never_meet(params, image);
        agree(params, image);
    }
}

#[test]
fn cuts_that_meet_those_guessed_from_the_middle_now_and_then_are_found_alike() {
    let mut image = vec![57; 6 << 20];
    for (seed, at) in (6..).zip((0..image.len()).step_by(777_777)) {
        let noise = random(seed, 100_000);
        let len = noise.len().min(image.len() - at);
        image[at..at + len].copy_from_slice(&noise[..len]);
    }
    agree(params(66, 512, 4096, 0), &image);
    agree(Params::DEFAULT, &image);
    agree(params(1 << 18, 1 << 19, 1 << 20, 0), &image);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20) })]

    #[test]
    fn any_image_of_many_blocks_is_cut_alike_on_all_threads(
        params in any_params(),
        image in any_image(),
        lead in 0..5000_usize,
    ) {
        // Repeats at a distance that no parameter divides: now the cuts meet the guessed ones and now they do not.
        let image: Vec<u8> = image.iter().chain(&[1]).copied().cycle().skip(lead).take(4 << 20).collect();
        prop_assert_eq!(parallel::cuts(params, &image), reference::cuts(params, &image));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_image_is_cut_alike(params in any_params(), image in any_image()) {
        agree(params, &image);
    }

    #[test]
    fn any_segments_are_cut_alike(
        params in any_params(),
        image in any_image(),
        pieces in prop::collection::vec((0..5000_usize, any::<bool>()), 1..20),
    ) {
        let mut cutter = Cutter::new(params);
        let mut ends = Vec::new();
        let mut rest = &image[..];
        // An empty piece now and then is fine; pieces without end are not.
        for &(len, scanned) in pieces.iter().chain([&(1, true)]).cycle() {
            let (bytes, behind) = rest.split_at(len.min(rest.len()));
            let offset = (image.len() - rest.len()) as u64;
            cutter.push(Segment::new(offset, bytes, scanned.then(|| scan(params, bytes))));
            ends.extend(std::iter::from_fn(|| cutter.next_chunk()).map(|chunk| chunk.end));
            while cutter.release().is_some() {}
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        cutter.finish();
        ends.extend(std::iter::from_fn(|| cutter.next_chunk()).map(|chunk| chunk.end));
        prop_assert_eq!(ends, reference::cuts(params, &image));
    }
}
