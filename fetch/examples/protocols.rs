//! How fast many ranges come from an nginx that is far away: over connections of HTTP/1.1 and over one of HTTP/2, with
//! 16 requests at a time and with 64.
//!
//!     cargo run --release -p chunk-fetch --example protocols
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chunk_fetch::http::{Config, Mirror};
use chunk_fetch::{HttpSource, Source};
use chunk_testing::http::{Certificate, Nginx, Relay};

const PACK: &str = "packs/0.pack";
const AT_A_TIME: [usize; 2] = [16, 64];

fn main() -> Result<(), Box<dyn Error>> {
    let nginx = Nginx::start_tls("").ok_or("this needs nginx")?;
    nginx.put(PACK, &vec![7; 64 << 20])?;
    let ways = [
        ("this machine", 0, 10_000_000_000),
        ("20 ms, 1 Gbit/s", 20, 125_000_000),
        ("50 ms, 20 Mbit/s", 50, 2_500_000),
        ("200 ms, 100 Mbit/s", 200, 12_500_000),
    ];
    println!(
        "{:>18} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "round trip, rate", "ranges", "of KiB", "1.1/16, ms", "1.1/64", "2/16", "2/64", "aim"
    );
    for (way, round_trip, rate) in ways {
        for (ranges, len) in [(400, 16 << 10), (64, 256 << 10)] {
            let relay = Relay::start(nginx.port(), Duration::from_millis(round_trip) / 2, rate)?;
            let mut took = Vec::new();
            for (http2, at_a_time) in
                [false, true].into_iter().flat_map(|http2| AT_A_TIME.map(|n| (http2, n)))
            {
                let fetch = |_| fetch(relay.port(), http2, at_a_time, ranges, len);
                took.push(median((0..3).map(fetch).collect::<Result<_, _>>()?).as_millis());
            }
            print!("{way:>18} {ranges:>10} {:>10}", len >> 10);
            for millis in took {
                print!(" {millis:>10}");
            }
            // What the bytes take and a fifth of it, and ten round trips.
            println!(" {:>10}", ranges * len * 1200 / rate + 10 * round_trip);
        }
    }
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// How long it takes to fetch `ranges` ranges of `len` bytes.
fn fetch(
    port: u16,
    http2: bool,
    at_a_time: usize,
    ranges: u64,
    len: u64,
) -> Result<Duration, Box<dyn Error>> {
    let mut config = Config::default();
    config.http2 = http2;
    config.max_connections = at_a_time;
    config.trust.authorities = Some(Certificate::AUTHORITY.to_vec());
    let source = HttpSource::new(vec![Mirror::new(&format!("https://127.0.0.1:{port}/"))?], config)?;
    let next = AtomicU64::new(0);
    let started_at = Instant::now();
    thread::scope(|scope| {
        let work = || -> Result<(), chunk_fetch::FetchError> {
            let mut buffer = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= ranges {
                    return Ok(());
                }
                let start = number * (len + 1000);
                source.read(PACK, start..start + len, &mut buffer)?;
            }
        };
        let readers: Vec<_> = (0..at_a_time).map(|_| scope.spawn(work)).collect();
        readers.into_iter().try_for_each(|reader| reader.join().expect("no panic"))
    })?;
    Ok(started_at.elapsed())
}
