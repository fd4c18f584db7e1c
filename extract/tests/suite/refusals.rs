//! Targets that must not be touched.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, OpenOptionsExt, symlink};
use std::path::Path;
use std::process::Command;

use chunk_extract::{Existing, ExtractError, Job, Refusal, TargetError};
use chunk_testing::{Disk, LoopDevice, Mounted, SwapArea};
use rustix::fs::OFlags;

use crate::images::{blocks, noise};
use crate::store::Store;
use crate::tries::{fail, job, leave_part, part_of, seed};
use crate::watching::Watching;

/// Tries to make an image at `target`; why not?
#[track_caller]
fn refusal(target: &Path, existing: Existing, seeds: &[&Path]) -> Refusal {
    let store = Store::new();
    store.make("new", &blocks(0..2));
    let source = store.source();
    let watching = Watching::default();
    let job = || {
        let seeds = seeds.iter().map(|path| seed(path, None)).collect();
        Job { seeds, observer: &watching, ..job(&source, store.index("new"), target, existing) }
    };
    let error = fail(job());
    assert_eq!(source.requests(), 0, "nothing was fetched");
    assert_eq!(watching.scanned(), 0, "no seed was read");
    assert_eq!(rehearsed(job()), error.to_string(), "who plans hears the same");
    match error {
        ExtractError::Target(TargetError::Refused(path, refusal)) => {
            assert_eq!(path, target);
            refusal
        }
        other => panic!("{other:?}"),
    }
}

/// Why the job would not be carried out, as a rehearsal tells.
#[track_caller]
fn rehearsed(job: Job<'_>) -> String {
    match job.rehearse() {
        Err(error) => error.to_string(),
        Ok(rehearsal) => rehearsal.refusal.expect("it would be refused").to_string(),
    }
}

#[test]
fn a_file_of_the_same_length_is_compared_and_refused_before_any_seed_is_read() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (target, old) = (directory.path().join("target"), directory.path().join("old"));
    fs::write(&target, noise(5, 2 << 20)).expect("written");
    fs::write(&old, noise(6, 2 << 20)).expect("written");
    assert_eq!(refusal(&target, Existing::Keep, &[&old]), Refusal::Exists);
    assert!(fs::read(&target).expect("a file") == noise(5, 2 << 20));
}

#[test]
fn a_plan_is_told_even_where_it_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let target = directory.path().join("target");
    fs::write(&target, b"precious").expect("written");
    let store = Store::new();
    store.make("new", &blocks(0..2));
    let source = store.source();
    let rehearsal = job(&source, store.index("new"), &target, Existing::Keep).rehearse().expect("a plan");
    assert_eq!(rehearsal.report.totals.write, 2 << 20);
    let refusal = rehearsal.refusal.expect("it is in the way");
    assert!(matches!(refusal, ExtractError::Target(TargetError::Refused(_, Refusal::Exists))), "{refusal:?}");
    assert_eq!(source.requests(), 0);
}

#[test]
fn a_file_system_without_room_is_known_before_any_seed_is_read_and_by_who_only_plans() {
    let Some(disk) = Disk::new(8 << 20) else { return };
    let (target, old) = (disk.root().join("target"), disk.root().join("old"));
    fs::write(&old, noise(6, 1 << 20)).expect("written");
    let store = Store::new();
    store.make("new", &[blocks(0..3), vec![0; 90 << 20], blocks(3..20)].concat());
    store.make("holes", &[blocks(0..3), vec![0; 90 << 20]].concat());
    let source = store.source();
    for existing in [Existing::Keep, Existing::Replace, Existing::Update] {
        let watching = Watching::default();
        if existing != Existing::Keep {
            fs::write(&target, noise(7, 100_000)).expect("written");
        }
        let job = || Job {
            seeds: vec![seed(&old, None)],
            observer: &watching,
            ..job(&source, store.index("new"), &target, existing)
        };
        let error = fail(job());
        assert!(matches!(error, ExtractError::Target(TargetError::Space { .. })), "{error:?}");
        assert_eq!((watching.scanned(), source.requests()), (0, 0), "{existing:?}");
        assert!(rehearsed(job()).starts_with(&format!("{} has room for ", target.display())));
        assert!(!part_of(&target).exists());
    }
    let holes = job(&source, store.index("holes"), &target, Existing::Update);
    assert!(holes.rehearse().expect("a plan").refusal.is_none(), "holes take no room");
}

#[test]
fn who_rehearses_leaves_nothing_and_holds_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let target = directory.path().join("target");
    let store = Store::new();
    let image = blocks(0..2);
    store.make("new", &image);
    let source = store.source();
    let job = |existing| job(&source, store.index("new"), &target, existing);
    assert!(job(Existing::Keep).rehearse().expect("a plan").refusal.is_none());
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 0);
    leave_part(&target, &image[..1 << 20]);
    assert!(job(Existing::Keep).rehearse().expect("a plan").refusal.is_none(), "it is ours");
    let _other = File::open(part_of(&target)).and_then(|part| part.lock().map(|()| part)).expect("free");
    let locked = ExtractError::from(TargetError::Refused(part_of(&target), Refusal::Locked)).to_string();
    assert_eq!(rehearsed(job(Existing::Keep)), locked);
    assert_eq!(fail(job(Existing::Keep)).to_string(), locked);
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
    assert_eq!(refusal(&file, Existing::Update, &[]), Refusal::Loop(name.clone()));
    let alias = |path: &Path| Refusal::Alias(path.display().to_string());
    assert_eq!(refusal(&file, Existing::Update, &[device.path()]), Refusal::Loop(name));
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
