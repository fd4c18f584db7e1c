//! The power fails while a file on ext4 is replaced or updated where it lies.

use std::fs::{self, File};
use std::ops::Range;
use std::path::PathBuf;

use chunk_extract::{Existing, Verify};
use chunk_testing::{Disk, LoopDevice, Mounted, Numbers, PowerCut, WriteLog, scratch};
use tempfile::TempDir;

use crate::cuts::Cuts;
use crate::store::{BLOCK, Made, SAVED, Store, To};

/// Bytes of the disk.
const DISK: Range<u64> = 0..96 << 20;
/// Bytes of the image, less than a whole block in the last.
const LEN: usize = (20 << 20) + 12_345;
/// What a file system's disk writes wholly or not at all: its superblock must be whole.
const SECTOR: u64 = 4096;
/// What a cut may cost beyond what is lost: chunks at the edges of that, and the frames around them.
const EDGES: u64 = 2 << 20;

/// A disk of its own for a file that may be the older version.
struct Slot {
    files: TempDir,
    /// Where it is mounted: not among the devices, where no file is made.
    root: TempDir,
    store: Store,
    old: Option<Vec<u8>>,
}

impl Slot {
    /// From `old` to `new`. None where there are no disks.
    fn new(old: Option<Vec<u8>>, new: Vec<u8>) -> Option<Self> {
        let files = scratch().expect("a temporary directory");
        let root = tempfile::tempdir().expect("a temporary directory");
        let slot = Self { files, root, store: Store::of(new), old };
        File::create(slot.disk()).and_then(|disk| disk.set_len(DISK.end)).expect("a file can be made");
        let device = LoopDevice::attach_part(&slot.disk(), DISK)?;
        Mounted::format(device.path()).expect("a file system can be made");
        let mounted = slot.mount(&device);
        if let Some(old) = &slot.old {
            fs::write(slot.file(), old).expect("there is room");
        }
        mounted.unmount().expect("no file is open");
        Some(slot)
    }

    fn disk(&self) -> PathBuf {
        self.files.path().join("disk")
    }

    fn file(&self) -> PathBuf {
        self.root.path().join("image")
    }

    fn mount(&self, device: &LoopDevice) -> Mounted {
        Mounted::mount(device.path(), self.root.path()).expect("a file system that can be mounted")
    }

    /// Makes the image `to` its place, and again after power cuts. `is_sound` looks at what a cut has left of the
    /// file.
    fn test(
        &self,
        to: &To<'_>,
        seed: u64,
        is_sound: impl Fn(Option<&[u8]>) -> bool,
        allowed: impl Fn(&Made) -> u64,
    ) {
        let Some(log) = WriteLog::start(&self.disk()) else { return };
        let device = log.device(DISK).expect("there is a log of one");
        let mounted = self.mount(&device);
        let first = self.store.extract(to).expect("the image is made");
        let claimed = log.confirmed().expect("a log");
        mounted.unmount().expect("no file is open");
        drop(device);
        let requests = log.finish().expect("a log");
        let (mut disks, mut most) = (0, 0);
        Cuts::new(&requests, claimed, SECTOR, seed).each(usize::MAX, 1, |crash| {
            let device = LoopDevice::attach_part(crash.disk, DISK).expect("there was a device");
            let mounted = self.mount(&device);
            let left = fs::read(self.file()).ok();
            let holds = left.as_deref() == Some(self.store.image());
            assert!(holds || !crash.claimed, "{}: success was claimed too early", crash.name);
            assert!(is_sound(left.as_deref()), "{}: what is left of the file", crash.name);
            let plan = self.store.plan(&To::update(to.path));
            let right = plan.totals.write + plan.surplus == 0;
            assert!(right == holds || left.is_none(), "{}: what is told of the file", crash.name);
            let again = self.store.extract(to).unwrap_or_else(|error| panic!("{}: {error}", crash.name));
            let made = fs::read(self.file()).expect("it was made");
            assert!(made == self.store.image(), "{}: another image", crash.name);
            let entries = fs::read_dir(self.root.path()).expect("a directory");
            let names = entries.map(|entry| entry.expect("it can be listed").file_name());
            let left: Vec<_> = names.filter(|name| name != "lost+found").collect();
            assert_eq!(left, ["image"], "{}", crash.name);
            let allowed = allowed(&first);
            assert!(again.downloaded <= allowed, "{}: {} of {allowed}", crash.name, again.downloaded);
            (disks, most) = (disks + 1, again.downloaded.max(most));
            mounted.unmount().expect("no file is open");
        });
        println!("first run: {} bytes; on {disks} disks at most {most}", first.downloaded);
    }
}

/// An image and the next version: all behind the first bytes moves, and it gets shorter by `less`.
fn versions(seed: u64, less: usize) -> (Vec<u8>, Vec<u8>) {
    let mut numbers = Numbers::from_seed(seed);
    let old = numbers.bytes(LEN);
    let mut new = [&numbers.bytes(200_000), &old[..]].concat();
    new.truncate(LEN - less);
    (old, new)
}

#[test]
fn a_new_file_has_its_name_only_when_it_is_complete_whenever_the_power_fails() {
    let (_, new) = versions(1, 0);
    let Some(slot) = Slot::new(None, new) else { return };
    let file = slot.file();
    let to = To { existing: Existing::Keep, ..To::update(&file) };
    let is_sound = |left: Option<&[u8]>| left.is_none() || left == Some(slot.store.image());
    slot.test(&to, 0x01f, is_sound, |first| first.downloaded);
}

#[test]
fn a_file_that_is_replaced_is_the_old_one_or_the_new_one_whenever_the_power_fails() {
    let (old, new) = versions(2, 0);
    let Some(slot) = Slot::new(Some(old), new) else { return };
    let is_sound = |left: Option<&[u8]>| left == slot.old.as_deref() || left == Some(slot.store.image());
    // The old file stays a seed until the new one is complete, so nothing is ever lost.
    slot.test(&To::replace(&slot.file()), 0x02f, is_sound, |first| first.downloaded + EDGES);
}

#[test]
fn a_file_that_is_updated_where_it_lies_can_be_finished_whenever_the_power_fails() {
    for less in [0, 3 << 20] {
        let (old, new) = versions(3, less);
        let Some(slot) = Slot::new(Some(old), new) else { return };
        let is_sound = |left: Option<&[u8]>| left.is_some_and(|left| [LEN, LEN - less].contains(&left.len()));
        let lost = SAVED + (8 << 20) + BLOCK + EDGES;
        slot.test(&To::update(&slot.file()), 0x03f, is_sound, |first| first.downloaded + lost);
    }
}

#[test]
fn a_longer_file_that_starts_as_the_image_does_is_not_told_to_be_the_image() {
    let files = scratch().expect("a temporary directory");
    for image in [Numbers::from_seed(3).bytes(3_000_000), vec![0; 2 << 20], Vec::new()] {
        let store = Store::of(image);
        let path = files.path().join("image");
        fs::write(&path, [store.image(), b"more"].concat()).expect("a file can be written");
        let to = To { verify: Verify::ReadBack, ..To::update(&path) };
        assert_eq!(store.plan(&to).surplus, 4);
        let made = store.extract(&to).expect("the file becomes the image");
        assert_eq!(made.report.written, 0, "what is there already");
        assert!(made.downloaded <= 64 << 10, "{} bytes for the chunk that ends elsewhere", made.downloaded);
        assert!(fs::read(&path).expect("a file") == store.image());
        let plan = store.plan(&to);
        assert_eq!(plan.totals.write + plan.surplus, 0);
    }
}

#[test]
fn a_file_that_is_the_image_already_is_durable_when_that_is_told() {
    let Some(mut disk) = Disk::new(32 << 20) else { return };
    let store = Store::of(Numbers::from_seed(4).bytes(3_000_000));
    let path = disk.root().join("image");
    fs::write(&path, store.image()).expect("there is room");
    let to = To { existing: Existing::Keep, ..To::update(&path) };
    store.extract(&to).expect("it is the image");
    disk.cut_power(PowerCut::Nothing).expect("the power can be cut");
    disk.restart().expect("it starts again");
    assert!(fs::read(&path).expect("it was there") == store.image());
}
