//! A store on a disk that is full.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write as _};

use chunk_chunker::image::BLOCK;
use chunk_testing::Disk;

use crate::inputs::random;
use crate::store::{Store, image, stream};

/// Takes all room but `left` bytes.
fn fill(store: &Store, left: u64) -> io::Result<()> {
    let mut file = File::create(store.path("filler"))?;
    let error = loop {
        if let Err(error) = file.write_all(&[1; 4096]) {
            break error;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    file.set_len(file.metadata()?.len().saturating_sub(left))?;
    file.sync_all()
}

/// Whether the disk is full, somewhere down the chain of causes.
fn is_full_disk(error: &(dyn Error + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
    io == Some(io::ErrorKind::StorageFull) || error.source().is_some_and(is_full_disk)
}

#[test]
fn a_full_disk_costs_no_version_and_once_there_is_room_the_next_is_made() {
    let Some(disk) = Disk::new(32 << 20) else { return };
    let store = Store::at(&disk.root());
    let mut before = random(0, BLOCK / 2);
    store.make(&before, &image());
    let room_left = [0, 4096, 64 << 10, 300 << 10, 1 << 20, 2 << 20];
    for (seed, left) in (1..).zip(room_left) {
        let next = random(seed, 3 * BLOCK);
        fill(&store, left).unwrap();
        let error = store.try_make(stream(&next), &image()).unwrap_err();
        assert!(is_full_disk(&error), "{left} bytes left: {error:?}");
        store.assert_holds("image.cidx", &before);
        store.assert_whole();

        fs::remove_file(store.path("filler")).unwrap();
        let report = store.make(&next, &image());
        assert_eq!(report.record.description().release.get(), seed + 1);
        store.assert_holds("image.cidx", &next);
        store.assert_whole();
        before = next;
    }
}
