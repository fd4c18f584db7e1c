//! Block devices as targets.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use chunk_extract::{Existing, ExtractError, TargetError, Verify};
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
        for (zero_tail, tail) in [(false, 0xff), (true, 0)] {
            let Some((_directory, device)) = device(len) else { return };
            let source = store.source();
            let job = || {
                let mut job = job(&source, store.index("new"), device.path(), Existing::Keep);
                job.options.zero_tail = zero_tail;
                job.options.ignore_target = ignore_target;
                job.options.verify = Verify::ReadBack;
                job
            };
            run_when_free(&source, job);
            let held = read(device.path(), len);
            assert!(held[..image.len()] == image, "the image");
            assert!(held[image.len()..].iter().all(|byte| *byte == tail), "zero_tail: {zero_tail}");
            let written = sectors_written(device.path());
            let again = run_when_free(&source, job);
            assert_eq!(again.written, 0, "nothing differs");
            assert_eq!(sectors_written(device.path()), written, "not even the tail is written again");
        }
    }
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
