//! Two names for the same bytes.
//!
//! A seed that is simply the target under another name is no second seed. One that shares some of its bytes
//! otherwise is refused: it would change while it is read, and nobody can have meant that.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::seed::{Identity, Window};
use crate::target::guard;

/// Devices on devices that are looked through.
const DEEPEST: usize = 16;
/// What the kernel counts a device in.
const SECTOR: u64 = 512;

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

/// How a part of a file or device relates to another.
pub fn relation(one: &Window, other: &Window) -> Relation {
    if one.identity() == other.identity() {
        return Relation::Same;
    }
    let [one, other] =
        [one, other].map(|window| Extent::of(window.identity(), window.range()).at_the_bottom());
    if one.overlaps(&other) { Relation::Overlapping } else { Relation::Apart }
}

/// Whether the loop device `loop_device` shows bytes of `device`, or of the disk that this is a partition of.
pub(crate) fn shows(loop_device: u64, device: u64) -> bool {
    let on_disk = |extent: Extent| extent.on_its_disk().unwrap_or(extent);
    let whole = |device| Extent::of(Identity::Device(device), 0..u64::MAX);
    let shown = whole(loop_device).in_its_file().map(on_disk);
    shown.is_some_and(|shown| shown.overlaps(&on_disk(whole(device))))
}

/// The number of the device that `/sys` tells of in this directory.
pub(crate) fn number_of(device: &Path) -> Option<u64> {
    let number = fs::read_to_string(device.join("dev")).ok()?;
    let (major, minor) = number.trim().split_once(':')?;
    Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// Bytes of a file or device.
#[derive(Debug)]
struct Extent {
    lies_in: Identity,
    bytes: Range<u64>,
}

impl Extent {
    fn of(lies_in: Identity, bytes: Range<u64>) -> Self {
        Self { lies_in, bytes }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.lies_in == other.lies_in
            && self.bytes.start < other.bytes.end
            && other.bytes.start < self.bytes.end
    }

    /// The same bytes as a part of what lies on nothing else.
    fn at_the_bottom(self) -> Self {
        (0..DEEPEST)
            .try_fold(self, |extent, _| match extent.on_its_disk().or_else(|| extent.in_its_file()) {
                Some(below) => Ok(below),
                None => Err(extent),
            })
            .unwrap_or_else(|bottom| bottom)
    }

    /// The same bytes of the disk, if this is a partition.
    fn on_its_disk(&self) -> Option<Self> {
        let Identity::Device(device) = self.lies_in else { return None };
        let partition =
            fs::canonicalize(guard::sys(device)).ok().filter(|sys| sys.join("partition").exists())?;
        let disk = number_of(partition.parent()?)?;
        self.moved_to(Identity::Device(disk), sectors(&partition, "start")?, sectors(&partition, "size")?)
    }

    /// The same bytes of the file or device that a loop device shows, if this is one.
    fn in_its_file(&self) -> Option<Self> {
        let Identity::Device(device) = self.lies_in else { return None };
        let device = guard::sys(device);
        let path = fs::read_to_string(device.join("loop/backing_file")).ok()?;
        let shown = Path::new(path.trim_end_matches('\n')).metadata().ok()?;
        let lies_in = if shown.file_type().is_block_device() {
            Identity::Device(shown.rdev())
        } else {
            Identity::File(shown.dev(), shown.ino())
        };
        self.moved_to(lies_in, number(&device, "loop/offset")?, sectors(&device, "size")?)
    }

    /// These bytes of something that is the `len` bytes from `start` of another.
    fn moved_to(&self, lies_in: Identity, start: u64, len: u64) -> Option<Self> {
        let place = |at: u64| start.checked_add(at.min(len));
        Some(Self { lies_in, bytes: place(self.bytes.start)?..place(self.bytes.end)? })
    }
}

fn number(device: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(device.join(file)).ok()?.trim().parse().ok()
}

fn sectors(device: &Path, file: &str) -> Option<u64> {
    number(device, file)?.checked_mul(SECTOR)
}

#[cfg(test)]
mod tests {
    use chunk_testing::LoopDevice;

    use super::*;

    #[test]
    fn a_loop_device_shows_only_the_part_of_a_disk_that_it_is_made_of() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.as_file().set_len(8 << 20).expect("a hole");
        let parts = [1 << 20..3 << 20, 4 << 20..6 << 20];
        let Some(disk) = LoopDevice::attach_disk(file.path(), &parts) else { return };
        let Some(part) = LoopDevice::attach_part(disk.path(), 4 << 20..5 << 20) else { return };
        let sys = Path::new("/sys/block").join(disk.path().file_name().expect("a name"));
        let name = sys.file_name().and_then(|name| name.to_str()).expect("plain");
        let partition = |number| number_of(&sys.join(format!("{name}p{number}"))).expect("a partition");
        let part = part.path().metadata().expect("a device").rdev();
        let disk = disk.path().metadata().expect("a device").rdev();
        let shown = [partition(1), partition(2), disk, part].map(|device| shows(part, device));
        assert_eq!(shown, [false, true, true, false]);
    }
}
