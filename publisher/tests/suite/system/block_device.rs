//! Images that are block devices.

use std::fs;

use chunk_chunker::image::BLOCK;
use chunk_publisher::{Outcome, Source};
use chunk_testing::LoopDevice;

use crate::images::mixed;
use crate::store::{Store, image};

#[test]
fn a_block_device_is_published_as_the_bytes_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image");
    let bytes = mixed(1, 3 * BLOCK + 512 * 7);
    fs::write(&file, &bytes).unwrap();
    let Some(device) = LoopDevice::attach(&file) else { return };
    let store = Store::new();
    let source = Source::open(device.path()).unwrap();
    assert_eq!(source.known_len(), Some(bytes.len() as u64));
    store.try_make(source, &image()).unwrap();
    store.assert_holds("image.cidx", &bytes);
    // The file behind the device is the same image.
    let again = store.try_make(Source::open(&file).unwrap(), &image()).unwrap();
    assert_eq!(again.outcome, Outcome::Unchanged);
}
