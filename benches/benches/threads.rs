//! How much faster one buffer is cut by all threads than by one.
//!
//! Runs of either kind take turns. On a machine that others use, a run on all threads waits for the slowest of
//! them, so beside the median of the ratios, pair by pair, stands the ratio of the best times: what the threads can
//! do where nobody disturbs them. `--test` runs one pair.

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::hint::black_box;
use std::time::Instant;

use chunk_chunker::{Params, parallel};
use rayon::{ThreadPool, ThreadPoolBuilder};

#[path = "../../chunker/tests/inputs/mod.rs"]
mod inputs;

/// Far more than caches hold.
const IMAGE: usize = 64 << 20;
const PAIRS: usize = 101;

fn main() {
    let pairs = if std::env::args().any(|argument| argument == "--test") { 1 } else { PAIRS };
    let pool =
        |threads| ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
    let (one, all) = (pool(1), pool(0));
    let threads = all.current_num_threads();
    println!(
        "| bytes | avg | one thread, best ms | {threads} threads, best ms | ratio of best | median ratio |"
    );
    println!("|---|---|---|---|---|---|");
    let random = inputs::random(1, IMAGE);
    let zeros = vec![0; IMAGE];
    let around = |avg| Params::new(avg / 4, avg, 8 * avg, 2).expect("within the limits");
    // Zeros are cut at `max`. From the start of a block they are guessed at other places, so guesses are in vain.
    let in_vain = Params::new(1024, 4096, 32766, 2).expect("within the limits");
    for (what, image, params) in [
        ("random", &random, around(4096)),
        ("random", &random, around(8192)),
        ("random", &random, around(16384)),
        ("zeros, never guessed right", &zeros, in_vain),
    ] {
        let runs: Vec<_> =
            (0..pairs).map(|_| (nanos(&one, params, image), nanos(&all, params, image))).collect();
        let best_one = runs.iter().map(|(one, _)| *one).min().unwrap_or_default();
        let best_all = runs.iter().map(|(_, all)| *all).min().unwrap_or_default();
        let mut ratios: Vec<_> = runs.iter().map(|(one, all)| one * 100 / all.max(&1)).collect();
        ratios.sort_unstable();
        println!(
            "| {what} | {} | {} | {} | {} | {} |",
            params.avg(),
            decimals(best_one / 10_000),
            decimals(best_all / 10_000),
            decimals(best_one * 100 / best_all.max(1)),
            decimals(ratios[pairs / 2]),
        );
    }
}

/// Time to cut `image` in `pool`.
fn nanos(pool: &ThreadPool, params: Params, image: &[u8]) -> u128 {
    let started = Instant::now();
    black_box(pool.install(|| parallel::cuts(params, black_box(image))));
    started.elapsed().as_nanos()
}

/// Hundredths as a number with two decimals.
fn decimals(hundredths: u128) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}
