//! How much faster one buffer is cut by all threads than by one.
//!
//! Runs of either kind take turns, and the ratio is taken pair by pair: so it holds when the machine's speed
//! drifts or others use it. `--test` runs one pair.

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
    println!("| bytes | avg | one thread, ms | {} threads, ms | ratio |", all.current_num_threads());
    println!("|---|---|---|---|---|");
    let random = inputs::random(1, IMAGE);
    // Zeros are cut at `max`; from the middle they are guessed at other places, so that guesses are in vain.
    let zeros = vec![0; IMAGE];
    let odd = |max| Params::new(1024, 4096, max, 2).expect("within the limits");
    let around = |avg| Params::new(avg / 4, avg, 8 * avg, 2).expect("within the limits");
    for (what, image, params) in [
        ("random", &random, around(4096)),
        ("random", &random, around(8192)),
        ("random", &random, around(16384)),
        ("zeros, never guessed right", &zeros, odd(32766)),
    ] {
        let mut runs: Vec<_> =
            (0..pairs).map(|_| [nanos(&one, params, image), nanos(&all, params, image)]).collect();
        runs.sort_unstable_by_key(|[one, all]| one * 1000 / all);
        let ratio = runs.get(pairs / 2).map_or(0, |[one, all]| one * 100 / all);
        let middle = |which: usize| {
            let mut times: Vec<_> = runs.iter().map(|run| run[which]).collect();
            times.sort_unstable();
            decimals(times[pairs / 2] / 10_000)
        };
        println!("| {what} | {} | {} | {} | {} |", params.avg(), middle(0), middle(1), decimals(ratio));
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
