//! The target's medium does not do its duty: success is never claimed for what it does not hold.

use std::error::Error;
use std::fs::{self, File};
use std::io;

use chunk_extract::{ExtractError, TargetError, Verify};
use chunk_testing::{BadDisk, BadSector, Numbers, scratch};

use crate::store::{BLOCK, Store, To};

/// Bytes of the image: its last block is a single page.
const LEN: u64 = 4 * BLOCK + 4096;
/// A sector in the third block.
const BAD: u64 = 2 * BLOCK + 40_960;

/// A disk that holds an older version from `from` on, with a bad sector, and the store of the image. None where
/// there are no such disks.
fn disk(from: u64, bad: BadSector) -> Option<(tempfile::TempDir, BadDisk, Store)> {
    let [from, len] = [from, LEN].map(|at| usize::try_from(at).expect("a small image"));
    let image = Numbers::from_seed(1).bytes(len);
    let files = scratch().expect("a temporary directory");
    let file = files.path().join("disk");
    let old = Numbers::from_seed(2).bytes(len - from);
    fs::write(&file, [&image[..from], &old].concat()).expect("the disk can be written");
    let disk = BadDisk::start(&file, bad)?;
    Some((files, disk, Store::of(image)))
}

/// Asserts that the cause of an error is the medium's.
fn is_of_the_medium(error: &dyn Error) {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    assert_eq!(cause.and_then(io::Error::raw_os_error), Some(5), "{error}: {cause:?}");
}

#[test]
fn a_medium_that_does_not_confirm_is_an_error_even_if_it_has_everything() {
    let Some((_files, disk, store)) = disk(0, BadSector::FlushOnce) else { return };
    let error = store.extract(&To::update(disk.path())).expect_err("nothing was confirmed");
    assert!(matches!(error, ExtractError::Target(TargetError::Flush(_))), "{error:?}");
    is_of_the_medium(&error);
    store.extract(&To::update(disk.path())).expect("the next run is confirmed");
    assert!(disk.holds().expect("a disk") == store.image());
}

#[test]
fn a_sector_that_refused_to_be_written_is_written_by_the_next_run_whoever_looks_at_the_device() {
    let Some((_files, disk, store)) = disk(0, BadSector::WriteOnce(BAD)) else { return };
    // While somebody has the device open, the kernel keeps the pages that the medium has refused.
    let _holder = File::open(disk.path()).expect("a device can be opened twice");
    let error = store.extract(&To::update(disk.path())).expect_err("a sector was refused");
    assert!(matches!(error, ExtractError::Target(TargetError::Flush(_))), "{error:?}");
    is_of_the_medium(&error);
    assert!(disk.holds().expect("a disk") != store.image());
    let again = store.extract(&To::update(disk.path())).expect("the sector is good again");
    assert!(disk.holds().expect("a disk") == store.image(), "written: {} bytes", again.report.written);
}

#[test]
fn a_sector_that_can_never_be_written_never_makes_a_success() {
    let Some((_files, disk, store)) = disk(0, BadSector::Write(BAD)) else { return };
    for verify in [Verify::Write, Verify::Write, Verify::ReadBack] {
        let to = To { verify, ..To::update(disk.path()) };
        let error = store.extract(&to).expect_err("a sector is refused");
        assert!(matches!(error, ExtractError::Target(TargetError::Flush(_))), "{error:?}");
        is_of_the_medium(&error);
    }
}

#[test]
fn a_sector_that_cannot_be_read_is_written_and_reading_back_tells_where_it_is() {
    let Some((_files, disk, store)) = disk(4 * BLOCK, BadSector::Read(4 * BLOCK)) else { return };
    store.extract(&To::update(disk.path())).expect("the medium confirms all that is written");
    assert!(disk.holds().expect("a disk") == store.image());
    let to = To { verify: Verify::ReadBack, ..To::update(disk.path()) };
    let error = store.extract(&to).expect_err("a sector cannot be read back");
    let ExtractError::Target(TargetError::ReadBack { at, .. }) = &error else { panic!("{error:?}") };
    assert_eq!(*at, 4 * BLOCK);
    is_of_the_medium(&error);
}
