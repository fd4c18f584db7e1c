//! Where answers go: stdout, as text or as JSON, and nothing else ever goes there.

use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::locate::In;

/// How the answer is given.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Whether answers, and errors told before them, are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether to show progress.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && !self.json
    }

    /// Whether to tell of what is no answer.
    pub(crate) fn warns(&self) -> bool {
        !self.quiet
    }

    /// Gives the answer: `value` as JSON, or `text`.
    pub(crate) fn answer(
        &self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let answer = if self.json {
            let json = serde_json::to_string(value).map_err(|error| Failure::new(Exit::Internal, error))?;
            format!("{json}\n")
        } else {
            text()
        };
        print(&answer)
    }

    /// Says something that is no answer.
    pub(crate) fn warn(&self, text: &str) {
        if !self.quiet {
            // Nobody is left to warn if stderr is gone.
            let _ = writeln!(io::stderr(), "warning: {}", crate::exit::visible(text));
        }
    }
}

/// Writes a text to stdout.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    finish(io::stdout().lock().write_all(text.as_bytes()))
}

/// What became of an answer. Whoever closes a pipe has read enough of it.
fn finish(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(failed),
    }
}

/// Stdout does not take what it must take whole.
pub(crate) fn failed(error: io::Error) -> Failure {
    Failure::new(Exit::Target, In { path: PathBuf::from("standard output"), error })
}
