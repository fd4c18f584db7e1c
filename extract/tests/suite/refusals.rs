//! Targets that must not be touched.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, OpenOptionsExt, symlink};
use std::path::Path;
use std::process::Command;

use chunk_extract::{Existing, ExtractError, Refusal, TargetError};
use chunk_testing::{LoopDevice, Mounted, SwapArea};
use rustix::fs::OFlags;

use crate::images::{blocks, noise};
use crate::store::Store;
use crate::tries::{fail, job, part_of, seed};

/// Tries to make an image at `target`; why not?
#[track_caller]
fn refusal(target: &Path, existing: Existing, seeds: &[&Path]) -> Refusal {
    let store = Store::new();
    store.make("new", &blocks(0..2));
    let source = store.source();
    let mut job = job(&source, store.index("new"), target, existing);
    job.seeds = seeds.iter().map(|path| seed(path, None)).collect();
    let error = fail(job);
    assert_eq!(source.requests(), 0, "nothing was fetched");
    match error {
        ExtractError::Target(TargetError::Refused(path, refusal)) => {
            assert_eq!(path, target);
            refusal
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_neither_file_nor_device_is_refused_without_waiting_for_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let dangling = directory.path().join("dangling");
    symlink("nowhere", &dangling).expect("linked");
    for target in [directory.path(), &pipe, &dangling, Path::new("/dev/null")] {
        for existing in [Existing::Keep, Existing::Replace, Existing::Update] {
            assert_eq!(refusal(target, existing, &[]), Refusal::Kind, "{}", target.display());
        }
    }
}

#[test]
fn a_new_file_is_made_only_in_a_directory_and_never_among_devices() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let link = directory.path().join("devices");
    symlink("/dev", &link).expect("linked");
    let mistyped = ["/dev/mmcblk0p99".into(), link.join("mmcblk0p99")];
    for target in mistyped {
        assert_eq!(refusal(&target, Existing::Keep, &[]), Refusal::Device);
        assert!(!target.exists() && !part_of(&target).exists());
    }
    let nowhere = directory.path().join("none/target");
    assert_eq!(refusal(&nowhere, Existing::Keep, &[]), Refusal::Parent);
}

#[test]
fn a_device_that_somebody_else_holds_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("device");
    fs::write(&file, vec![0; 16 << 20]).expect("written");
    let Some(device) = LoopDevice::attach(&file) else { return };
    let flags = i32::try_from(OFlags::EXCL.bits()).expect("a flag fits");
    let holder = File::options().read(true).custom_flags(flags).open(device.path()).expect("free");
    assert_eq!(refusal(device.path(), Existing::Update, &[]), Refusal::InUse);
    drop(holder);

    Mounted::format(device.path()).expect("a file system");
    let root = tempfile::tempdir().expect("a temporary directory");
    let mounted = Mounted::mount(device.path(), root.path()).expect("mounted");
    fs::write(root.path().join("file"), b"precious").expect("written");
    assert_eq!(refusal(device.path(), Existing::Update, &[]), Refusal::Mounted(root.path().to_owned()));
    assert_eq!(fs::read(root.path().join("file")).expect("whole"), b"precious");
    mounted.unmount().expect("nobody uses it");
}

#[test]
fn a_file_that_a_loop_device_shows_is_refused_as_target_and_the_device_as_its_seed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("file");
    fs::write(&file, noise(1, 4 << 20)).expect("written");
    let Some(device) = LoopDevice::attach(&file) else { return };
    let name = device.path().file_name().expect("a name").to_str().expect("ASCII").to_owned();
    assert_eq!(refusal(&file, Existing::Update, &[]), Refusal::Loop(name));
    let alias = |path: &Path| Refusal::Alias(path.display().to_string());
    assert_eq!(refusal(&file, Existing::Update, &[device.path()]), alias(device.path()));
    assert_eq!(refusal(device.path(), Existing::Update, &[&file]), alias(&file));
    let Some(second) = LoopDevice::attach(&file) else { return };
    assert_eq!(refusal(device.path(), Existing::Update, &[second.path()]), alias(second.path()));
    let mut held = vec![0; 4 << 20];
    File::open(&file).expect("a file").read_exact_at(&mut held, 0).expect("readable");
    assert!(held == noise(1, 4 << 20), "nothing was written");
}

struct ReadOnly<'d>(&'d LoopDevice);

impl<'d> ReadOnly<'d> {
    fn make(device: &'d LoopDevice) -> Self {
        let status = Command::new("blockdev").arg("--setro").arg(device.path()).status().expect("it runs");
        assert!(status.success());
        Self(device)
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        let _ = Command::new("blockdev").arg("--setrw").arg(self.0.path()).status();
    }
}

#[test]
fn a_device_that_is_read_only_fails_before_anything_is_fetched() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("device");
    fs::write(&file, vec![0; 4 << 20]).expect("written");
    let Some(device) = LoopDevice::attach(&file) else { return };
    // Whoever gets this device next wants to write to it.
    let _writable = ReadOnly::make(&device);
    let store = Store::new();
    store.make("new", &blocks(0..2));
    let source = store.source();
    let error = fail(job(&source, store.index("new"), device.path(), Existing::Keep));
    assert!(matches!(error, ExtractError::Target(TargetError::Open(..))), "{error:?}");
    assert_eq!(source.requests(), 0);
}

#[test]
fn the_twin_of_a_mounted_loop_device_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("disk");
    std::fs::File::create(&file).expect("a file").set_len(16 << 20).expect("room");
    let (Some(one), Some(twin)) = (LoopDevice::attach(&file), LoopDevice::attach(&file)) else { return };
    Mounted::format(one.path()).expect("a file system");
    let root = tempfile::tempdir().expect("a temporary directory");
    let mounted = Mounted::mount(one.path(), root.path()).expect("mounted");
    let store = Store::new();
    store.make("new", &blocks(0..4));
    let source = store.source();
    let error = fail(job(&source, "new.cidx", twin.path(), Existing::Keep));
    let refused = matches!(&error, ExtractError::Target(TargetError::Refused(_, Refusal::Loop(_))));
    assert!(refused, "{error:?}");
    mounted.unmount().expect("unmounted");
}

/// The kernel opens a device for one alone though a loop device shows it, so nobody but we can tell.
#[test]
fn a_device_that_a_loop_device_shows_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("device");
    fs::write(&file, noise(1, 4 << 20)).expect("written");
    let Some(device) = LoopDevice::attach(&file) else { return };
    let Some(upper) = LoopDevice::attach_part(device.path(), 1 << 20..2 << 20) else { return };
    let name = upper.path().file_name().expect("a name").to_str().expect("ASCII").to_owned();
    assert_eq!(refusal(device.path(), Existing::Update, &[]), Refusal::Loop(name));
    assert!(fs::read(&file).expect("a file") == noise(1, 4 << 20), "nothing was written");
}

#[test]
fn swap_space_is_refused_whether_it_is_a_device_or_a_file() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("swap");
    fs::write(&file, vec![0; 4 << 20]).expect("written");
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("it is ours");
    if let Some(_swap) = SwapArea::start(&file) {
        assert_eq!(refusal(&file, Existing::Update, &[]), Refusal::Swap);
    }
    let Some(device) = LoopDevice::attach(&file) else { return };
    let Some(_swap) = SwapArea::start(device.path()) else { return };
    assert_eq!(refusal(device.path(), Existing::Update, &[]), Refusal::Swap);
}

#[test]
fn a_file_that_a_loop_device_shows_is_not_replaced() {
    let store = Store::new();
    store.make("new", &noise(1, 100_000));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("shown");
    std::fs::write(&path, vec![7; 1 << 20]).expect("written");
    let Some(_device) = LoopDevice::attach(&path) else { return };
    let source = store.source();
    let error = fail(job(&source, store.index("new"), &path, Existing::Replace));
    assert!(matches!(error, ExtractError::Target(TargetError::Refused(_, Refusal::Loop(_)))), "{error:?}");
    assert!(std::fs::read(&path).expect("a file") == vec![7; 1 << 20]);
}
