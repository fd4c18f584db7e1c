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
pub(crate) fn or_skip<T>(wanted: &str, had: Result<T, String>) -> Option<T> {
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
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
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

/// Whether a program is there that does not tell its version as others do; says so if not.
#[track_caller]
pub(crate) fn is_installed(program: &str) -> bool {
    let found = run("sh", &["-c", "PATH=\"$PATH:/usr/sbin\" command -v \"$0\"", program]);
    or_skip(program, found).is_some()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

/// A block device whose bytes are those of a file.
#[derive(Debug)]
pub(crate) struct LoopDevice(PathBuf);

impl LoopDevice {
    /// One that can only be read.
    #[track_caller]
    pub(crate) fn of(file: &Path) -> Option<Self> {
        let device = run("losetup", &["--find", "--show", "--read-only", text(file)]);
        or_skip("loop device", device).map(|device| Self(PathBuf::from(device)))
    }

    /// One that can be written, too.
    #[track_caller]
    pub(crate) fn writable(file: &Path) -> Option<Self> {
        let device = run("losetup", &["--find", "--show", text(file)]);
        or_skip("loop device", device).map(|device| Self(PathBuf::from(device)))
    }

    /// One that shows `len` bytes from `offset` of the file.
    #[track_caller]
    pub(crate) fn of_part(file: &Path, offset: usize, len: usize) -> Option<Self> {
        let (offset, len) = (format!("--offset={offset}"), format!("--sizelimit={len}"));
        let device = run("losetup", &["--find", "--show", &offset, &len, text(file)]);
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

    /// One whose files can share extents: of btrfs or xfs.
    #[track_caller]
    pub(crate) fn sharing(kind: &str, directory: &Path, mebibytes: u64) -> Option<Self> {
        std::fs::create_dir(directory).expect("the sandbox can be written");
        let file = directory.with_extension(kind);
        let made = std::fs::File::create(&file).and_then(|file| file.set_len(mebibytes << 20));
        made.expect("the sandbox can be written");
        let options: &[&str] = if kind == "xfs" { &["-q", "-m", "reflink=1"] } else { &["--quiet"] };
        let mounted = run(&format!("mkfs.{kind}"), &[options, &[text(&file)]].concat())
            .and_then(|_| run("mount", &["-o", "loop", text(&file), text(directory)]));
        or_skip(kind, mounted).map(|_| Self(directory.to_owned()))
    }

    /// Puts everything on the disk: extents that are not there yet cannot be shared.
    pub(crate) fn sync(&self) {
        run("sync", &["--file-system", text(&self.0)]).expect("what is mounted can be written");
    }

    /// Refuses all writes from now on.
    pub(crate) fn make_read_only(&self) {
        run("mount", &["-o", "remount,ro", text(&self.0)]).expect("what is mounted can be mounted again");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A process that is being started by another test holds, until its program runs, whatever was open here.
        let mut tries = 1;
        let mut unmounted = run("umount", &[text(&self.0)]);
        while unmounted.is_err() && tries < 100 {
            std::thread::sleep(std::time::Duration::from_millis(20));
            unmounted = run("umount", &[text(&self.0)]);
            tries += 1;
        }
        assert!(unmounted.is_ok() || std::thread::panicking(), "{unmounted:?}");
    }
}

/// A control group whose processes get so much memory, the page cache included.
#[derive(Debug)]
pub(crate) struct MemoryLimit(PathBuf);

impl MemoryLimit {
    #[track_caller]
    pub(crate) fn new(bytes: u64) -> Option<Self> {
        or_skip("control group with a limit of memory", Self::make(bytes))
    }

    fn make(bytes: u64) -> Result<Self, String> {
        let name = format!("chunk-test-{}", std::process::id());
        // The first hierarchy is that of version 1, the second that of version 2.
        let limits = [("memory", "memory.limit_in_bytes"), ("", "memory.max")];
        let mut why = "neither version is mounted".to_owned();
        for (hierarchy, limit) in limits {
            let group = Self(Path::new("/sys/fs/cgroup").join(hierarchy).join(&name));
            let made = std::fs::create_dir(&group.0)
                .and_then(|()| std::fs::write(group.0.join(limit), bytes.to_string()));
            match made {
                Ok(()) => return Ok(group),
                Err(error) => why = format!("{}: {error}", group.0.display()),
            }
        }
        Err(why)
    }

    /// `program` in this group, not yet started.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("sh");
        let join = format!("echo $$ >{}/cgroup.procs && exec \"$0\" \"$@\"", text(&self.0));
        command.args(["-c", &join, program]);
        command
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        // Best effort: it may never have been made, or a process may just be leaving it.
        let _ = std::fs::remove_dir(&self.0);
    }
}
