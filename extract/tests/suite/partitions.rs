//! A disk with two slots: one is the seed of the other, and the disk as a whole is neither.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use chunk_extract::{Existing, ExtractError, Refusal, TargetError};
use chunk_testing::{LoopDevice, Mounted};

use crate::images::blocks;
use crate::store::Store;
use crate::tries::{fail, fail_when_free, job, run_when_free, seed};

/// Bytes of a slot.
const SLOT: u64 = 8 << 20;
const SECTOR: u64 = 512;

/// A disk with an MBR and two Linux partitions.
fn disk(path: &Path) {
    let mut mbr = [0; 512];
    for slot in 0..2_u8 {
        let entry = &mut mbr[446 + 16 * usize::from(slot)..][..16];
        let start = (1 << 20) / SECTOR + u64::from(slot) * SLOT / SECTOR;
        entry[4] = 0x83;
        entry[8..12].copy_from_slice(&u32::try_from(start).expect("small").to_le_bytes());
        entry[12..16].copy_from_slice(&u32::try_from(SLOT / SECTOR).expect("small").to_le_bytes());
    }
    mbr[510..].copy_from_slice(&[0x55, 0xaa]);
    let file = File::create(path).expect("a file");
    file.set_len((1 << 20) + 2 * SLOT).expect("room");
    file.write_all_at(&mbr, 0).expect("written");
}

/// The device nodes of the partitions, once the kernel has found them.
fn slots(device: &LoopDevice) -> [PathBuf; 2] {
    // The kernel looks by itself only if it was told so when the device was made.
    let status = Command::new("partx").arg("--update").arg(device.path()).status();
    assert!(status.expect("partx runs").success(), "the kernel takes the partitions");
    let slots: [PathBuf; 2] = ["p1", "p2"].map(|part| format!("{}{part}", device.path().display()).into());
    // Who writes to a node that is not there yet makes a file.
    let is_there = |slot: &PathBuf| slot.metadata().is_ok_and(|node| node.file_type().is_block_device());
    for _ in 0..500 {
        if slots.iter().all(is_there) {
            return slots;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("{slots:?} do not appear")
}

#[test]
fn one_slot_is_the_seed_of_the_other_and_the_whole_disk_of_none() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("disk");
    disk(&file);
    let Some(device) = LoopDevice::attach(&file) else { return };
    let [a, b] = slots(&device);
    let store = Store::new();
    let (old, new) = (blocks(0..6), blocks([0, 1, 9, 3, 4, 5]));
    store.make("old", &old);
    store.make("new", &new);
    let source = store.source();
    run_when_free(&source, || job(&source, store.index("old"), &a, Existing::Keep));

    let alias = |target: &Path, other: &Path| {
        let mut job = job(&source, store.index("new"), target, Existing::Keep);
        job.seeds = vec![seed(other, None)];
        let error = fail(job);
        assert!(
            matches!(&error, ExtractError::Target(TargetError::Refused(_, Refusal::Alias(_)))),
            "{error:?}"
        );
    };
    alias(&b, device.path());
    alias(&b, &file);
    alias(device.path(), &a);

    let report = run_when_free(&source, || {
        let mut update = job(&source, store.index("new"), &b, Existing::Keep);
        update.seeds = vec![seed(&a, None)];
        update
    });
    assert!(report.late == 0 && report.totals.missing < (1 << 20) + 4 * 8192, "{report:?}");
    let mut held = vec![0; new.len()];
    File::open(&b).expect("a device").read_exact_at(&mut held, 0).expect("readable");
    assert!(held == new);

    Mounted::format(&a).expect("a file system");
    let root = tempfile::tempdir().expect("a temporary directory");
    let mounted = Mounted::mount(&a, root.path()).expect("mounted");
    let error = fail(job(&source, store.index("new"), device.path(), Existing::Keep));
    assert!(
        matches!(&error, ExtractError::Target(TargetError::Refused(_, Refusal::InUse))),
        "a partition of it is mounted: {error:?}"
    );
    run_when_free(&source, || job(&source, store.index("old"), &b, Existing::Keep));
    mounted.unmount().expect("nobody uses it");

    // What a loop device shows of one slot is in use, and the disk with it; the other slot is not.
    let Some(upper) = LoopDevice::attach(&a) else { return };
    for shown in [&a, device.path()] {
        let error = fail_when_free(|| job(&source, store.index("new"), shown, Existing::Keep));
        let refused = matches!(&error, ExtractError::Target(TargetError::Refused(_, Refusal::Loop(_))));
        assert!(refused, "{}: {error:?}", shown.display());
    }
    run_when_free(&source, || job(&source, store.index("new"), &b, Existing::Keep));
    drop(upper);
    let _ = fs::remove_file(&file);
    let _ = Command::new("partx").arg("--delete").arg(device.path()).status();
}
