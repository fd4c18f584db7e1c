//! What must not be overwritten, because somebody lives in it.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::alias::{number_of, shows};

/// Where the kernel tells of all disks.
const BLOCK_DEVICES: &str = "/sys/block";

/// Why a target is not touched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Another run writes to it.
    Locked,
    /// It is mounted.
    Mounted(PathBuf),
    /// The kernel uses it: a partition of it is mounted, or it is swap, or part of another device.
    InUse,
    /// A loop device shows it.
    Loop(String),
    /// It is swap space.
    Swap,
    /// It exists and nobody said that it may be replaced.
    Exists,
    /// A file that no run of ours has left is where the image would grow.
    Foreign(PathBuf),
    /// It is neither a regular file nor a block device.
    Kind,
    /// It would be a new file among the devices.
    Device,
    /// Its directory does not exist.
    Parent,
    /// A seed is the same bytes under another name.
    Alias(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Locked => f.write_str("is being written by another run"),
            Self::Mounted(at) => write!(f, "is mounted at {}", at.display()),
            Self::InUse => {
                f.write_str("is in use: it or a part of it is mounted, swap, or part of another device")
            }
            Self::Loop(name) => write!(f, "is in use by the loop device {name}"),
            Self::Swap => f.write_str("is in use as swap space"),
            Self::Exists => f.write_str("exists and is not the image"),
            Self::Foreign(part) => {
                write!(
                    f,
                    "cannot be made: {} is in the way and was not left by an earlier run",
                    part.display()
                )
            }
            Self::Kind => f.write_str("is neither a regular file nor a block device"),
            Self::Device => f.write_str("does not exist, and no file is made below /dev"),
            Self::Parent => f.write_str("cannot be made: its directory does not exist"),
            Self::Alias(seed) => write!(f, "overlaps the seed {seed}, which is not simply the same"),
        }
    }
}

/// Refuses a regular file that something else lives in.
pub(super) fn check_file(file: &File) -> Result<(), Refusal> {
    let Ok(metadata) = file.metadata() else { return Ok(()) };
    let is_it = |path: &Path| {
        path.metadata().is_ok_and(|found| found.dev() == metadata.dev() && found.ino() == metadata.ino())
    };
    if let Some(name) = loops().find(|(_, backing)| is_it(backing)).map(|(name, _)| name) {
        return Err(Refusal::Loop(name));
    }
    if is_swap(is_it) { Err(Refusal::Swap) } else { Ok(()) }
}

/// Whether the kernel swaps to what `is_it` knows.
fn is_swap(is_it: impl Fn(&Path) -> bool) -> bool {
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    let mut areas = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    areas.any(|area| is_it(Path::new(area)))
}

/// A loop device that shows some of the bytes of this device. The kernel lets both be opened for oneself alone.
pub(super) fn shown_by(number: u64) -> Option<String> {
    let shows_it =
        |name: &str| number_of(&Path::new(BLOCK_DEVICES).join(name)).is_some_and(|it| shows(it, number));
    loops().map(|(name, _)| name).find(|name| shows_it(name))
}

/// The loop devices in use, each with the file it shows.
pub(crate) fn loops() -> impl Iterator<Item = (String, PathBuf)> {
    let devices = fs::read_dir(BLOCK_DEVICES).into_iter().flatten().flatten();
    devices.filter_map(|device| {
        let backing = fs::read_to_string(device.path().join("loop/backing_file")).ok()?;
        let name = device.file_name().into_string().ok()?;
        Some((name, PathBuf::from(backing.trim_end_matches('\n'))))
    })
}

/// Another loop device that shows some of the same bytes as this one and is mounted or held.
pub(super) fn twin_in_use(number: u64) -> Option<String> {
    let own = fs::canonicalize(sys(number)).ok()?;
    let backing = fs::read_to_string(own.join("loop/backing_file")).ok()?;
    let backing = Path::new(backing.trim_end_matches('\n')).to_owned();
    let shown = shown_part(&own)?;
    let is_twin = |name: &str| {
        let device = Path::new(BLOCK_DEVICES).join(name);
        let is_other = own.file_name().is_none_or(|own| own != name);
        let part = shown_part(&device).unwrap_or(0..u64::MAX);
        let held = fs::read_dir(device.join("holders")).is_ok_and(|mut holders| holders.next().is_some());
        let number = fs::read_to_string(device.join("dev")).unwrap_or_default();
        is_other && part.start < shown.end && shown.start < part.end && (held || is_mounted(number.trim()))
    };
    loops().find(|(name, file)| *file == backing && is_twin(name)).map(|(name, _)| name)
}

/// The bytes of its file that a loop device shows.
fn shown_part(device: &Path) -> Option<Range<u64>> {
    let number = |file: &str| fs::read_to_string(device.join(file)).ok()?.trim().parse::<u64>().ok();
    let start = number("loop/offset")?;
    Some(start..start.saturating_add(number("size")?.saturating_mul(512)))
}

fn is_mounted(number: &str) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(2) == Some(number))
}

/// Whether the kernel has marked a device as read-only.
pub(super) fn is_read_only(number: u64) -> bool {
    fs::read_to_string(sys(number).join("ro")).is_ok_and(|text| text.trim() == "1")
}

/// Where a device, by its number, is mounted.
pub(super) fn mounted_through(number: u64) -> Option<PathBuf> {
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    let wanted = format!("{major}:{minor}");
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(2);
        (fields.next()? == wanted).then(|| fields.nth(1).map(PathBuf::from))?
    })
}

/// Who holds a device that cannot be opened for ourselves alone.
pub(super) fn holder_of(path: &Path) -> Refusal {
    let number = path.metadata().map_or(0, |metadata| metadata.rdev());
    if is_swap(|area| area.metadata().is_ok_and(|area| area.rdev() == number && number != 0)) {
        return Refusal::Swap;
    }
    mounted_through(number).map_or(Refusal::InUse, Refusal::Mounted)
}

/// What `/sys` says of a block device.
pub(crate) fn sys(number: u64) -> PathBuf {
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    PathBuf::from(format!("/sys/dev/block/{major}:{minor}"))
}
