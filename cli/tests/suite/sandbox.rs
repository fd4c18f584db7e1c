//! A fresh directory to run the command in, and what came of running it.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The binary under test.
pub(crate) const CHUNK: &str = env!("CARGO_BIN_EXE_chunk");

/// A directory of its own for a test, removed with it.
pub(crate) struct Sandbox {
    directory: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory can be made") }
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root().join(relative)
    }

    pub(crate) fn write(&self, relative: impl AsRef<Path>, bytes: &[u8]) {
        fs::write(self.path(relative), bytes).expect("the sandbox can be written");
    }

    pub(crate) fn read(&self, relative: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(relative);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// File names in a directory of the sandbox, sorted.
    pub(crate) fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).expect("the directory is there");
        let names = entries.map(|entry| entry.expect("the directory can be listed").file_name());
        let mut names: Vec<_> =
            names.map(|name| name.into_string().expect("the store uses ASCII names")).collect();
        names.sort_unstable();
        names
    }

    /// Runs `chunk` with arguments that spaces separate.
    pub(crate) fn chunk(&self, arguments: &str) -> Run {
        self.chunk_with(arguments.split_whitespace())
    }

    /// Runs `chunk` with arguments that may hold anything.
    pub(crate) fn chunk_with(&self, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Run {
        Run::of(&mut self.command(arguments))
    }

    /// Runs `chunk` with `input` on its stdin.
    pub(crate) fn chunk_reading(&self, arguments: &str, input: &[u8]) -> Run {
        let mut command = self.command(arguments.split_whitespace());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary can be started");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // Whoever refuses its arguments does not read.
                let _ = stdin.write_all(input);
            });
            Run::new(&command, child.wait_with_output().expect("the binary can be waited for"))
        })
    }

    /// `chunk` in this directory, not yet started.
    pub(crate) fn command(&self, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Command {
        let mut command = Command::new(CHUNK);
        command.args(arguments).current_dir(self.root()).stdin(Stdio::null());
        command
    }
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Run {
    command: String,
    code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Run {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().expect("the command can be started");
        Self::new(command, output)
    }

    pub(crate) fn new(command: &Command, output: Output) -> Self {
        Self {
            command: format!("{command:?}"),
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).expect("stderr is text"),
        }
    }

    /// The exit code; none if a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.code
    }

    /// It ended well and had nothing to complain about.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        assert!(self.code == Some(0) && self.stderr.is_empty(), "{self}");
        self
    }

    /// It failed with this code, and said why in one line that starts as all of them do.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> Self {
        assert!(self.code == Some(code), "expected exit code {code}: {self}");
        assert!(self.stderr.starts_with("error: "), "{self}");
        self
    }

    /// Stderr says this.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "expected {text:?} on stderr: {self}");
        self
    }

    /// Stdout is empty.
    #[track_caller]
    pub(crate) fn answers_nothing(self) -> Self {
        assert!(self.stdout.is_empty(), "{self}");
        self
    }

    /// Stdout as text.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap_or_else(|_| panic!("stdout is no text: {self}"))
    }

    /// Stdout as the one line of JSON it should be.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let lines: Vec<_> = self.text().lines().collect();
        let [line] = lines[..] else { panic!("expected one line: {self}") };
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stdout = std::str::from_utf8(&self.stdout).unwrap_or("no text");
        write!(
            f,
            "{}\nexit: {:?}\nstdout: {} bytes: {stdout}\nstderr: {}",
            self.command,
            self.code,
            self.stdout.len(),
            self.stderr
        )
    }
}

/// The keys of a JSON object, sorted.
#[track_caller]
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap_or_else(|| panic!("not an object: {value}"));
    let mut keys: Vec<_> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// A number of a JSON answer.
#[track_caller]
pub(crate) fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} is no number: {value}"))
}

/// A text of a JSON answer.
#[track_caller]
pub(crate) fn string<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is no text: {value}"))
}
