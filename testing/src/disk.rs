//! Real block devices and file systems in a file, by `losetup`, `mkfs.ext4`, `mount` and `perl`.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// The environment variable that makes it an error when a device or file system cannot be had.
pub const REQUIRED: &str = "CHUNK_REQUIRE_SYSTEM_TESTS";

/// A block device whose bytes are those of a file.
#[derive(Debug)]
pub struct LoopDevice {
    path: PathBuf,
}

impl LoopDevice {
    /// Makes a block device of `file`; none where that is not possible.
    pub fn attach(file: &Path) -> Option<Self> {
        or_skip(run("losetup", ["--find".as_ref(), "--show".as_ref(), file.as_os_str()]))
            .map(|path| Self { path: path.into() })
    }

    /// The device node.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        // Best effort: a test that failed must fail for its own reason.
        let _ = run("losetup", ["--detach".as_ref(), self.path.as_os_str()]);
    }
}

/// What a power cut leaves of what was written but not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerCut {
    /// The changes of names and sizes, not the bytes: the worst order in which a disk may write.
    NamesWithoutBytes,
    /// Nothing.
    Nothing,
}

/// A mounted ext4 file system of its own, unmounted when dropped.
#[derive(Debug)]
pub struct Disk {
    files: TempDir,
    is_mounted: bool,
}

impl Disk {
    /// Makes and mounts a file system of `len` bytes; none where that is not possible.
    pub fn new(len: u64) -> Option<Self> {
        or_skip(Self::mount_new(len))
    }

    fn mount_new(len: u64) -> io::Result<Self> {
        let mut disk = Self { files: tempfile::tempdir()?, is_mounted: false };
        File::create(disk.image())?.set_len(len)?;
        std::fs::create_dir(disk.root())?;
        // No blocks kept for root, who runs this: the disk is full when it is full.
        run("mkfs.ext4", ["-q".as_ref(), "-F".as_ref(), "-m0".as_ref(), disk.image().as_os_str()])?;
        disk.mount()?;
        Ok(disk)
    }

    /// Where the file system is mounted.
    pub fn root(&self) -> PathBuf {
        self.files.path().join("mounted")
    }

    /// Cuts the power: from now on nothing can be read or written, and what was not synced is lost.
    pub fn cut_power(&self, leaves: PowerCut) -> io::Result<()> {
        // EXT4_IOC_SHUTDOWN; the flags are EXT4_GOING_FLAGS_LOGFLUSH and EXT4_GOING_FLAGS_NOLOGFLUSH.
        let flags = match leaves {
            PowerCut::NamesWithoutBytes => "1",
            PowerCut::Nothing => "2",
        };
        // Perl, as it is on every Debian and starts in a few milliseconds: tests cut the power often.
        let program = "open(my $root, '<', $ARGV[0]) or die \"open: $!\\n\";\
            ioctl($root, 0x8004587d, pack('L', $ARGV[1])) or die \"EXT4_IOC_SHUTDOWN: $!\\n\"";
        run("perl", ["-e".as_ref(), program.as_ref(), self.root().as_os_str(), flags.as_ref()])?;
        Ok(())
    }

    /// Turns the power on again: what the disk holds is mounted anew. No file on it may be open.
    pub fn restart(&mut self) -> io::Result<()> {
        // A process that is being started by another test holds, until its program runs, whatever was open here.
        let mut tries = 0;
        while let Err(error) = run("umount", [self.root()]) {
            tries += 1;
            if tries == 100 {
                return Err(error);
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.is_mounted = false;
        self.mount()
    }

    fn image(&self) -> PathBuf {
        self.files.path().join("ext4")
    }

    fn mount(&mut self) -> io::Result<()> {
        run("mount", ["-o".as_ref(), "loop".as_ref(), self.image().as_os_str(), self.root().as_os_str()])?;
        self.is_mounted = true;
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            // Lazily: files may still be open when a test panics.
            let _ = run("umount", ["--lazy".as_ref(), self.root().as_os_str()]);
        }
    }
}

/// What could be had, if anything; says why a test is about to be skipped.
fn or_skip<T>(wanted: io::Result<T>) -> Option<T> {
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
fn run<A: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = A>) -> io::Result<String> {
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
