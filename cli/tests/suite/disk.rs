//! What only a machine's own parts can show: block devices, full disks, read-only ones.

use std::fs;

use crate::fingerprint::{fingerprint, served};
use crate::image;
use crate::sandbox::{Sandbox, number};
use crate::system::{LoopDevice, SmallDisk};

/// An image that fits a block device: whole sectors.
fn sectors(seed: u64) -> Vec<u8> {
    let mut image = image::disk(seed);
    image.truncate(image.len() / 4096 * 4096);
    image
}

#[test]
fn a_block_device_is_published_and_compared_as_the_file_behind_it() {
    let sandbox = Sandbox::new();
    let (old, new) = (sectors(1), sectors(2));
    sandbox.write("a.img", &old);
    let Some(device) = LoopDevice::of(&sandbox.path("a.img")) else { return };
    let path = device.path().to_str().expect("devices have plain names");
    sandbox.chunk(&format!("make --name a.img --store device {path}")).succeeds();
    sandbox.chunk("make --store file a.img").succeeds();
    assert_eq!(served(&sandbox.path("device")), served(&sandbox.path("file")));
    let name = path.rsplit('/').next().expect("a path has a last part");
    sandbox.chunk(&format!("make --store file {path}")).succeeds();
    assert!(sandbox.chunk(&format!("cat file/{name}")).succeeds().stdout == old, "named after the device");

    sandbox.write("new.img", &[&old[..2_000_000], &new[2_000_000..]].concat());
    sandbox.chunk("make --store file --name a.img new.img").succeeds();
    let of_device = sandbox.chunk(&format!("diff --json --regions {path} file/a.img")).succeeds();
    let of_file = sandbox.chunk("diff --json --regions a.img file/a.img").succeeds();
    assert_eq!(of_device.json(), of_file.json());
    assert!(number(&of_device.json(), "missing_bytes") > 0);
}

#[test]
fn a_full_disk_costs_no_version_that_was_there() {
    let sandbox = Sandbox::new();
    let Some(_disk) = SmallDisk::mount(&sandbox.path("disk"), 8) else { return };
    let fits = image::noise(1, 3_000_000);
    sandbox.write("fits", &fits);
    sandbox.write("not", &image::noise(2, 9_000_000));
    sandbox.chunk("make --store disk/store --name a.img fits").succeeds();
    let before = fingerprint(&sandbox.path("disk"));
    for _ in 0..2 {
        let run = sandbox.chunk("make --store disk/store --name a.img not").fails(11).answers_nothing();
        run.says("No space left on device").says("hint: the store is as whole as before; make room");
        assert_eq!(fingerprint(&sandbox.path("disk")), before, "nothing of the attempt is left");
        sandbox.chunk("verify disk/store").succeeds();
    }
    assert!(sandbox.chunk("cat disk/store/a.img").succeeds().stdout == fits);
    sandbox.write("small", &image::noise(3, 300_000));
    sandbox.chunk("make --store disk/store --name a.img small").succeeds();
    sandbox.chunk("verify disk/store").succeeds();
}

#[test]
fn a_disk_without_room_for_a_byte_is_told_so() {
    let sandbox = Sandbox::new();
    let Some(_disk) = SmallDisk::mount(&sandbox.path("disk"), 1) else { return };
    // Fills the disk to its last page, whatever the kernel's page is.
    let filled = fs::write(sandbox.path("disk/filler"), vec![1; 2 << 20]);
    assert!(filled.is_err(), "the disk is smaller than the filler");
    sandbox.write("a.img", &image::noise(1, 10_000));
    sandbox.chunk("make --store disk/store a.img").fails(11).answers_nothing();
}

#[test]
fn a_store_that_cannot_be_written_can_still_be_read() {
    let sandbox = Sandbox::new();
    let Some(disk) = SmallDisk::mount(&sandbox.path("disk"), 16) else { return };
    let image = image::disk(1);
    sandbox.write("a.img", &image);
    sandbox.write("b.img", &image::next_version(&image));
    sandbox.chunk("make --store disk/store a.img").succeeds();
    disk.make_read_only();
    assert!(sandbox.chunk("cat disk/store/a.img").succeeds().stdout == image);
    sandbox.chunk("info disk/store/a.img").succeeds();
    sandbox.chunk("list disk/store").succeeds();
    sandbox.chunk("diff b.img disk/store/a.img").succeeds();
    sandbox.chunk("verify disk/store").succeeds();
    for store in ["disk/store", "disk/other"] {
        let run = sandbox.chunk(&format!("make --store {store} b.img")).fails(10).answers_nothing();
        run.says(&format!("{store} cannot be used")).says("Read-only file system");
    }
}
