//! Commands run in turn, pair by pair, so that ratios hold when the machine's speed drifts.

#![expect(clippy::print_stdout, reason = "rows of tables are what this is for")]

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Pairs of runs of each comparison.
pub const PAIRS: usize = 7;

/// What a measurement gives, or why there is none.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// Prints the head of the table that [`compare`] adds rows to.
pub fn print_head() {
    println!(
        "| what | reference | wall s | reference | ratio | cpu s | reference | ratio | peak MB | reference |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
}

/// Runs `a` and `b` in turn and prints a row.
pub fn compare(
    what: &str,
    prepare: &dyn Fn() -> Outcome<()>,
    a: &mut Command,
    reference: &str,
    b: &mut Command,
) -> Outcome<()> {
    compare_pairs(PAIRS, what, prepare, a, reference, b)
}

/// The same for so many pairs: some references take very long.
pub fn compare_pairs(
    count: usize,
    what: &str,
    prepare: &dyn Fn() -> Outcome<()>,
    a: &mut Command,
    reference: &str,
    b: &mut Command,
) -> Outcome<()> {
    let mut pairs = Vec::new();
    // The first pair warms caches.
    for _ in 0..=count {
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
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// From start to end.
    pub wall: Duration,
    /// Of the process and those it has waited for.
    pub cpu: Duration,
    /// Most memory of its own, without pages of files.
    pub peak_kb: u64,
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Outcome<Run> {
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
        let peak = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let peak = peak.and_then(|peak| peak.split_whitespace().next()).and_then(|kb| kb.parse().ok());
        peak_kb = peak.unwrap_or(0).max(peak_kb);
        std::thread::sleep(Duration::from_millis(1));
    };
    let wall = started.elapsed();
    finish(child.wait()?, command)?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<u64>().ok());
    // User and system time, and those of children.
    let ticks = [11, 12, 13, 14].into_iter().map(ticks).sum::<Option<u64>>().ok_or("no times in /proc")?;
    // Linux counts hundredths of a second here, whatever its own clock.
    Ok(Run { wall, cpu: Duration::from_millis(ticks * 10), peak_kb })
}

/// Nothing if a command ended well, and otherwise which did not, and how.
pub(crate) fn finish(status: ExitStatus, command: &Command) -> Outcome<()> {
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed: {status}").into()) }
}

/// The middle one of some values.
pub fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// How many hundredths of `b` are in `a`.
pub fn percent(a: Duration, b: Duration) -> u64 {
    u64::try_from(a.as_micros() * 100 / b.as_micros().max(1)).unwrap_or(u64::MAX)
}

/// A ratio as tables have it.
pub fn ratio(percent: u64) -> String {
    format!("{}.{:02}", percent / 100, percent % 100)
}

/// A time as tables have it.
pub fn seconds(time: Duration) -> String {
    format!("{}.{:02}", time.as_secs(), time.subsec_millis() / 10)
}
