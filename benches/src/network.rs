//! What updates over a network cost: bytes, requests and time, beside what this project promises of them.
//!
//! `network CHUNK OLD NEW [OLD NEW]…` publishes each pair with the `chunk` binary CHUNK, serves it by an nginx, and
//! updates OLD to NEW: on this machine and over links with a round trip and a rate, by patches and by frames alone.
//! Bytes and requests are nginx's own count, heads of answers included. Every result is compared with NEW.

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use chunk_benches::answers::{millions, number, pair_name, said};
use chunk_benches::measure::{Outcome, seconds};
use chunk_testing::http::{Nginx, Relay};
use serde_json::Value;

/// Ways to the server: what they are called, milliseconds of a round trip, and bytes a second.
const LINKS: [(&str, u64, u64); 3] = [
    ("50 ms, 20 Mbit/s", 50, 2_500_000),
    ("200 ms, 20 Mbit/s", 200, 2_500_000),
    ("200 ms, 100 Mbit/s", 200, 12_500_000),
];
/// Runs of each update over a link; the median is told.
const RUNS: usize = 3;
/// Of the time that the bytes alone take on a link, so many percent may be spent, and so many round trips.
const PERCENT: u64 = 120;
const ROUND_TRIPS: u64 = 10;

fn main() -> Outcome<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let Some((chunk, images)) = arguments.split_first().filter(|(_, images)| is_pairs(images)) else {
        return Err("usage: network CHUNK OLD NEW [OLD NEW]…".into());
    };
    let scratch = tempfile::tempdir()?;
    let links = LINKS.map(|(link, ..)| format!("{link}: requests | s | asked for |")).join(" ");
    println!("| update | by | MB | wasted | requests | of missing chunks | peak MB | here: s | {links}");
    println!("{}|", "|---".repeat(8 + 3 * LINKS.len()));
    for pair in images.chunks_exact(2) {
        let nginx = Nginx::start("").ok_or("this needs nginx")?;
        let update = Update {
            chunk,
            old: &pair[0],
            new: &pair[1],
            nginx: &nginx,
            target: scratch.path().join("target"),
        };
        update.publish()?;
        for (how, options) in [("patch", &[][..]), ("frames", &["--no-patch"])] {
            update.measure(how, options)?;
        }
    }
    Ok(())
}

fn is_pairs(images: &[PathBuf]) -> bool {
    !images.is_empty() && images.len().is_multiple_of(2)
}

struct Update<'a> {
    chunk: &'a Path,
    old: &'a Path,
    new: &'a Path,
    nginx: &'a Nginx,
    target: PathBuf,
}

/// What an update has cost.
struct Cost {
    /// What `extract` says of it.
    report: Value,
    requests: u64,
    /// Sent by the server.
    bytes: u64,
    wall: Duration,
}

impl Update<'_> {
    fn publish(&self) -> Outcome<()> {
        for (image, version) in [(self.old, "old"), (self.new, "new")] {
            let mut command = Command::new(self.chunk);
            command.args(["make", "--quiet", "--name", "image", "--version", version, "--store"]);
            said(command.arg(self.nginx.root()).arg(image))?;
        }
        Ok(())
    }

    fn measure(&self, how: &str, options: &[&str]) -> Outcome<()> {
        let near = self.run(self.nginx.port(), options)?;
        let wanted = near.wanted()?;
        let wasted = near.bytes.saturating_sub(wanted) * 1000 / near.bytes.max(1);
        let mut row = vec![
            pair_name(self.old, self.new),
            how.to_owned(),
            millions(near.bytes),
            format!("{}.{} %", wasted / 10, wasted % 10),
            near.requests.to_string(),
            self.missing_chunks()?.to_string(),
            (near.number("peak_memory_bytes")? / 1_000_000).to_string(),
            seconds(near.wall),
        ];
        for (_, round_trip, rate) in LINKS {
            let round_trip = Duration::from_millis(round_trip);
            let relay = Relay::start(self.nginx.port(), round_trip / 2, rate)?;
            let costs = (0..RUNS).map(|_| self.run(relay.port(), options)).collect::<Outcome<Vec<_>>>()?;
            let mut walls: Vec<_> = costs.iter().map(|cost| cost.wall).collect();
            walls.sort_unstable();
            // What a request is worth is measured in each run.
            let mut requests: Vec<_> = costs.iter().map(|cost| cost.requests).collect();
            requests.sort_unstable();
            let bytes = Duration::from_micros(wanted.saturating_mul(10_000 * PERCENT) / rate);
            let asked = bytes + round_trip * u32::try_from(ROUND_TRIPS)?;
            row.extend([requests[RUNS / 2].to_string(), seconds(walls[RUNS / 2]), seconds(asked)]);
        }
        println!("| {} |", row.join(" | "));
        Ok(())
    }

    /// Updates over the server at `port`.
    fn run(&self, port: u16, options: &[&str]) -> Outcome<Cost> {
        if self.target.exists() {
            fs::remove_file(&self.target)?;
        }
        let before = self.answered()?;
        let mut command = Command::new(self.chunk);
        command.args(["extract", "--json", "--verify", "off"]).args(options).arg("--seed").arg(self.old);
        command.arg("--seed-index").arg(self.nginx.root().join("image@old.cidx"));
        command.arg(format!("http://127.0.0.1:{port}/image@new.cidx")).arg(&self.target);
        let started_at = Instant::now();
        let report = said(&mut command)?;
        let wall = started_at.elapsed();
        if !Command::new("cmp").arg(&self.target).arg(self.new).status()?.success() {
            return Err(format!("{} is not the image", self.target.display()).into());
        }
        let (requests, bytes) = self.answered()?;
        let (requests, bytes) = (requests - before.0, bytes - before.1);
        Ok(Cost { report: serde_json::from_str(&report)?, requests, bytes, wall })
    }

    /// Requests and bytes that the server has answered, and sent, so far.
    fn answered(&self) -> Outcome<(u64, u64)> {
        // An answer is told just after it was read.
        thread::sleep(Duration::from_millis(200));
        let answers = self.nginx.answers()?;
        Ok((answers.len() as u64, answers.iter().map(|answer| answer.bytes).sum()))
    }

    fn missing_chunks(&self) -> Outcome<u64> {
        let mut command = Command::new(self.chunk);
        command.args(["diff", "--json"]);
        let indexes = ["image@old.cidx", "image@new.cidx"].map(|name| self.nginx.root().join(name));
        number(&serde_json::from_str(&said(command.args(indexes))?)?, "missing_chunks")
    }
}

impl Cost {
    fn number(&self, key: &str) -> Outcome<u64> {
        number(&self.report, key)
    }

    /// Bytes of objects that were needed: neither gaps between them nor heads of answers.
    fn wanted(&self) -> Outcome<u64> {
        Ok(self.number("download_bytes")? - self.number("gap_bytes")?)
    }
}
