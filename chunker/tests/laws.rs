//! What holds for the cuts of any image, by whatever way they were found.

use std::io::{self, Read};

use chunk_chunker::{Chunks, Params, parallel};
use proptest::prelude::*;

mod inputs;
mod reference;
mod strategies;

use inputs::random;
use strategies::{any_image, any_params};

/// Where the chunks of the bytes that `reader` returns end.
fn streamed(reader: impl Read) -> Vec<u64> {
    let mut ends = Vec::new();
    let mut chunks = Chunks::new(Params::DEFAULT, reader);
    while let Some(chunk) = chunks.next_chunk().expect("this reader does not fail") {
        ends.push(chunk.offset + chunk.bytes.len() as u64);
    }
    ends
}

#[test]
fn how_a_stream_is_sliced_does_not_matter() {
    struct Slices<'a> {
        rest: &'a [u8],
        sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
    }
    impl Read for Slices<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = *self.sizes.next().expect("a cycle does not end");
            let size = size.min(buffer.len());
            self.rest.read(&mut buffer[..size])
        }
    }
    let image = random(5, 5 << 19);
    let expected = reference::cuts(Params::DEFAULT, &image);
    for sizes in [&[1, 7, 100][..], &[4096], &[65537, 3], &[1 << 22]] {
        let reader = Slices { rest: &image, sizes: sizes.iter().cycle() };
        assert!(streamed(reader) == expected, "reads of {sizes:?} bytes");
    }
}

#[test]
fn a_stream_that_failed_continues_without_loss() {
    struct Failing<'a> {
        rest: &'a [u8],
        fail: bool,
    }
    impl Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.fail = !self.fail;
            if self.fail {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let size = buffer.len().min(100_000);
            self.rest.read(&mut buffer[..size])
        }
    }
    let image = random(6, 5 << 19);
    let mut ends = Vec::new();
    let mut failures = 0;
    let mut chunks = Chunks::new(Params::DEFAULT, Failing { rest: &image, fail: false });
    loop {
        match chunks.next_chunk() {
            Ok(Some(chunk)) => ends.push(chunk.offset + chunk.bytes.len() as u64),
            Ok(None) => break,
            Err(_) => failures += 1,
        }
    }
    assert!(failures > 20);
    assert_eq!(ends, reference::cuts(Params::DEFAULT, &image));
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let mut image = random(7, 70 << 20);
    image[20 << 20..40 << 20].fill(0);
    let expected = reference::cuts(Params::DEFAULT, &image);
    for threads in [1, 2, 3, 8] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start");
        let cuts = pool.install(|| parallel::cuts(Params::DEFAULT, &image));
        assert!(cuts == expected, "{threads} threads");
    }
}

#[test]
fn an_edit_moves_few_cuts() {
    let image = random(8, 4 << 20);
    let before = reference::cuts(Params::DEFAULT, &image);
    let at = 1 << 21;
    let mut edited = image;
    edited.splice(at..at, *b"inserted");
    let after = parallel::cuts(Params::DEFAULT, &edited);
    let kept = before.iter().filter(|&&cut| {
        let moved = if cut <= at as u64 { cut } else { cut + 8 };
        after.binary_search(&moved).is_ok()
    });
    assert!(before.len() - kept.count() <= 3, "of {} cuts", before.len());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn chunks_keep_to_their_limits(params in any_params(), image in any_image()) {
        let cuts = parallel::cuts(params, &image);
        let starts = std::iter::once(0).chain(cuts.iter().copied());
        for (start, &end) in starts.zip(&cuts) {
            prop_assert!(end - start <= u64::from(params.max()));
            prop_assert!(end - start >= u64::from(params.min()) || end == image.len() as u64);
        }
    }
}
