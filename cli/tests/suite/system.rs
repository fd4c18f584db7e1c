//! Parts of the machine that a test borrows: loop devices, small disks. They need root, and not every machine
//! lends them.
//!
//! With `CHUNK_REQUIRE_SYSTEM_TESTS=1` a test that cannot have them fails; otherwise it says that it was skipped,
//! past the test harness, which would swallow it.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a test cannot have, unless the machine owes it.
#[track_caller]
fn or_skip<T>(wanted: &str, had: Result<T, String>) -> Option<T> {
    match had {
        Ok(had) => Some(had),
        Err(why) if env::var_os("CHUNK_REQUIRE_SYSTEM_TESTS").is_some_and(|value| value == "1") => {
            panic!("{wanted} is required, but: {why}")
        }
        Err(why) => {
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            let _ = writeln!(std::io::stderr(), "SKIPPED {test}: no {wanted}: {why}");
            None
        }
    }
}

/// Runs a command; its stdout, or why not.
fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program} cannot be started: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(format!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// Whether a program can be used; says so if not.
#[track_caller]
pub(crate) fn has_program(program: &str) -> bool {
    or_skip(program, run(program, &["--version"])).is_some()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

/// A block device whose bytes are those of a file, read-only.
#[derive(Debug)]
pub(crate) struct LoopDevice(PathBuf);

impl LoopDevice {
    #[track_caller]
    pub(crate) fn of(file: &Path) -> Option<Self> {
        let device = run("losetup", &["--find", "--show", "--read-only", text(file)]);
        or_skip("loop device", device).map(|device| Self(PathBuf::from(device)))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let detached = run("losetup", &["--detach", text(&self.0)]);
        assert!(detached.is_ok() || std::thread::panicking(), "{detached:?}");
    }
}

/// A disk of a few MiB.
#[derive(Debug)]
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    #[track_caller]
    pub(crate) fn mount(directory: &Path, mebibytes: u32) -> Option<Self> {
        std::fs::create_dir(directory).expect("the sandbox can be written");
        let size = format!("size={mebibytes}m");
        let mounted = run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", text(directory)]);
        or_skip("tmpfs", mounted).map(|_| Self(directory.to_owned()))
    }

    /// Refuses all writes from now on.
    pub(crate) fn make_read_only(&self) {
        run("mount", &["-o", "remount,ro", text(&self.0)]).expect("what is mounted can be mounted again");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = run("umount", &[text(&self.0)]);
        assert!(unmounted.is_ok() || std::thread::panicking(), "{unmounted:?}");
    }
}
