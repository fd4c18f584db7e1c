//! The cuts of a buffer, found by all threads of the current rayon pool.
//!
//! Where a chunk ends depends on where it starts and on the bytes that follow, on nothing before. So each slice
//! of the buffer is cut on its own, on any thread, as if a chunk started where it does. Such a guess is wrong at
//! first and mostly right after a few chunks: once a chunk of the image starts where a guessed one does, all
//! further cuts of the slice are the guessed ones. Only the chunks before are cut in order. Long zeros, or bytes
//! made for the purpose, may keep the two apart for ever; their cuts are chosen in order among the candidates
//! that the slice was scanned for, so that only this choice is left to a single thread.

use rayon::prelude::*;

use crate::cutter::{Cutter, Segment};
use crate::image::BLOCK;
use crate::params::Params;
use crate::scan::scan;

/// Slices that each thread guesses before they are joined: many enough that threads seldom wait for each other,
/// few enough that the candidates of hostile data stay small beside the data.
const SLICES_PER_THREAD: usize = 16;

/// Where the chunks of `data`, a whole image, end.
///
/// These are the cuts that a single thread finds, whatever the number of threads.
pub fn cuts(params: Params, data: &[u8]) -> Vec<u64> {
    cuts_in_slices(params, data, BLOCK)
}

fn cuts_in_slices(params: Params, data: &[u8], slice_len: usize) -> Vec<u64> {
    let starts: Vec<_> = (0..data.len()).step_by(slice_len).collect();
    let mut groups = starts.chunks(SLICES_PER_THREAD * rayon::current_num_threads());
    let guess = |starts: &[usize]| -> Vec<_> {
        starts.par_iter().map(|&start| Guess::new(params, data, start, slice_len)).collect()
    };
    let mut truth = Truth { cutter: Cutter::new(params), ends: Vec::new() };
    let mut guesses = guess(groups.next().unwrap_or_default());
    while !guesses.is_empty() {
        let next = groups.next().unwrap_or_default();
        // One thread joins these while the others guess the next.
        let ((), ahead) =
            rayon::join(|| guesses.into_iter().for_each(|guess| truth.take(guess)), || guess(next));
        guesses = ahead;
    }
    truth.finish()
}

/// A slice, and its cuts if a chunk starts where it does.
struct Guess<'d> {
    slice: Segment<&'d [u8]>,
    /// The start of the slice and all cuts up to the first that is not within it.
    cuts: Vec<u64>,
}

impl<'d> Guess<'d> {
    fn new(params: Params, data: &'d [u8], start: usize, slice_len: usize) -> Self {
        let (slice, behind) = data[start..].split_at(slice_len.min(data.len() - start));
        let slice = Segment::new(start as u64, slice, Some(scan(params, slice)));
        let end = slice.end();
        // The last chunk may reach so far into what follows, but mostly little of it is looked at.
        let reach = behind.len().min(params.max() as usize);
        let mut cutter = Cutter::new(params);
        cutter.restart(start as u64);
        cutter.push(slice);
        cutter.push(Segment::new(end, &behind[..reach], None));
        if reach == behind.len() {
            cutter.finish();
        }
        let mut cuts = vec![start as u64];
        while cutter.position() < end {
            let chunk = cutter.next_chunk().expect("the longest chunk follows, or the image ends");
            cuts.push(chunk.end);
        }
        let slice = cutter.release().expect("the last chunk leaves the slice");
        Self { slice, cuts }
    }
}

/// The cuts of the image.
struct Truth<'d> {
    cutter: Cutter<&'d [u8]>,
    ends: Vec<u64>,
}

impl<'d> Truth<'d> {
    /// Goes on through the slice that follows.
    fn take(&mut self, Guess { slice, cuts }: Guess<'d>) {
        self.cutter.push(slice);
        loop {
            while self.cutter.release().is_some() {}
            if let Ok(met) = cuts.binary_search(&self.cutter.position()) {
                let (_, agreed) = cuts.split_at(met + 1);
                self.ends.extend(agreed);
                self.cutter.restart(cuts[cuts.len() - 1]);
                break;
            }
            // A chunk that may reach beyond the slice waits for the next one.
            let Some(chunk) = self.cutter.next_chunk() else { break };
            self.ends.push(chunk.end);
        }
        while self.cutter.release().is_some() {}
    }

    fn finish(mut self) -> Vec<u64> {
        self.cutter.finish();
        self.ends.extend(std::iter::from_fn(|| self.cutter.next_chunk()).map(|chunk| chunk.end));
        self.ends
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cut::cut;

    fn one_by_one(params: Params, data: &[u8]) -> Vec<u64> {
        let mut ends = Vec::new();
        let mut start = 0;
        while start < data.len() {
            start += cut(params, &data[start..]);
            ends.push(start as u64);
        }
        ends
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        /// Slices much shorter than a chunk, and as long as many.
        #[test]
        fn slices_of_any_length_are_joined_to_the_cuts_of_the_whole(
            runs in prop::collection::vec(
                prop_oneof![
                    (any::<u8>(), 1..5000_usize).prop_map(|(byte, len)| vec![byte; len]),
                    prop::collection::vec(any::<u8>(), 1..5000),
                ],
                0..20,
            ),
            slice_len in 1..20_000_usize,
        ) {
            let data = runs.concat();
            let params = Params::new(64, 256, 1024, 1).expect("within the limits");
            prop_assert_eq!(cuts_in_slices(params, &data, slice_len), one_by_one(params, &data));
        }
    }
}
