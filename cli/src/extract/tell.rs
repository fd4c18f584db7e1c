//! What is said of a plan or of its outcome.

use std::fs;
use std::time::Duration;

use chunk_extract::{Phases, Report};
use serde::Serialize;

use crate::exit::visible;
use crate::size::{counted, human};

use super::ways::Way;

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
    /// Of what is to be downloaded, what the cache has or had: neither asked for nor received.
    cached_bytes: u64,
    /// Requests planned, and such as nobody planned.
    sent_requests: u64,
    retries: u64,
    /// Planned at most, or written to the target.
    write_bytes: u64,
    /// What a file has behind the image: it is cut off.
    surplus_bytes: u64,
    /// What a device has behind the image, and is zeroed or discarded.
    zeroed_tail_bytes: u64,
    discarded_tail_bytes: u64,
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
    /// Kept in a file until the image is made, and where.
    scratch_disk_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scratch_directory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_disk_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<Seconds>,
    /// If they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ways: Vec<Way>,
}

#[derive(Serialize)]
struct Copied {
    seed: String,
    bytes: u64,
}

#[derive(Serialize)]
struct Seconds {
    check: f64,
    scan: f64,
    plan: f64,
    write: f64,
    settle: f64,
}

impl Seconds {
    fn of(phases: &Phases) -> Self {
        Self {
            check: to_millis(phases.check),
            scan: to_millis(phases.scan),
            plan: to_millis(phases.plan),
            write: to_millis(phases.write),
            settle: to_millis(phases.settle),
        }
    }

    fn text(&self) -> String {
        let Self { check, scan, plan, write, settle } = self;
        format!("check {check:.3}, scan {scan:.3}, plan {plan:.3}, write {write:.3}, settle {settle:.3}")
    }
}

impl Answer {
    /// A plan, by which `most_cached` bytes more will be in the cache.
    pub(super) fn of_plan(target: &str, report: &Report, most_cached: u64) -> Self {
        Self {
            cached_bytes: report.totals.cached,
            peak_memory_bytes: Some(report.demand.memory),
            cache_disk_bytes: Some(most_cached),
            ..Self::of(target, report, "planned")
        }
    }

    /// What a target was found to be, and what writing the image to it would take.
    pub(super) fn of_comparison(target: &str, report: &Report) -> Self {
        let is_right = report.wrong.is_empty() && report.surplus == 0;
        Self { outcome: if is_right { "verified" } else { "wrong" }, ..Self::of_plan(target, report, 0) }
    }

    pub(super) fn of_pull(target: &str, report: &Report) -> Self {
        Self {
            write_bytes: 0,
            seconds: Some(Seconds::of(&report.seconds)),
            ..Self::of(target, report, "pulled")
        }
    }

    /// What came of a run that `did` this if it had to do anything.
    pub(super) fn of_run(target: &str, report: &Report, did: &'static str) -> Self {
        let outcome =
            if report.totals.write + report.surplus + report.cleared.zeroed == 0 { "unchanged" } else { did };
        Self {
            write_bytes: report.written + report.cleared.zeroed,
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
            cached_bytes: report.spent.cached,
            sent_requests: report.spent.requests,
            retries: report.spent.retries,
            write_bytes: totals.write + report.cleared.zeroed,
            surplus_bytes: report.surplus,
            zeroed_tail_bytes: report.cleared.zeroed,
            discarded_tail_bytes: report.cleared.discarded,
            saved_bytes: totals.saved,
            memory_bytes: report.memory,
            peak_memory_bytes: None,
            target_disk_bytes: report.demand.target_disk,
            state_disk_bytes: report.demand.state_disk,
            scratch_disk_bytes: report.demand.scratch_disk,
            scratch_directory: (report.demand.scratch_disk > 0).then(|| report.scratch.display().to_string()),
            cache_disk_bytes: None,
            seconds: None,
            ways: Vec::new(),
        }
    }

    /// The same, of a run that went on without these seeds.
    pub(super) fn without(self, unused_seeds: Vec<String>) -> Self {
        Self { unused_seeds, ..self }
    }

    /// The same, with what each way would download.
    pub(super) fn with_ways(self, ways: Vec<Way>) -> Self {
        Self { ways, ..self }
    }

    /// One line about what was done.
    pub(super) fn line(&self, took: Duration) -> String {
        let (outcome, target, image) = (self.outcome, &self.target, human(self.image_bytes));
        let phases = self.seconds.as_ref().map_or_else(String::new, |phases| format!(" ({})", phases.text()));
        let took = format!("{:.3} s{phases}", to_millis(took));
        if outcome == "unchanged" {
            let tail = self.tail().map_or_else(String::new, |tail| format!("{tail}, "));
            return format!("unchanged {target}: image {image} was there already, {tail}{took}\n");
        }
        let mut parts = vec![format!("image {image}"), format!("kept {}", human(self.kept_bytes))];
        let copied = self.seeds.iter().filter(|seed| seed.bytes > 0);
        parts.extend(copied.map(|seed| format!("copied {} from {}", human(seed.bytes), visible(&seed.seed))));
        if !self.unused_seeds.is_empty() {
            parts.push(format!("without {}", visible(&self.unused_seeds.join(", "))));
        }
        if self.patched_bytes > 0 {
            parts.push(format!("patched {}", human(self.patched_bytes)));
        }
        parts.push(format!(
            "downloaded {} in {} with {}",
            human(self.received_bytes),
            counted(self.sent_requests, "request"),
            if self.retries == 1 { "1 retry".to_owned() } else { format!("{} retries", self.retries) },
        ));
        if self.cached_bytes > 0 {
            parts.push(format!("from the cache {}", human(self.cached_bytes)));
        }
        parts.push(format!("written {}", human(self.write_bytes)));
        if self.surplus_bytes > 0 {
            parts.push(format!("cut off {}", human(self.surplus_bytes)));
        }
        parts.extend(self.tail());
        parts.extend(self.peak_memory_bytes.map(|peak| format!("memory {}", human(peak))));
        format!("{outcome} {target}: {}, {took}\n", parts.join(", "))
    }

    /// What becomes of what lies behind the image on a device.
    fn tail(&self) -> Option<String> {
        match (self.zeroed_tail_bytes, self.discarded_tail_bytes) {
            (0, 0) => None,
            (0, discarded) => Some(format!("tail discarded {}", human(discarded))),
            (zeroed, _) => Some(format!("tail zeroed {}", human(zeroed))),
        }
    }

    /// One line about what was pulled.
    pub(super) fn pulled(&self) -> String {
        let requests = counted(self.sent_requests, "request");
        let had = match self.cached_bytes {
            0 => String::new(),
            had => format!("; {} was in the cache already", human(had)),
        };
        format!("pulled {} in {requests}{had}\n", human(self.received_bytes))
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
        if self.surplus_bytes > 0 {
            lines.push(format!("cut off   {}", human(self.surplus_bytes)));
        }
        lines.extend(self.tail().map(|tail| format!("behind    {tail}")));
        lines.extend([
            format!("repeated  {}", human(self.repeated_bytes)),
            format!(
                "download  {}{} for {}, index {}, gaps {}, {}",
                human(self.download_bytes),
                match self.cached_bytes {
                    0 => String::new(),
                    cached => format!(", {} of that from the cache,", human(cached)),
                },
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
        lines.extend(self.ways.iter().map(Way::line));
        lines.extend(self.scratch_directory.as_ref().map(|directory| {
            format!("scratch   at most {} in {}", human(self.scratch_disk_bytes), visible(directory))
        }));
        lines.join("\n") + "\n"
    }
}

/// Seconds, to three digits behind the point.
fn to_millis(duration: Duration) -> f64 {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis).as_secs_f64()
}

/// Most memory that this process has had, as the kernel counts it.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}
