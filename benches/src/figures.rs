//! The figures that this project promises of `make`, each beside its reference, run in turn.
//!
//! `figures CHUNK IMAGE [SPARSE]` runs the `chunk` binary CHUNK on IMAGE, and on the sparse image SPARSE for the
//! memory alone. It prints a Markdown table with medians over pairs of runs; ratios are taken pair by pair, so
//! they hold when the machine's speed drifts. casync and desync take part if they are on the PATH.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is what the program is for")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rayon::prelude::*;

/// Pairs of runs of each comparison.
const PAIRS: usize = 7;
/// Bytes that one thread compresses at a time in the reference: zstd's own multi-threading does much the same.
const PIECE: usize = 8 << 20;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match texts[..] {
        ["--b3sum", file] => reference_b3sum(Path::new(file)),
        ["--zstd", level, file] => reference_zstd(level.parse()?, Path::new(file)),
        [chunk, image] => figures(Path::new(chunk), Path::new(image), None),
        [chunk, image, sparse] => figures(Path::new(chunk), Path::new(image), Some(Path::new(sparse))),
        _ => Err("usage: figures CHUNK IMAGE [SPARSE]".into()),
    }
}

fn figures(chunk: &Path, image: &Path, sparse: Option<&Path>) -> Outcome<()> {
    let scratch = tempfile::tempdir()?;
    let store = scratch.path().join("store");
    let make = |level: &str| {
        let mut command = Command::new(chunk);
        command
            .args(["make", "--quiet", "--level", level, "--name", "image", "--store"])
            .arg(&store)
            .arg(image);
        command
    };
    let own = std::env::current_exe()?;
    let reference = |arguments: &[&str]| {
        let mut command = Command::new(&own);
        command.args(arguments).arg(image);
        command
    };
    let clear = || -> Outcome<()> {
        let peer = scratch.path().join("peer.castr");
        for directory in [&store, &peer] {
            if directory.exists() {
                fs::remove_dir_all(directory)?;
            }
        }
        Ok(fs::create_dir(peer)?)
    };
    let keep = || Ok(());
    println!(
        "| what | reference | wall s | reference | ratio | cpu s | reference | ratio | peak MB | reference |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let default = chunk_publisher::DEFAULT_LEVEL.to_string();
    for level in [default.as_str(), "3"] {
        let what = format!("first make, level {level}");
        compare(&what, &clear, &mut make(level), "zstd alone", &mut reference(&["--zstd", level]))?;
    }
    run(&mut make(&default))?;
    compare(
        "make of the same image",
        &keep,
        &mut make(&default),
        "BLAKE3 alone",
        &mut reference(&["--b3sum"]),
    )?;
    for peer in ["desync", "casync"] {
        let index = scratch.path().join("peer.caibx");
        let mut command = Command::new(peer);
        command.arg("make").arg("--store").arg(scratch.path().join("peer.castr")).arg(&index).arg(image);
        if Command::new(peer).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
            eprintln!("{peer} is not here");
            continue;
        }
        compare("first make, level 3", &clear, &mut make("3"), &format!("{peer} make"), &mut command)?;
    }
    if let Some(sparse) = sparse {
        clear()?;
        let mut command = Command::new(chunk);
        command.args(["make", "--quiet", "--name", "sparse", "--store"]).arg(&store).arg(sparse);
        let first = run(&mut command)?;
        let again = run(&mut command)?;
        for (what, run) in [("first make, sparse", first), ("again", again)] {
            println!(
                "| {what} | | {} | | | {} | | | {} | |",
                seconds(run.wall),
                seconds(run.cpu),
                run.peak_kb / 1000
            );
        }
    }
    Ok(())
}

/// Runs `a` and `b` in turn and prints a row.
fn compare(
    what: &str,
    prepare: &dyn Fn() -> Outcome<()>,
    a: &mut Command,
    reference: &str,
    b: &mut Command,
) -> Outcome<()> {
    let mut pairs = Vec::new();
    // The first pair warms caches.
    for _ in 0..=PAIRS {
        prepare()?;
        pairs.push((run(a)?, run(b)?));
    }
    pairs.remove(0);
    let of = |value: fn(&(Run, Run)) -> u64| median(pairs.iter().map(value).collect());
    let wall = of(|(a, b)| percent(a.wall, b.wall));
    let cpu = of(|(a, b)| percent(a.cpu, b.cpu));
    let millis = |value: fn(&(Run, Run)) -> Duration| {
        let times = pairs.iter().map(value).map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        seconds(Duration::from_millis(median(times.collect())))
    };
    println!(
        "| {what} | {reference} | {} | {} | {} | {} | {} | {} | {} | {} |",
        millis(|(a, _)| a.wall),
        millis(|(_, b)| b.wall),
        ratio(wall),
        millis(|(a, _)| a.cpu),
        millis(|(_, b)| b.cpu),
        ratio(cpu),
        of(|(a, _)| a.peak_kb) / 1000,
        of(|(_, b)| b.peak_kb) / 1000,
    );
    Ok(())
}

/// One finished process.
#[derive(Clone, Copy)]
struct Run {
    wall: Duration,
    cpu: Duration,
    peak_kb: u64,
}

fn run(command: &mut Command) -> Outcome<Run> {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let process = PathBuf::from(format!("/proc/{}", child.id()));
    let mut peak_kb = 0;
    // A process that has ended keeps its times, but not its memory, until it is waited for.
    let stat = loop {
        let stat = fs::read_to_string(process.join("stat"))?;
        if stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')) {
            break stat;
        }
        let status = fs::read_to_string(process.join("status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.split_whitespace().next()).and_then(|kb| kb.parse().ok());
        peak_kb = peak.unwrap_or(0).max(peak_kb);
        std::thread::sleep(Duration::from_millis(1));
    };
    let wall = started.elapsed();
    if !child.wait()?.success() {
        return Err(format!("{command:?} failed").into());
    }
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<u64>().ok());
    let ticks = ticks(11).zip(ticks(12)).map(|(user, system)| user + system).ok_or("no times in /proc")?;
    // Linux counts hundredths of a second here, whatever its own clock.
    Ok(Run { wall, cpu: Duration::from_millis(ticks * 10), peak_kb })
}

/// What `b3sum` does: the BLAKE3 of a mapped file, on all processors.
fn reference_b3sum(file: &Path) -> Outcome<()> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_mmap_rayon(file)?;
    println!("{}", hasher.finalize());
    Ok(())
}

/// zstd alone: the file compressed piece by piece, on all processors.
fn reference_zstd(level: i32, file: &Path) -> Outcome<()> {
    let bytes = fs::read(file)?;
    let packed = bytes.par_chunks(PIECE).map(|piece| Ok(zstd::bulk::compress(piece, level)?.len()));
    println!("{}", packed.sum::<std::io::Result<usize>>()?);
    Ok(())
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn percent(a: Duration, b: Duration) -> u64 {
    u64::try_from(a.as_micros() * 100 / b.as_micros().max(1)).unwrap_or(u64::MAX)
}

fn ratio(percent: u64) -> String {
    format!("{}.{:02}", percent / 100, percent % 100)
}

fn seconds(time: Duration) -> String {
    format!("{}.{:02}", time.as_secs(), time.subsec_millis() / 10)
}
