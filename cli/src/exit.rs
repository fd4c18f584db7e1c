//! Exit codes, and what is said when something fails.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

/// How the command ended. The numbers are an interface: they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// A defect of this program.
    Internal = 1,
    /// The command line asks for something impossible.
    Usage = 2,
    /// An index is malformed or of an unknown version.
    Index = 3,
    /// The version is not the one that was asked for.
    Trust = 4,
    /// A chunk, frame or image is not what its hash says.
    Integrity = 6,
    /// Data that an index leads to is missing everywhere.
    Missing = 7,
    /// The network failed for now.
    Network = 8,
    /// A server lets us not in.
    NotAuthorised = 9,
    /// The target, or the output, failed.
    Target = 10,
    /// No space left.
    Space = 11,
    /// The target or store is in use, or must not be touched.
    Busy = 12,
    /// The image or seed failed.
    Source = 13,
    /// Interrupted; running again continues.
    Interrupted = 14,
    /// Something between us and the server answers in its place.
    Intercepted = 15,
    /// Forbidden by a limit that was set.
    Policy = 21,
}

impl Exit {
    /// What help and manual say of all exit codes, also of those that no verb uses yet.
    pub const TABLE: &'static str = "\
EXIT CODES:
   0  done
   1  internal error: a defect of this program
   2  wrong usage
   3  index malformed or of an unknown version
   4  signature or trust refused
   5  version stale, rolled back or incompatible
   6  integrity: a chunk, frame or image is not what its hash says
   7  data missing everywhere
   8  network failed for now, try later
   9  not authorised
  10  target or output failed
  11  no space left, or target too small
  12  target or store busy or refused
  13  image or seed failed
  14  interrupted, running again continues
  15  intercepted by a portal or proxy
  21  refused by policy";
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why the command did not do what it was asked for.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    error: Box<dyn Error>,
    hint: Option<&'static str>,
}

impl Failure {
    /// A failure with this cause.
    pub fn new(exit: Exit, error: impl Into<Box<dyn Error>>) -> Self {
        Self { exit, error: error.into(), hint: None }
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// How the command ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What went wrong.
    pub(crate) fn error(&self) -> &(dyn Error + 'static) {
        &*self.error
    }

    /// What went wrong, what that comes of, and so on.
    fn chain(&self) -> Vec<String> {
        let mut chain = vec![self.error.to_string()];
        let mut cause = self.error.source();
        while let Some(error) = cause {
            chain.push(error.to_string());
            cause = error.source();
        }
        chain
    }

    /// What went wrong, for programs.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let chain = self.chain();
        serde_json::json!({
            "error": chain[0], "causes": chain[1..], "hint": self.hint, "exit": self.exit as u8,
        })
    }

    /// Says what went wrong on stderr; in JSON if the output is.
    pub fn tell(&self, json: bool) {
        let text = if json {
            self.to_json().to_string()
        } else {
            let chain = self.chain();
            let causes = chain[1..].iter().map(|cause| format!("  because: {}", visible(cause)));
            let mut lines = vec![format!("error: {}", visible(&chain[0]))];
            lines.extend(causes);
            lines.extend(self.hint.map(|hint| format!("hint: {hint}")));
            lines.join("\n")
        };
        // Nobody is left to tell if stderr is gone.
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

/// A text whose control characters cannot play tricks on a terminal.
pub(crate) fn visible(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
