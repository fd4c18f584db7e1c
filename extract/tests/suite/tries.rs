//! Jobs with everything left at its default, and what came of them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use chunk_extract::{
    Destination, Existing, ExtractError, Job, Options, Refusal, Report, Seed, SeedPart, Silent, TargetError,
    Version, Window,
};
use chunk_fetch::Source;
use chunk_index::LeafList;

use crate::counting::Counting;

/// A job for the image of `version`, to be made at `path`.
pub(crate) fn job<'a>(
    source: &'a dyn Source,
    version: impl Into<Wanted>,
    path: &Path,
    existing: Existing,
) -> Job<'a> {
    Job {
        source,
        version: version.into().0,
        seeds: Vec::new(),
        own_lists: None,
        state: None,
        destination: Destination::Path { path: path.to_owned(), existing },
        options: Options { threads: 2, ..Options::default() },
        observer: &Silent,
    }
}

/// A version, however it is given.
pub(crate) struct Wanted(Version);

impl From<chunk_index::Index<Vec<u8>>> for Wanted {
    fn from(index: chunk_index::Index<Vec<u8>>) -> Self {
        Self(Version::Index(index))
    }
}

/// The index of this name in the store.
impl From<&str> for Wanted {
    fn from(object: &str) -> Self {
        Self(Version::Object(object.to_owned()))
    }
}

/// A seed that is a file, and what is said of its chunks.
pub(crate) fn seed(path: &Path, lists: Option<Vec<LeafList>>) -> SeedPart {
    let window = Window::open(path, None).expect("a file");
    SeedPart { lists, ..Seed::window(path.display().to_string(), window).into() }
}

/// A stream whose bytes can be looked at.
#[derive(Clone, Default)]
pub(crate) struct Stream(Arc<Mutex<Vec<u8>>>);

impl Stream {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("nobody panics with it").clone()
    }
}

impl std::io::Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics with it").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs a job that must succeed, and holds it to what it reports.
#[track_caller]
pub(crate) fn run(source: &Counting, job: Job<'_>) -> Report {
    let before = (source.bytes(), source.requests());
    let report = job.run().unwrap_or_else(|error| panic!("{error}: {error:?}"));
    hold(source, before, &report);
    report
}

/// The same for a device that was in use just now: a process that is being started by another test holds, until
/// its program runs, whatever was open here.
#[track_caller]
pub(crate) fn run_when_free<'a>(source: &Counting, job: impl Fn() -> Job<'a>) -> Report {
    let before = (source.bytes(), source.requests());
    let outcome = (0..100).find_map(|_| match job().run() {
        Err(ExtractError::Target(TargetError::Refused(_, Refusal::InUse))) => {
            thread::sleep(Duration::from_millis(20));
            None
        }
        outcome => Some(outcome),
    });
    let report = outcome.expect("it is free at last").unwrap_or_else(|error| panic!("{error}: {error:?}"));
    hold(source, before, &report);
    report
}

/// Fails the test unless so much was read of `source` since `before` as `report` says.
#[track_caller]
fn hold(source: &Counting, before: (u64, u64), report: &Report) {
    let bytes = report.totals.download + report.index.bytes + report.late;
    assert_eq!(source.bytes() - before.0, bytes, "bytes read of the store, and reported: {report:?}");
    if report.late == 0 {
        let requests = report.totals.requests + report.index.requests;
        assert_eq!(source.requests() - before.1, requests, "requests, and reported ones: {report:?}");
    }
    assert!(report.written <= report.totals.write, "{report:?}");
}

/// Runs a job that must not succeed, and not because its device was in use just now.
#[track_caller]
pub(crate) fn fail_when_free<'a>(job: impl Fn() -> Job<'a>) -> ExtractError {
    let outcome = (0..100).find_map(|_| match fail(job()) {
        ExtractError::Target(TargetError::Refused(_, Refusal::InUse)) => {
            thread::sleep(Duration::from_millis(20));
            None
        }
        error => Some(error),
    });
    outcome.expect("it is free at last")
}

/// Runs a job that must not succeed.
#[track_caller]
pub(crate) fn fail(job: Job<'_>) -> ExtractError {
    match job.run() {
        Ok(report) => panic!("it should have failed: {report:?}"),
        Err(error) => error,
    }
}

/// The file in which an image for `path` grows.
pub(crate) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Leaves what a run for `path` that was cut short might leave.
pub(crate) fn leave_part(path: &Path, bytes: &[u8]) {
    let part = part_of(path);
    std::fs::write(&part, bytes).expect("written");
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&part, "user.chunk", b"part", flags).expect("the file system has attributes");
}

/// Fails the test unless the file at `path` has exactly these bytes.
#[track_caller]
pub(crate) fn assert_is(path: &Path, image: &[u8]) {
    let found = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(found.len(), image.len(), "length of {}", path.display());
    let differs = found.iter().zip(image).position(|(found, image)| found != image);
    assert_eq!(differs, None, "first byte of {} that differs", path.display());
}
