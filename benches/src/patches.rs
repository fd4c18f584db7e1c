//! What patches cost and bring, beside what this project promises of them.
//!
//! `patches CHUNK OLD NEW [OLD NEW]…` publishes each pair with the `chunk` binary CHUNK, with a patch and without. It
//! tells the CPU time and memory of publishing NEW both ways; how fast what is patched is made, on one thread in a
//! group of 64 MiB, pages of files included; and what a device that holds nothing downloads from either store.

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chunk_benches::answers::{number, pair_name, said};
use chunk_benches::group::Group;
use chunk_benches::measure::{Outcome, Run, median, percent, ratio, run, seconds};
use chunk_testing::http::Nginx;

/// Runs of each; medians are told.
const RUNS: usize = 5;
/// All that a device has for it.
const MEMORY: u64 = 64 << 20;

fn main() -> Outcome<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let Some((chunk, images)) = arguments.split_first().filter(|(_, images)| is_pairs(images)) else {
        return Err("usage: patches CHUNK OLD NEW [OLD NEW]…".into());
    };
    println!(
        "| update | make: cpu s | without patches | ratio | peak MB | patched MB | cpu s | without | MB/s \
         | from nothing, bytes more |"
    );
    println!("{}|", "|---".repeat(10));
    for pair in images.chunks_exact(2) {
        let scratch = tempfile::tempdir()?;
        let nginx = Nginx::start("").ok_or("this needs nginx")?;
        Update { chunk, old: &pair[0], new: &pair[1], nginx: &nginx, scratch: scratch.path() }.measure()?;
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
    scratch: &'a Path,
}

impl Update<'_> {
    fn measure(&self) -> Outcome<()> {
        run(&mut self.make(&self.before(), "old", self.old))?;
        let mut pairs = Vec::new();
        for _ in 0..RUNS {
            let with = self.publish("with", &[])?;
            pairs.push((with, self.publish("without", &["--no-patch"])?));
        }
        let of = |value: fn(&(Run, Run)) -> u64| median(pairs.iter().map(value).collect());
        let cpu = |value: fn(&(Run, Run)) -> u64| seconds(Duration::from_millis(of(value)));
        let (patched, by_patch, copied) = self.apply()?;
        let more = i128::from(self.downloaded_anew("with")?) - i128::from(self.downloaded_anew("without")?);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {more} |",
            pair_name(self.old, self.new),
            cpu(|(with, _)| millis(with.cpu)),
            cpu(|(_, without)| millis(without.cpu)),
            ratio(of(|(with, without)| percent(with.cpu, without.cpu))),
            of(|(with, _)| with.peak_kb) / 1000,
            patched / 1_000_000,
            seconds(by_patch),
            seconds(copied),
            patched / 1000 / millis(by_patch.saturating_sub(copied)).max(1),
        );
        Ok(())
    }

    /// Publishes the new version into a store that has the old one, and is called `store`.
    fn publish(&self, store: &str, options: &[&str]) -> Outcome<Run> {
        let root = self.nginx.root().join(store);
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        run(Command::new("cp").arg("-r").arg(self.before()).arg(&root))?;
        run(self.make(&root, "new", self.new).args(options))
    }

    /// A store that has the old version.
    fn before(&self) -> PathBuf {
        self.scratch.join("before")
    }

    fn make(&self, store: &Path, version: &str, image: &Path) -> Command {
        let mut command = Command::new(self.chunk);
        command.args(["make", "--quiet", "--name", "image", "--version", version, "--store"]);
        command.arg(store).arg(image);
        command
    }

    /// Bytes that are patched, and what it takes to make the new version by the patch, and by copying it.
    fn apply(&self) -> Outcome<(u64, Duration, Duration)> {
        let root = self.nginx.root().join("with");
        let index = |version: &str| root.join(format!("image@{version}.cidx"));
        let extract = |seed: &Path, version: &str, options: &[&str]| {
            let mut command = Command::new(self.chunk);
            command.args(["extract", "--verify", "off", "--jobs", "1"]).args(options);
            command
                .arg("--seed")
                .arg(seed)
                .arg("--seed-index")
                .arg(index(version))
                .arg(index("new"))
                .arg("-");
            command
        };
        let report = self.scratch.join("report");
        let path = report.to_str().ok_or("a directory whose name is not text")?;
        run(&mut extract(self.old, "old", &["--quiet", "--report", path]))?;
        let patched = number(&serde_json::from_reader(fs::File::open(&report)?)?, "patched_bytes")?;
        let group = Group::new(Some(MEMORY))?;
        let cpu = |seed, version| -> Outcome<Duration> {
            let mut command = group.inside(&extract(seed, version, &["--quiet"]));
            let runs = (0..RUNS).map(|_| Ok(millis(run(&mut command)?.cpu))).collect::<Outcome<Vec<_>>>()?;
            Ok(Duration::from_millis(median(runs)))
        };
        Ok((patched, cpu(self.old, "old")?, cpu(self.new, "new")?))
    }

    /// What a device that holds nothing downloads of a store.
    fn downloaded_anew(&self, store: &str) -> Outcome<u64> {
        let mut command = Command::new(self.chunk);
        command.args(["plan", "--json", "--no-seed"]);
        command.arg(format!("{}/{store}/image.cidx", self.nginx.url())).arg(self.scratch.join("target"));
        let answer = serde_json::from_str(&said(&mut command)?)?;
        Ok(number(&answer, "download_bytes")? + number(&answer, "index_bytes")?)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
