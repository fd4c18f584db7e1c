//! What of the machine a test borrows, and what to do where it does not lend it.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The environment variable that makes it an error when a device or file system cannot be had.
pub const REQUIRED: &str = "CHUNK_REQUIRE_SYSTEM_TESTS";

/// What could be had, if anything; says why a test is about to be skipped.
pub(crate) fn or_skip<T>(wanted: io::Result<T>) -> Option<T> {
    match wanted {
        Ok(had) => Some(had),
        Err(error) => {
            assert!(env::var_os(REQUIRED).is_none(), "{REQUIRED} is set, but: {error}");
            // Not by the macro, whose output is kept from whoever runs the tests.
            let _ = writeln!(io::stderr(), "SKIPPED: {error} ({REQUIRED}=1 makes this a failure)");
            None
        }
    }
}

/// Runs a program; returns what it said.
pub(crate) fn run<A: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
) -> io::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("{program} cannot be run: {error}")))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        let why = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("{program}: {}", why.trim())))
    }
}

/// A file system in memory, on most machines.
const IN_MEMORY: &str = "/dev/shm";
/// Fewest bytes that must be free there to use it.
const ENOUGH: u64 = 2 << 30;

/// A temporary directory for disks, in memory if there is room: those who wait for a real medium wait long.
pub fn scratch() -> io::Result<TempDir> {
    let available = run("df", ["--output=avail", "--block-size=1", IN_MEMORY]);
    let available = available.ok().and_then(|said| said.lines().last()?.trim().parse::<u64>().ok());
    if available.is_some_and(|available| available >= ENOUGH) {
        return tempfile::tempdir_in(IN_MEMORY);
    }
    tempfile::tempdir()
}
