//! Regular files as targets.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use chunk_extract::{Existing, ExtractError, Refusal, TargetError};
use tempfile::TempDir;

use crate::images::{blocks, noise};
use crate::store::Store;
use crate::tries::{assert_is, fail, job, leave_part, part_of, run, seed};
use crate::watching::Watching;

fn directory() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let target = directory.path().join("target");
    (directory, target)
}

/// Names, lengths and times of all files.
fn fingerprint(directory: &Path) -> Vec<(PathBuf, u64, i64, i64)> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let entry = entry.expect("readable");
            let of = entry.metadata().expect("readable");
            (entry.path(), of.len(), of.mtime(), of.mtime_nsec())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn more_download_than_allowed_changes_nothing() {
    let store = Store::new();
    store.make("new", &blocks(0..3));
    for existing in [Existing::Keep, Existing::Replace, Existing::Update] {
        let (directory, target) = directory();
        if existing != Existing::Keep {
            fs::write(&target, noise(77, 5000)).expect("written");
        }
        let before = fingerprint(directory.path());
        let source = store.source();
        let mut job = job(&source, store.index("new"), &target, existing);
        job.options.max_download = Some((3 << 20) - 1);
        match fail(job) {
            ExtractError::TooMuch { needed, allowed } => {
                assert!(needed > allowed && allowed == (3 << 20) - 1);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(source.pack_requests(), 0);
        assert_eq!(fingerprint(directory.path()), before, "{existing:?}");
    }
}

#[test]
fn a_part_file_of_an_earlier_run_survives_what_forbids_this_one() {
    let store = Store::new();
    let image = blocks(0..3);
    store.make("new", &image);
    let (_directory, target) = directory();
    leave_part(&target, &image[..1_500_000]);
    let source = store.source();
    let mut forbidden = job(&source, store.index("new"), &target, Existing::Keep);
    forbidden.options.max_download = Some(0);
    fail(forbidden);
    assert_is(&part_of(&target), &image[..1_500_000]);
    let report = run(&source, job(&source, store.index("new"), &target, Existing::Keep));
    assert_eq!(report.totals.kept, 1 << 20);
    assert!(report.totals.missing < (3 << 20) - 1_500_000 + 2 * 8192, "{report:?}");
    assert_is(&target, &image);
}

/// Whoever calls his download so must not lose it, and whoever plans must hear of it.
#[test]
fn a_part_file_that_somebody_else_has_left_is_neither_used_nor_overwritten() {
    let store = Store::new();
    let image = blocks(0..2);
    store.make("new", &image);
    for existing in [Existing::Keep, Existing::Replace] {
        let (directory, target) = directory();
        if existing == Existing::Replace {
            fs::write(&target, noise(77, 5000)).expect("written");
        }
        fs::write(part_of(&target), b"half of something else").expect("written");
        let before = fingerprint(directory.path());
        let source = store.source();
        let [ran, planned] = [
            fail(job(&source, store.index("new"), &target, existing)),
            job(&source, store.index("new"), &target, existing).plan().expect_err("it is in the way"),
        ];
        for error in [ran, planned] {
            assert!(
                matches!(&error, ExtractError::Target(TargetError::Refused(_, Refusal::Foreign(part))) if *part == part_of(&target)),
                "{error:?}"
            );
        }
        assert_eq!(fingerprint(directory.path()), before);
        // Of an empty one nothing can be lost.
        fs::write(part_of(&target), b"").expect("written");
        run(&source, job(&source, store.index("new"), &target, existing));
        assert_is(&target, &image);
        let marked = rustix::fs::getxattr(&target, "user.chunk", &mut [0_u8; 9][..]);
        assert_eq!(marked, Err(rustix::io::Errno::NODATA), "what is done is marked no more");
    }
}

/// The owner changes last: nobody goes on with a file that belongs to somebody else.
#[test]
fn the_replacement_of_a_file_of_another_user_is_continued_too() {
    let store = Store::new();
    let image = blocks(0..6);
    store.make("new", &image);
    let (_directory, target) = directory();
    fs::write(&target, noise(77, 5000)).expect("written");
    if std::os::unix::fs::chown(&target, Some(1234), Some(4321)).is_err() {
        return;
    }
    let source = store.source();
    let watching = Watching::stopping_at(3 << 20);
    let mut cancelled = job(&source, store.index("new"), &target, Existing::Replace);
    cancelled.observer = &watching;
    assert!(matches!(fail(cancelled), ExtractError::Cancelled));
    let report = run(&source, job(&source, store.index("new"), &target, Existing::Replace));
    assert!(report.totals.kept >= 3 << 20, "{report:?}");
    assert_is(&target, &image);
    assert_eq!(target.metadata().expect("a file").uid(), 1234);
}

#[test]
fn a_cancelled_run_is_continued_where_it_stopped() {
    let store = Store::new();
    let image = blocks(0..6);
    store.make("new", &image);
    let (_directory, target) = directory();
    let source = store.source();
    let watching = Watching::stopping_at(3 << 20);
    let mut cancelled = job(&source, store.index("new"), &target, Existing::Keep);
    cancelled.observer = &watching;
    assert!(matches!(fail(cancelled), ExtractError::Cancelled));
    assert!(!target.exists());
    let report = run(&source, job(&source, store.index("new"), &target, Existing::Keep));
    assert!(report.totals.kept >= 3 << 20, "{report:?}");
    assert_is(&target, &image);
}

#[test]
fn an_existing_file_is_left_alone_unless_it_is_the_image_to_its_last_byte() {
    let store = Store::new();
    let image = noise(1, 100_000);
    store.make("new", &image);
    let (directory, target) = directory();
    let source = store.source();
    let longer = [&image[..], b"x"].concat();
    for bytes in [&longer[..], &image[..99_999], b"", &noise(2, 100_000)] {
        fs::write(&target, bytes).expect("written");
        let before = fingerprint(directory.path());
        let error = fail(job(&source, store.index("new"), &target, Existing::Keep));
        assert!(matches!(error, ExtractError::Target(TargetError::Refused(_, Refusal::Exists))), "{error:?}");
        assert_eq!(fingerprint(directory.path()), before);
    }
    fs::write(&target, &image).expect("written");
    let before = fingerprint(directory.path());
    run(&source, job(&source, store.index("new"), &target, Existing::Keep));
    assert_eq!(fingerprint(directory.path()), before);
}

#[test]
fn a_longer_file_that_is_updated_ends_where_the_image_does() {
    let store = Store::new();
    let image = noise(1, 100_000);
    store.make("new", &image);
    let (_directory, target) = directory();
    fs::write(&target, [&image[..], &noise(2, 3 << 20)].concat()).expect("written");
    let source = store.source();
    let report = run(&source, job(&source, store.index("new"), &target, Existing::Update));
    assert_eq!(report.written, 0);
    assert_is(&target, &image);
}

#[test]
fn a_replaced_file_keeps_its_mode_and_owner_and_who_reads_it_reads_the_old_one() {
    let store = Store::new();
    store.make("new", &blocks(1..3));
    let (_directory, target) = directory();
    fs::write(&target, blocks(0..2)).expect("written");
    fs::set_permissions(&target, Permissions::from_mode(0o640)).expect("it is ours");
    let is_root = std::os::unix::fs::chown(&target, Some(1234), Some(4321)).is_ok();
    let reader = File::open(&target).expect("a file");
    let source = store.source();
    let report = run(&source, job(&source, store.index("new"), &target, Existing::Replace));
    assert!(report.totals.missing < (1 << 20) + 2 * 8192, "the old file is a seed: {report:?}");
    assert_is(&target, &blocks(1..3));
    let metadata = target.metadata().expect("a file");
    assert_eq!(metadata.mode() & 0o777, 0o640);
    if is_root {
        assert_eq!((metadata.uid(), metadata.gid()), (1234, 4321));
    }
    let old =
        std::io::read_to_string(reader.metadata().map(|of| of.len().to_string()).expect("open").as_bytes());
    assert_eq!(old.expect("a number"), (2 << 20).to_string());
}

#[test]
fn only_pages_that_differ_are_written() {
    let store = Store::new();
    let image = blocks(0..3);
    store.make("new", &image);
    let (_directory, target) = directory();
    let mut held = image.clone();
    held[1_500_000] ^= 1;
    held[2_500_000] ^= 1;
    fs::write(&target, held).expect("written");
    let source = store.source();
    let report = run(&source, job(&source, store.index("new"), &target, Existing::Update));
    assert_eq!(report.written, 2 * 4096);
    assert_is(&target, &image);
}

#[test]
fn zeros_of_a_new_file_are_holes_and_those_of_an_old_one_are_made_so() {
    let store = Store::new();
    let image = [noise(1, 1 << 20), vec![0; 6 << 20], noise(2, 4096)].concat();
    store.make("new", &image);
    let (_directory, target) = directory();
    let source = store.source();
    run(&source, job(&source, store.index("new"), &target, Existing::Keep));
    assert_is(&target, &image);
    assert!(target.metadata().expect("a file").blocks() * 512 < 2 << 20);
    fs::write(&target, vec![0xff; image.len()]).expect("written");
    run(&source, job(&source, store.index("new"), &target, Existing::Update));
    assert_is(&target, &image);
    assert!(target.metadata().expect("a file").blocks() * 512 < 2 << 20);
}

#[test]
fn the_target_under_another_name_is_no_second_seed() {
    let store = Store::new();
    let (old, new) = (blocks(0..3), blocks([2, 1, 0]));
    store.make("new", &new);
    let (directory, target) = directory();
    let link = directory.path().join("link");
    for hard in [false, true] {
        fs::write(&target, &old).expect("written");
        if hard { fs::hard_link(&target, &link) } else { symlink(&target, &link) }.expect("linked");
        let source = store.source();
        let with_seed = || {
            let mut job = job(&source, store.index("new"), &target, Existing::Update);
            job.seeds = vec![seed(&link, None)];
            job
        };
        let planned = with_seed().plan().expect("a plan");
        let report = run(&source, with_seed());
        assert_eq!(planned.totals, report.totals);
        assert_eq!(report.seeds, ["target"]);
        assert!(report.late == 0 && report.totals.missing < 6 * 8192, "{report:?}");
        assert_is(&target, &new);
        fs::remove_file(&link).expect("it was made");
    }
}

#[test]
fn an_image_of_no_bytes_is_an_empty_file() {
    let store = Store::new();
    store.make("new", b"");
    let (_directory, target) = directory();
    let source = store.source();
    run(&source, job(&source, store.index("new"), &target, Existing::Keep));
    assert_is(&target, b"");
    fs::write(&target, noise(1, 5000)).expect("written");
    run(&source, job(&source, "new.cidx", &target, Existing::Update));
    assert_is(&target, b"");
}
