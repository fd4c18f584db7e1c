//! `chunk extract`, `chunk plan`, `chunk pull` and `chunk verify TARGET INDEX`.

#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method is not for every lifetime, a closure is"
)]

mod apart;
mod args;
mod check;
pub(crate) mod failure;
mod report;
pub(crate) mod seeds;
mod tell;
mod watch;
mod ways;

pub(crate) use args::expected;
pub use args::{Extract, Plan, Pull};
pub(crate) use check::verify;
pub(crate) use watch::Watch;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use chunk_extract::{
    Destination, Existing, ExtractError, Job, Limits, Observer, Options, Rehearsal, Scratch, State,
    Version as Wanted, Window,
};
use chunk_store::line::Version;
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::locate::{self, In};
use crate::network::{Network, Store, Uncached, is_url};
use crate::output::{self, Output};
use crate::stdout::Stdout;

use apart::Used;
use args::{Kind, What};
use report::ReportFile;
use tell::Answer;

/// What stands for stdout on the command line.
const STDOUT: &str = "-";

pub(crate) fn run(extract: &Extract, output: &Output) -> Result<(), Failure> {
    // Before an event or a report is written: either could land in the image.
    let target = extract.what.likely_target();
    expect_apart(extract, target.as_deref())?;
    let watch = Watch::new(output, extract.events_fd).map_err(|error| {
        Failure::new(Exit::Usage, error)
            .hint("--events-fd wants the number of a descriptor that is open for writing")
    })?;
    let report = extract.report.as_deref().map(ReportFile::create);
    let done = report.transpose().and_then(|mut report| {
        run_watched(extract, &watch, &mut report, output).inspect_err(|failure| {
            if let Some(report) = report {
                let mut told = failure.to_json();
                told["outcome"] = json!("failed");
                // The failure itself is worse than that nobody can read of it here.
                let _ = report.write(&told);
            }
        })
    });
    done.inspect_err(|failure| {
        let mut event = failure.to_json();
        event["ev"] = json!("failed");
        watch.event(&event);
    })
}

fn run_watched(
    extract: &Extract,
    watch: &Watch,
    report_file: &mut Option<ReportFile>,
    output: &Output,
) -> Result<(), Failure> {
    let started = Instant::now();
    let task = Task::new(&extract.what, Uncached::GoesOn, watch)?;
    if let Err(failure) = expect_apart(extract, Some(&task.target)) {
        // It may not be told there either.
        *report_file = None;
        return Err(failure);
    }
    let options = extract.settling.add_to(options(&extract.what), Kind::of(&task.target))?;
    if extract.dry_run {
        return plan_task(&extract.what, task, options, watch, output);
    }
    let target = task.target.clone();
    let report = task.run(&extract.what, options, watch, &Verb::Writes(|job| job.run()))?;
    let answer = Answer::of_run(&target, &report, "extracted").without(watch.unused());
    watch.event(&json!({"ev": "done", "report": &answer}));
    report_file.take().map_or(Ok(()), |file| file.write(&answer))?;
    watch.clear();
    if target == STDOUT {
        // The image went to stdout, so nothing else goes there.
        return Ok(());
    }
    output.answer(&answer, || answer.line(started.elapsed()))
}

/// Refuses events and reports that would be written to the image, to `target`, or to what it is made of.
fn expect_apart(extract: &Extract, target: Option<&str>) -> Result<(), Failure> {
    let used = Used::of(&extract.what, target);
    if let Some(report) = &extract.report {
        used.expect_apart("--report", report)?;
        apart::expect_no_device(report)?;
    }
    extract.events_fd.map_or(Ok(()), |fd| used.expect_apart("--events-fd", &apart::descriptor(fd)))
}

pub(crate) fn plan(plan: &Plan, output: &Output) -> Result<(), Failure> {
    let watch = Watch::new(output, None).map_err(|error| Failure::new(Exit::Internal, error))?;
    let task = Task::new(&plan.what, Uncached::GoesOn, &watch)?;
    let options = plan.settling.add_to(options(&plan.what), Kind::of(&task.target))?;
    plan_task(&plan.what, task, Options { ways: plan.ways, ..options }, &watch, output)
}

pub(crate) fn pull(pull: &Pull, output: &Output) -> Result<(), Failure> {
    if !pull.what.network.is_far(&pull.what.index) {
        return Err(Failure::new(
            Exit::Usage,
            "the store is on this machine: there is nothing to fetch ahead",
        )
        .hint("`chunk extract` reads it where it lies"));
    }
    if pull.what.network.cache.is_none() {
        return Err(Failure::new(Exit::Usage, "there is nowhere to keep what is fetched")
            .hint("--cache DIR names a place"));
    }
    let watch = Watch::new(output, None).map_err(|error| Failure::new(Exit::Internal, error))?;
    let task = Task::new(&pull.what, Uncached::Fails, &watch)?;
    let target = task.target.clone();
    let report = task.run(&pull.what, options(&pull.what), &watch, &Verb::Looks(|job| job.pull()))?;
    let answer = Answer::of_pull(&target, &report).without(watch.unused());
    watch.clear();
    output.answer(&answer, || answer.pulled())
}

fn plan_task(
    what: &What,
    task: Task,
    options: Options,
    watch: &Watch,
    output: &Output,
) -> Result<(), Failure> {
    let target = task.target.clone();
    let rehearse = &Verb::Looks(|job| job.rehearse());
    let Rehearsal { report, refusal, frames } = task.run(what, options, watch, rehearse)?;
    let ways = frames.map_or_else(Vec::new, |frames| ways::of(&report, frames));
    let is_far = what.network.is_far(&what.index);
    let cached = if is_far { what.network.most_cached(report.totals.received()) } else { 0 };
    let answer = Answer::of_plan(&target, &report, cached).without(watch.unused()).with_ways(ways);
    watch.clear();
    output.answer(&answer, || answer.lines())?;
    refusal.map_or(Ok(()), |error| Err(failure::of(error)))
}

/// A version, and the store it is had from.
pub(crate) struct Aim {
    pub(crate) store: Store,
    pub(crate) version: Wanted,
    /// The image's own name.
    pub(crate) line: String,
}

impl Aim {
    /// What `index`, a path or a URL, means.
    pub(crate) fn new(
        index: &Path,
        network: &Network,
        uncached: Uncached,
        watch: &Watch,
    ) -> Result<Self, Failure> {
        let url = index.to_str().filter(|index| is_url(index));
        if let Some(url) = url {
            let (store, name) = network.beside(url, uncached, watch)?;
            let line = Version::from_file_name(&name)
                .map_or_else(|| name.clone(), |version| version.name.to_string());
            return Ok(Self { store, version: Wanted::Object(name), line });
        }
        let located = locate::open(index)?;
        let store = network.local(located.store(), uncached, watch)?;
        let line = located.index.record().description().line.as_str().to_owned();
        Ok(Self { store, version: Wanted::Index(located.index), line })
    }
}

/// What is to be made, and where.
struct Task {
    aim: Aim,
    target: String,
}

impl Task {
    fn new(what: &What, uncached: Uncached, watch: &Watch) -> Result<Self, Failure> {
        let aim = Aim::new(&what.index, &what.network, uncached, watch)?;
        let target =
            what.target.as_ref().map_or_else(|| aim.line.clone(), |target| target.display().to_string());
        if target != STDOUT {
            apart::expect_no_store(Path::new(&target), &what.index)?;
        }
        for told in what.expect_fitting(Kind::of(&target))? {
            watch.warn(told);
        }
        Ok(Self { aim, target })
    }

    /// Where the image is to go.
    fn destination(&self, what: &What, watch: &Watch, writes: bool) -> Result<Destination, Failure> {
        if self.target == STDOUT {
            let out: Box<dyn io::Write + Send> = match Stdout::open(watch.stop()) {
                Ok(stdout) => Box::new(stdout),
                Err(error) if writes => return Err(output::failed(error)),
                Err(_) => Box::new(io::sink()),
            };
            return Ok(Destination::Stream(out));
        }
        let path = PathBuf::from(&self.target);
        // Who names a file as seed and as target wants it updated.
        let is_seed = || what.seed.iter().any(|seed| is_same(Path::new(seed), &path));
        let existing = match what.force {
            true => Existing::Replace,
            false if what.in_place || is_seed() => Existing::Update,
            false => Existing::Keep,
        };
        Ok(Destination::Path { path, existing })
    }

    /// Hands the task to `verb`, which writes or only looks.
    fn run<T>(self, what: &What, options: Options, observer: &Watch, verb: &Verb<T>) -> Result<T, Failure> {
        let writes = matches!(verb, Verb::Writes(_));
        let state =
            what.state.as_deref().map(|state| open_state(state, writes, observer)).transpose()?.flatten();
        let is_stream = self.target == STDOUT;
        let destination = self.destination(what, observer, writes)?;
        let image_len = match &self.aim.version {
            Wanted::Index(index) => Some(index.record().image_len()),
            Wanted::Object(_) => None,
        };
        if let Verb::Writes(_) = verb {
            // Seeds may be long, and what is piped in is gone.
            destination.probe(image_len).map_err(|error| failure::of(error.into()))?;
        }
        let there = what.state.as_deref().filter(|path| state.is_some() && path.is_dir());
        // What is piped in must not take the room of the image.
        let scratch = Scratch::choose(there, destination.path(), &options.limits)
            .leaving(image_len.unwrap_or(0), destination.path());
        let mut parts = Vec::new();
        for (number, seed) in what.seed.iter().enumerate() {
            let index = what.seed_index.get(number).map(PathBuf::as_path);
            parts.extend(seeds::open(seed, index, state.as_ref(), &scratch, observer)?);
        }
        let spare = what.seed_index.get(what.seed.len());
        let own_lists = spare.and_then(|index| seeds::lists(&self.target, index, observer));
        let options = Options { connections: self.aim.store.connections, ..options };
        let source = &*self.aim.store.source;
        let (version, seeds) = (self.aim.version, parts);
        let job = Job { source, version, seeds, own_lists, state, destination, options, observer };
        let (Verb::Writes(verb) | Verb::Looks(verb)) = verb;
        verb(job).map_err(|error| {
            // A reader that does not read may be what it was interrupted for.
            let is_cut = is_stream && Observer::is_cancelled(observer);
            failure::of(if is_cut { ExtractError::Cancelled } else { error })
        })
    }
}

/// The memory in the directory `path`; none if it cannot be used: no update fails for want of a hint.
fn open_state(path: &Path, writes: bool, watch: &Watch) -> Result<Option<State>, Failure> {
    match if writes { State::open(path) } else { State::look(path) } {
        Ok(state) => Ok(Some(state)),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(Failure::new(Exit::Usage, In { path: path.to_owned(), error })
                .hint("--state names a directory, or one that can be made"))
        }
        Err(error) => {
            watch.stateless(path, &error);
            Ok(None)
        }
    }
}

/// What is done with a task.
enum Verb<T> {
    /// It changes what is on the disk.
    Writes(fn(Job<'_>) -> Result<T, ExtractError>),
    /// It does not.
    Looks(fn(Job<'_>) -> Result<T, ExtractError>),
}

fn options(what: &What) -> Options {
    let memory = what.memory.0;
    // The rest is for blocks on their way, decoded frames, and what is known of index and seeds.
    let limits =
        Limits { frames: memory / 5, saved: memory / 5, scratch_in_memory: memory, ..Limits::default() };
    let options = Options {
        limits,
        max_download: what.max_download.map(|size| size.0),
        expect: what.expect,
        ignore_target: what.no_seed,
        patches: !what.no_patch,
        ..Options::default()
    };
    match what.jobs {
        Some(jobs) => Options { threads: usize::from(jobs), ..options },
        None => options,
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path| Window::open(path, None).map(|window| window.identity()).ok();
    identity(one).is_some_and(|one| Some(one) == identity(other))
}
