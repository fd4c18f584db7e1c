//! What is said of a plan or of its outcome.

use std::fs;
use std::time::Duration;

use chunk_extract::{Phases, Report};
use serde::Serialize;

use crate::exit::visible;
use crate::size::{counted, human};

/// A plan, or what came of it.
#[derive(Serialize)]
pub(super) struct Answer {
    outcome: &'static str,
    target: String,
    id: String,
    image_bytes: u64,
    /// Right in the target already.
    kept_bytes: u64,
    zero_bytes: u64,
    seeds: Vec<Copied>,
    /// Seeds that could not be used.
    unused_seeds: Vec<String>,
    /// Fetched for one place and copied to others.
    repeated_bytes: u64,
    /// Made by patches.
    patched_bytes: u64,
    /// Image bytes from the store.
    missing_bytes: u64,
    /// To be had from the store, index and gaps included.
    download_bytes: u64,
    /// Of patches in that.
    patch_bytes: u64,
    /// How many these are, each of what the one before makes.
    patches: u64,
    /// Of frames that make a changed seed what patches start from.
    mend_bytes: u64,
    gap_bytes: u64,
    requests: u64,
    index_bytes: u64,
    /// Fetched beyond the plan, because seeds were not what they seemed.
    late_bytes: u64,
    received_bytes: u64,
    /// Requests planned, and such as nobody planned.
    sent_requests: u64,
    retries: u64,
    /// Planned at most, or written.
    write_bytes: u64,
    /// Old bytes held at a time while an update moves them.
    saved_bytes: u64,
    /// Memory for index, places and plan.
    memory_bytes: u64,
    /// Planned at most, or what the kernel has counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_memory_bytes: Option<u64>,
    /// What the file systems of target and state must have free, and what is kept in the cache.
    target_disk_bytes: u64,
    state_disk_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_disk_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<Seconds>,
}

#[derive(Serialize)]
struct Copied {
    seed: String,
    bytes: u64,
}

#[derive(Serialize)]
struct Seconds {
    check: String,
    scan: String,
    plan: String,
    write: String,
    settle: String,
}

impl Seconds {
    fn of(phases: &Phases) -> Self {
        Self {
            check: seconds(phases.check),
            scan: seconds(phases.scan),
            plan: seconds(phases.plan),
            write: seconds(phases.write),
            settle: seconds(phases.settle),
        }
    }
}

impl Answer {
    pub(super) fn of_plan(target: &str, report: &Report, cached: u64) -> Self {
        Self {
            peak_memory_bytes: Some(report.demand.memory),
            cache_disk_bytes: Some(cached),
            ..Self::of(target, report, "planned")
        }
    }

    pub(super) fn of_pull(target: &str, report: &Report) -> Self {
        Self { seconds: Some(Seconds::of(&report.seconds)), ..Self::of(target, report, "pulled") }
    }

    pub(super) fn of_run(target: &str, report: &Report) -> Self {
        let outcome = if report.totals.write == 0 { "unchanged" } else { "extracted" };
        Self {
            write_bytes: report.written,
            peak_memory_bytes: peak_memory(),
            seconds: Some(Seconds::of(&report.seconds)),
            ..Self::of(target, report, outcome)
        }
    }

    fn of(target: &str, report: &Report, outcome: &'static str) -> Self {
        let totals = &report.totals;
        let named = report.seeds.iter().zip(totals.seeds.iter().chain(std::iter::repeat(&0)));
        Self {
            outcome,
            target: target.to_owned(),
            id: report.id.to_string(),
            image_bytes: totals.image,
            kept_bytes: totals.kept,
            zero_bytes: totals.zero,
            seeds: named.map(|(seed, bytes)| Copied { seed: seed.clone(), bytes: *bytes }).collect(),
            unused_seeds: Vec::new(),
            repeated_bytes: totals.repeated,
            patched_bytes: totals.patched,
            missing_bytes: totals.missing,
            download_bytes: totals.download + report.index.bytes,
            patch_bytes: totals.patch,
            patches: totals.patches,
            mend_bytes: totals.mend,
            gap_bytes: totals.gaps + report.index.gaps,
            requests: totals.requests + report.index.requests,
            index_bytes: report.index.bytes,
            late_bytes: report.late,
            received_bytes: report.spent.bytes,
            sent_requests: report.spent.requests,
            retries: report.spent.retries,
            write_bytes: totals.write,
            saved_bytes: totals.saved,
            memory_bytes: report.memory,
            peak_memory_bytes: None,
            target_disk_bytes: report.demand.target_disk,
            state_disk_bytes: report.demand.state_disk,
            cache_disk_bytes: None,
            seconds: None,
        }
    }

    /// The same, of a run that went on without these seeds.
    pub(super) fn without(self, unused_seeds: Vec<String>) -> Self {
        Self { unused_seeds, ..self }
    }

    /// One line about what was done.
    pub(super) fn line(&self, took: Duration) -> String {
        if self.outcome == "unchanged" {
            let image = human(self.image_bytes);
            return format!(
                "unchanged {}: image {image} was there already, {} s\n",
                self.target,
                seconds(took)
            );
        }
        let copied: u64 = self.seeds.iter().map(|seed| seed.bytes).sum();
        let retries = if self.retries == 1 { "1 retry" } else { &format!("{} retries", self.retries) };
        let patched = match self.patched_bytes {
            0 => String::new(),
            patched => format!("patched {}, ", human(patched)),
        };
        let unused = match &self.unused_seeds[..] {
            [] => String::new(),
            unused => format!(" (without {})", visible(&unused.join(", "))),
        };
        let peak =
            self.peak_memory_bytes.map_or_else(String::new, |peak| format!("memory {}, ", human(peak)));
        format!(
            "extracted {}: image {}, kept {}, from seeds {}{unused}, {patched}downloaded {} in {} with {retries}, \
             written {}, {peak}{} s\n",
            self.target,
            human(self.image_bytes),
            human(self.kept_bytes),
            human(copied),
            human(self.download_bytes + self.late_bytes),
            counted(self.sent_requests, "request"),
            human(self.write_bytes),
            seconds(took),
        )
    }

    /// One line about what was pulled.
    pub(super) fn pulled(&self) -> String {
        let requests = counted(self.requests, "request");
        format!(
            "pulled {} in {requests}, received {}\n",
            human(self.download_bytes),
            human(self.received_bytes)
        )
    }

    /// Everything about what would be done.
    pub(super) fn lines(&self) -> String {
        let mut lines = vec![
            format!("image     {}", human(self.image_bytes)),
            format!("kept      {}", human(self.kept_bytes)),
            format!("zeros     {}", human(self.zero_bytes)),
        ];
        lines.extend(self.seeds.iter().map(|seed| format!("seed      {}  {}", human(seed.bytes), seed.seed)));
        lines.extend(self.unused_seeds.iter().map(|seed| format!("unusable  seed {}", visible(seed))));
        if self.patch_bytes > 0 {
            let (made, bytes) = (human(self.patched_bytes), human(self.patch_bytes));
            let several =
                if self.patches > 1 { format!(" in {} patches", self.patches) } else { String::new() };
            lines.push(format!("patched   {made} by {bytes}{several}"));
        }
        if self.mend_bytes > 0 {
            lines.push(format!("mended    a seed that has changed, by {}", human(self.mend_bytes)));
        }
        lines.extend([
            format!("repeated  {}", human(self.repeated_bytes)),
            format!(
                "download  {} for {}, index {}, gaps {}, {}",
                human(self.download_bytes),
                human(self.missing_bytes),
                human(self.index_bytes),
                human(self.gap_bytes),
                counted(self.requests, "request"),
            ),
            format!("write     at most {}", human(self.write_bytes)),
            format!(
                "memory    at most {}, of that {} for the plan, {} for old bytes",
                human(self.peak_memory_bytes.unwrap_or(0)),
                human(self.memory_bytes),
                human(self.saved_bytes)
            ),
            format!(
                "disk      at most {} for the target, {} for the state, {} for the cache",
                human(self.target_disk_bytes),
                human(self.state_disk_bytes),
                human(self.cache_disk_bytes.unwrap_or(0))
            ),
        ]);
        lines.join("\n") + "\n"
    }
}

fn seconds(duration: Duration) -> String {
    let millis = duration.as_millis();
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

/// Most memory that this process has had, as the kernel counts it.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}
