//! Two names for the same bytes.
//!
//! A seed that is simply the target under another name is no second seed. One that shares some of its bytes
//! otherwise is refused: it would change while it is read, and nobody can have meant that.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::seed::Identity;
use crate::target::guard;

/// How a seed relates to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// They have nothing in common.
    Apart,
    /// They are the same file or device.
    Same,
    /// They share bytes in another way.
    Overlapping,
}

/// How two files or devices relate.
pub fn relation(one: Identity, other: Identity) -> Relation {
    if one == other {
        return Relation::Same;
    }
    match (one, other) {
        (Identity::File(..), Identity::File(..)) => Relation::Apart,
        (Identity::Device(one), Identity::Device(other)) => devices(one, other),
        (Identity::Device(device), file) | (file, Identity::Device(device)) => {
            if backing(device) == Some(file) { Relation::Overlapping } else { Relation::Apart }
        }
    }
}

fn devices(one: u64, other: u64) -> Relation {
    let is_apart = match (extent(one), extent(other)) {
        (Some(one), Some(other)) if one.disk == other.disk => {
            one.end <= other.start || other.end <= one.start
        }
        // Two loop devices may show different parts of their file, but nobody lays out slots like that.
        _ => backing(one).is_none_or(|file| Some(file) != backing(other)),
    };
    if is_apart { Relation::Apart } else { Relation::Overlapping }
}

/// The file that a loop device, or the loop device under a partition, shows.
fn backing(device: u64) -> Option<Identity> {
    let disk = disk(&guard::sys(device))?;
    let path = fs::read_to_string(disk.join("loop/backing_file")).ok()?;
    let metadata = Path::new(path.trim_end_matches('\n')).metadata().ok()?;
    Some(Identity::File(metadata.dev(), metadata.ino()))
}

/// The part of a disk that a device is, in sectors.
struct Extent {
    disk: std::path::PathBuf,
    start: u64,
    end: u64,
}

fn extent(device: u64) -> Option<Extent> {
    let sys = guard::sys(device);
    let number = |file: &str| fs::read_to_string(sys.join(file)).ok()?.trim().parse::<u64>().ok();
    // A disk as a whole has no start.
    let start = number("start").unwrap_or(0);
    Some(Extent { disk: disk(&sys)?, start, end: start.checked_add(number("size")?)? })
}

/// The disk that a device is, or is a partition of.
fn disk(sys: &Path) -> Option<std::path::PathBuf> {
    let device = fs::canonicalize(sys).ok()?;
    if device.join("partition").exists() { device.parent().map(Path::to_owned) } else { Some(device) }
}
