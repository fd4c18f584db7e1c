//! A file that `qemu-storage-daemon` keeps, with its drivers for faults and logs between the file and its disk.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::disk::LoopDevice;
use crate::system::run;

/// How long the daemon may take to start.
const START: Duration = Duration::from_secs(20);
/// How often one looks whether it has.
const GLANCE: Duration = Duration::from_millis(5);

/// The running daemon and the file that it shows by FUSE.
#[derive(Debug)]
pub(crate) struct Export {
    daemon: Child,
    file: PathBuf,
    /// Whether the daemon was told to end, and has.
    ended: bool,
}

impl Export {
    /// Shows the node `shown`, of `len` bytes, of these block devices as the file `file`.
    pub(crate) fn start(blockdevs: &[String], shown: &str, file: PathBuf, len: u64) -> io::Result<Self> {
        File::create(&file)?;
        let export =
            format!("type=fuse,id=shown,node-name={shown},mountpoint={},writable=on", file.display());
        let mut command = Command::new("qemu-storage-daemon");
        for blockdev in blockdevs {
            command.args(["--blockdev", blockdev]);
        }
        command.args(["--export", &export]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let daemon = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("qemu-storage-daemon cannot be run: {error}"))
        })?;
        let mut export = Self { daemon, file, ended: false };
        export.wait_until_shown(len)?;
        Ok(export)
    }

    fn wait_until_shown(&mut self, len: u64) -> io::Result<()> {
        let deadline = Instant::now() + START;
        while self.file.metadata()?.len() != len {
            if let Some(status) = self.daemon.try_wait()? {
                self.ended = true;
                let mut said = String::new();
                if let Some(stderr) = &mut self.daemon.stderr {
                    io::Read::read_to_string(stderr, &mut said)?;
                }
                return Err(io::Error::other(format!("qemu-storage-daemon: {status}: {}", said.trim())));
            }
            if Instant::now() > deadline {
                return Err(io::Error::other("qemu-storage-daemon shows nothing"));
            }
            thread::sleep(GLANCE);
        }
        Ok(())
    }

    /// A block device of a part of the shown file. It must be dropped before the export is.
    ///
    /// The kernel keeps pages of the file, and therefore sends one write at a time: the daemon, as of 10.0, mixes
    /// up writes that overlap in time.
    pub(crate) fn device(&self, part: Range<u64>) -> Option<LoopDevice> {
        LoopDevice::attach_part(&self.file, part)
    }

    /// A block device of the shown file, every read of which reaches the daemon. It must be written by one request
    /// at a time.
    pub(crate) fn direct_device(&self, len: u64) -> Option<LoopDevice> {
        LoopDevice::attach_direct(&self.file, 0..len)
    }

    /// The shown file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Ends the daemon once it has written everything.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.ended, true) {
            // SIGTERM, which `Child` cannot send; SIGKILL would leave the FUSE mount behind.
            run("kill", [self.daemon.id().to_string()])?;
            self.daemon.wait()?;
        }
        Ok(())
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        // Best effort: a test that failed must fail for its own reason.
        let _ = self.end();
    }
}
