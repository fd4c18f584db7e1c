//! `chunk verify TARGET INDEX`.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use chunk_extract::{Destination, Existing, Job, Options, Report};
use serde::Serialize;

use crate::args::Verify;
use crate::exit::{Exit, Failure};
use crate::locate::In;
use crate::network::Uncached;
use crate::output::Output;
use crate::size::human;

use super::tell::Answer;
use super::{Aim, Watch, failure};

/// What a target is found to be, and what became of it.
#[derive(Serialize)]
struct Verdict {
    #[serde(flatten)]
    answer: Answer,
    wrong_bytes: u64,
    /// Where the target is not the image: whole blocks, neighbours joined.
    wrong: Vec<Wrong>,
}

#[derive(Serialize)]
struct Wrong {
    offset: u64,
    bytes: u64,
}

impl Verdict {
    fn new(answer: Answer, report: &Report) -> Self {
        let wrong = |range: &Range<u64>| Wrong { offset: range.start, bytes: range.end - range.start };
        let wrong: Vec<_> = report.wrong.iter().map(wrong).collect();
        let wrong_bytes = wrong.iter().map(|wrong| wrong.bytes).sum();
        Self { answer, wrong_bytes, wrong }
    }

    /// A line for each wrong range.
    fn lines(&self) -> String {
        let line = |wrong: &Wrong| format!("wrong     {} at byte {}\n", human(wrong.bytes), wrong.offset);
        self.wrong.iter().map(line).collect()
    }
}

/// Tells whether `target` is the image of `index`, and mends it if that was asked for.
pub(crate) fn verify(verify: &Verify, target: &Path, index: &Path, output: &Output) -> Result<(), Failure> {
    let started = Instant::now();
    let watch = Watch::new(output, None).map_err(|error| Failure::new(Exit::Internal, error))?;
    if let Err(error) = target.metadata() {
        return Err(unreadable(target, error));
    }
    let Aim { store, version, .. } = Aim::new(index, &verify.network, Uncached::GoesOn, &watch)?;
    // What is right is the best of all seeds for what is not, so a patch has nothing to give.
    let options = Options {
        connections: store.connections,
        patches: false,
        // Pages that somebody holds in memory say nothing of what the next boot will read.
        from_medium: true,
        ..Options::default()
    };
    let job = Job {
        source: &*store.source,
        version,
        seeds: Vec::new(),
        own_lists: None,
        state: None,
        destination: Destination::Path { path: target.to_owned(), existing: Existing::Update },
        options,
        observer: &watch,
    };
    let name = target.display().to_string();
    let report = if verify.repair { job.run() } else { job.plan() }.map_err(failure::of)?;
    drop(watch);
    if verify.repair {
        let verdict = Verdict::new(Answer::of_run(&name, &report, "repaired"), &report);
        return output.answer(&verdict, || verdict.lines() + &verdict.answer.line(started.elapsed()));
    }
    let verdict = Verdict::new(Answer::of_comparison(&name, &report), &report);
    output.answer(&verdict, || verdict.answer.lines() + &verdict.lines())?;
    let message = match (verdict.wrong_bytes, report.surplus) {
        (0, 0) => return Ok(()),
        (0, surplus) => format!("{name} is not the image: it is {surplus} bytes longer"),
        (wrong, 0) => format!("{name} is not the image: {wrong} bytes in wrong blocks"),
        (wrong, surplus) => {
            format!(
                "{name} is not the image: {wrong} bytes in wrong blocks, and it is {surplus} bytes longer"
            )
        }
    };
    Err(Failure::new(Exit::Integrity, message).hint("--repair rewrites only what is wrong"))
}

/// Why a target cannot be compared with anything.
fn unreadable(target: &Path, error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::new(Exit::Missing, format!("the target {} does not exist", target.display()))
                .hint("`chunk verify TARGET INDEX` compares a file or device; `chunk extract` makes one")
        }
        _ => Failure::new(Exit::Target, In { path: target.to_owned(), error }),
    }
}
