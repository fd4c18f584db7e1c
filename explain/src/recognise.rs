//! What an image is.

use std::io;

use crate::layout::Layout;
use crate::read::{Cached, Volume};
use crate::{disk, ext4, squashfs, tar};

/// What other images start with: where, what, and whose it is.
const OTHERS: [(u64, &[u8], &str); 17] = [
    (1024, b"\xe2\xe1\xf5\xe0", "erofs"),
    (0x1_0040, b"_BHRfS_M", "btrfs"),
    (0, b"XFSB", "xfs"),
    (1024, b"\x10\x20\xf5\xf2", "f2fs"),
    (0x8001, b"CD001", "iso9660"),
    (54, b"FAT", "FAT"),
    (82, b"FAT32", "FAT"),
    (0, b"UBI#", "UBI"),
    (0, b"LUKS\xba\xbe", "LUKS"),
    (0, b"070701", "cpio"),
    (0, b"\x7fELF", "an executable"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"\xfd7zXZ", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"BZh", "bzip2"),
    (0, b"\x04\x22\x4d\x18", "lz4"),
    (0, b"PK\x03\x04", "zip"),
];

/// The layout of an image; one without kinds if nobody here can read it.
pub(crate) fn layout(image: &mut Cached<'_>) -> io::Result<Layout> {
    let mut layout = Layout::default();
    let len = image.len();
    if !read(&mut Volume::new(image, 0..len), "", &mut layout)? {
        disk::read(image, &mut layout)?;
    }
    Ok(layout.finish())
}

/// Reads a volume as what it is. Says whether that is known.
pub(crate) fn read(volume: &mut Volume<'_, '_>, prefix: &str, layout: &mut Layout) -> io::Result<bool> {
    if ext4::is_ext4(volume)? {
        ext4::read(volume, prefix, layout)?;
    } else if squashfs::is_squashfs(volume)? {
        squashfs::read(volume, prefix, layout)?;
    } else if tar::is_tar(volume)? {
        tar::read(volume, prefix, layout)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// The name of what a volume is although it cannot be read, if that is easy to see.
pub(crate) fn name(volume: &mut Volume<'_, '_>) -> io::Result<Option<&'static str>> {
    for (at, magic, name) in OTHERS {
        if volume.get(at, magic.len() as u64)?.is_some_and(|bytes| bytes == magic) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
