//! Block devices as targets.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use chunk_extract::{Cleared, Existing, ExtractError, Tail, TargetError, Verify};
use chunk_testing::LoopDevice;
use tempfile::TempDir;

use crate::images::{blocks, noise};
use crate::store::Store;
use crate::tries::{fail, job, run_when_free, seed};

/// A device of `len` bytes that are all 0xFF.
fn device(len: usize) -> Option<(TempDir, LoopDevice)> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("device");
    fs::write(&file, vec![0xff; len]).expect("written");
    Some((directory, LoopDevice::attach(&file)?))
}

fn read(path: &Path, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    File::open(path).expect("a device").read_exact_at(&mut bytes, 0).expect("readable");
    bytes
}

/// Zeros long and short, at the end of a block and of the image; one byte after many of them.
fn zeros() -> Vec<u8> {
    let mut image = [noise(1, 300_000), vec![0; 3 << 20], noise(2, 1000), vec![0; 70_000]].concat();
    image.push(1);
    image.extend_from_slice(&[0; 5000]);
    image
}

#[test]
fn zeros_are_written_where_a_device_held_something_else_and_what_lies_behind_is_left() {
    let store = Store::new();
    let image = zeros();
    store.make("new", &image);
    let len = 8 << 20;
    for ignore_target in [false, true] {
        for (wish, tail) in [(Tail::Leave, 0xff), (Tail::Zero, 0)] {
            let Some((_directory, device)) = device(len) else { return };
            let source = store.source();
            let job = || {
                let mut job = job(&source, store.index("new"), device.path(), Existing::Keep);
                job.options.tail = wish;
                job.options.ignore_target = ignore_target;
                job.options.verify = Verify::ReadBack;
                job
            };
            let behind = (len - image.len()) as u64;
            let planned = job().plan().expect("a plan").cleared;
            let cleared = run_when_free(&source, job).cleared;
            let zeroed = if wish == Tail::Zero { behind } else { 0 };
            assert_eq!((cleared, planned), (Cleared { zeroed, discarded: 0 }, cleared));
            let held = read(device.path(), len);
            assert!(held[..image.len()] == image, "the image");
            assert!(held[image.len()..].iter().all(|byte| *byte == tail), "{wish:?}");
            let written = sectors_written(device.path());
            let again = run_when_free(&source, job);
            assert_eq!((again.written, again.cleared), (0, Cleared::default()), "nothing differs");
            assert_eq!(job().plan().expect("a plan").cleared, Cleared::default());
            assert_eq!(sectors_written(device.path()), written, "not even the tail is written again");
        }
    }
}

#[test]
fn the_tail_of_a_device_is_discarded_to_the_sector_and_the_image_is_not_touched() {
    let store = Store::new();
    let image = noise(1, (2 << 20) + 5000);
    store.make("new", &image);
    let Some((directory, device)) = device(8 << 20) else { return };
    let occupied = || {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(directory.path().join("device")).expect("a file").blocks() * 512
    };
    let source = store.source();
    let job = || {
        let mut job = job(&source, store.index("new"), device.path(), Existing::Keep);
        job.options.tail = Tail::Discard;
        job
    };
    let discarded = (6 << 20) - 8192;
    assert_eq!(job().plan().expect("a plan").cleared, Cleared { zeroed: 0, discarded });
    assert_eq!(occupied(), 8 << 20, "a plan writes nothing");
    let report = run_when_free(&source, job);
    assert_eq!(report.cleared, Cleared { zeroed: 0, discarded });
    assert_eq!(occupied(), (2 << 20) + 8192, "the file behind the device has a hole now");
    let held = read(device.path(), (2 << 20) + 8192);
    assert!(held[..image.len()] == image);
    assert!(held[image.len()..].iter().all(|byte| *byte == 0xff), "less than a sector is left as it was");
}

/// While somebody has a device open, the kernel keeps what it once read, whatever the medium holds since.
#[test]
fn the_medium_is_judged_and_mended_and_not_what_is_kept_of_it() {
    let store = Store::new();
    let image = noise(1, 4 << 20);
    store.make("new", &image);
    let Some((directory, device)) = device(4 << 20) else { return };
    let source = store.source();
    run_when_free(&source, || job(&source, store.index("new"), device.path(), Existing::Keep));
    let _holder = File::open(device.path()).expect("a device can be opened twice");
    assert!(read(device.path(), 4 << 20) == image, "and now it is in memory");
    let medium = File::options().write(true).open(directory.path().join("device")).expect("a file");
    medium.write_all_at(b"rotten", 3 << 20).expect("written");
    medium.sync_all().expect("synced");
    let job = |from_medium| {
        let mut job = job(&source, store.index("new"), device.path(), Existing::Update);
        job.options.from_medium = from_medium;
        job
    };
    let kept = job(false).plan().expect("a plan");
    assert_eq!(kept.wrong, [], "this is what is kept in memory");
    let found = job(true).plan().expect("a plan");
    let [wrong] = &found.wrong[..] else { panic!("one block: {:?}", found.wrong) };
    assert_eq!(*wrong, 3 << 20..4 << 20);
    medium.write_all_at(b"more of it", 1 << 20).expect("written");
    let report = run_when_free(&source, || job(true));
    assert_eq!((&report.wrong[..], report.written), (&[1 << 20..2 << 20, 3 << 20..4 << 20][..], 8192));
    assert!(fs::read(directory.path().join("device")).expect("a file") == image);
}

/// What the kernel has counted.
fn sectors_written(device: &Path) -> u64 {
    let name = device.file_name().expect("a name").to_str().expect("ASCII");
    let stat = fs::read_to_string(format!("/sys/block/{name}/stat")).expect("the kernel counts");
    stat.split_whitespace().nth(6).expect("many fields").parse().expect("a number")
}

#[test]
fn a_device_that_is_too_small_is_not_touched() {
    let store = Store::new();
    store.make("new", &blocks(0..3));
    let Some((_directory, device)) = device((3 << 20) - 4096) else { return };
    let source = store.source();
    match fail(job(&source, store.index("new"), device.path(), Existing::Keep)) {
        ExtractError::Target(TargetError::Space { needed, available, .. }) => {
            assert_eq!((needed, available), (3 << 20, (3 << 20) - 4096));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(source.requests(), 0);
    assert!(read(device.path(), (3 << 20) - 4096).iter().all(|byte| *byte == 0xff));
}

#[test]
fn a_device_is_its_own_seed() {
    let store = Store::new();
    let (old, new) = (blocks(0..5), blocks([4, 0, 1, 2, 3]));
    store.make("old", &old);
    store.make("new", &new);
    let Some((_directory, device)) = device(6 << 20) else { return };
    let source = store.source();
    run_when_free(&source, || job(&source, store.index("old"), device.path(), Existing::Keep));
    let report = run_when_free(&source, || {
        let mut update = job(&source, store.index("new"), device.path(), Existing::Keep);
        // Named as a seed, it is still not read twice.
        update.seeds = vec![seed(device.path(), Some(store.lists("old")))];
        update.own_lists = Some(store.lists("old"));
        update
    });
    assert!(report.late == 0 && report.totals.missing < 10 * 8192, "{report:?}");
    assert!(read(device.path(), 5 << 20) == new);
    assert!(read(device.path(), 6 << 20)[5 << 20..].iter().all(|byte| *byte == 0xff));
}
