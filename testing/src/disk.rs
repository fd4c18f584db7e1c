//! Real block devices and file systems in a file, by `losetup`, `mkfs`, `mount`, `swapon` and `perl`.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::system::{or_skip, run};

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

    /// Makes a block device of `file`, with these bytes of it, whole sectors, as partitions.
    pub fn attach_disk(file: &Path, parts: &[Range<u64>]) -> Option<Self> {
        let options = ["--find", "--show", "--partscan"].map(OsStr::new);
        let disk = or_skip(run("losetup", options.into_iter().chain([file.as_os_str()])))?;
        let disk = Self { path: disk.into() };
        for (number, part) in (1..).zip(parts) {
            let sectors = [number, part.start / 512, (part.end - part.start) / 512]
                .map(|number: u64| number.to_string());
            let arguments = [disk.path.as_os_str()].into_iter().chain(sectors.iter().map(OsStr::new));
            or_skip(run("addpart", arguments))?;
        }
        Some(disk)
    }

    /// Makes a block device of the bytes in `part` of `file`, which must be whole pages.
    pub fn attach_part(file: &Path, part: Range<u64>) -> Option<Self> {
        Self::attach_with(file, part, "--direct-io=off")
    }

    /// The same, but nothing of `file` is kept in memory besides what is kept of the device.
    pub(crate) fn attach_direct(file: &Path, part: Range<u64>) -> Option<Self> {
        Self::attach_with(file, part, "--direct-io=on")
    }

    fn attach_with(file: &Path, part: Range<u64>, direct: &str) -> Option<Self> {
        let offset = format!("--offset={}", part.start);
        let len = format!("--sizelimit={}", part.end - part.start);
        let options = ["--find", "--show", direct, &offset, &len].map(OsStr::new);
        let arguments = options.into_iter().chain([file.as_os_str()]);
        or_skip(run("losetup", arguments)).map(|path| Self { path: path.into() })
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

/// A kind of file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// One whose power can be cut.
    Ext4,
    /// One whose files can share extents. It has 300 MiB at least.
    Xfs,
    /// Another one, of 110 MiB at least.
    Btrfs,
}

/// A mounted file system of its own, unmounted when dropped.
#[derive(Debug)]
pub struct Disk {
    files: TempDir,
    is_mounted: bool,
}

impl Disk {
    /// Makes and mounts an ext4 file system of `len` bytes; none where that is not possible.
    pub fn new(len: u64) -> Option<Self> {
        Self::of(FileSystem::Ext4, len)
    }

    /// The same for any kind of file system.
    pub fn of(kind: FileSystem, len: u64) -> Option<Self> {
        or_skip(Self::mount_new(kind, len))
    }

    fn mount_new(kind: FileSystem, len: u64) -> io::Result<Self> {
        let mut disk = Self { files: tempfile::tempdir()?, is_mounted: false };
        File::create(disk.image())?.set_len(len)?;
        std::fs::create_dir(disk.root())?;
        let (program, options): (_, &[&str]) = match kind {
            // No blocks kept for root, who runs this: the disk is full when it is full.
            FileSystem::Ext4 => ("mkfs.ext4", &["-q", "-F", "-m0"]),
            FileSystem::Xfs => ("mkfs.xfs", &["-q", "-m", "reflink=1"]),
            FileSystem::Btrfs => ("mkfs.btrfs", &["--quiet"]),
        };
        run(program, options.iter().map(OsStr::new).chain([disk.image().as_os_str()]))?;
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
        unmount(&self.root())?;
        self.is_mounted = false;
        self.mount()
    }

    fn image(&self) -> PathBuf {
        self.files.path().join("image")
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

/// The ext4 file system of a block device, mounted until dropped.
#[derive(Debug)]
pub struct Mounted {
    root: PathBuf,
    is_mounted: bool,
}

impl Mounted {
    /// Makes a file system on `device`, empty and without blocks kept for root.
    pub fn format(device: &Path) -> io::Result<()> {
        let arguments = ["-q".as_ref(), "-F".as_ref(), "-m0".as_ref(), device.as_os_str()];
        run("mkfs.ext4", arguments).map(drop)
    }

    /// Mounts the file system of `device` at the directory `root`; its own journal is replayed first.
    pub fn mount(device: &Path, root: &Path) -> io::Result<Self> {
        run("mount", ["-t".as_ref(), "ext4".as_ref(), device.as_os_str(), root.as_os_str()])?;
        Ok(Self { root: root.to_owned(), is_mounted: true })
    }

    /// Where it is mounted.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Unmounts it, and thereby writes all of it. No file on it may be open.
    pub fn unmount(mut self) -> io::Result<()> {
        unmount(self.root())?;
        self.is_mounted = false;
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.is_mounted {
            // Lazily: files may still be open when a test panics.
            let _ = run("umount", ["--lazy".as_ref(), self.root().as_os_str()]);
        }
    }
}

/// A device or file that the kernel swaps to, until dropped.
#[derive(Debug)]
pub struct SwapArea {
    path: PathBuf,
}

impl SwapArea {
    /// Makes a swap area of what is at `path`, and lets the kernel use it; none where that is not possible.
    pub fn start(path: &Path) -> Option<Self> {
        let started = run("mkswap", [path]).and_then(|_| run("swapon", [path]));
        or_skip(started).map(|_| Self { path: path.to_owned() })
    }
}

impl Drop for SwapArea {
    fn drop(&mut self) {
        // Best effort: a test that failed must fail for its own reason.
        let _ = run("swapoff", [&self.path]);
    }
}

/// Unmounts what is mounted at `root`, once nobody has a file of it open.
fn unmount(root: &Path) -> io::Result<()> {
    // A process that is being started by another test holds, until its program runs, whatever was open here.
    let mut tries = 0;
    while let Err(error) = run("umount", [root]) {
        tries += 1;
        if tries == 100 {
            return Err(error);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
