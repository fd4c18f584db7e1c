//! Every byte of an image has an owner, and files have theirs.

use std::collections::BTreeMap;

use chunk_explain::{Explanation, Why, explain};

use crate::images::{Image, Tree};

/// What is told of an image where nothing is there.
fn alone(mut image: Image) -> Explanation {
    let whole = image.whole();
    let told = explain(&mut Image(Vec::new()), &mut image, &whole).expect("images in memory do not fail");
    assert_eq!(
        told.parts.iter().map(|part| part.new_bytes).sum::<u64>(),
        whole[0].end,
        "every byte has an owner"
    );
    assert!(told.gaps.is_empty(), "{:?}", told.gaps);
    told
}

/// The files that are told, with their lengths and the bytes they take.
fn files(told: &Explanation) -> BTreeMap<&str, (u64, u64)> {
    let files = told.parts.iter().filter_map(|part| Some((part.name.as_str(), (part.len?, part.new_bytes))));
    files.collect()
}

fn long_name() -> String {
    format!("usr/share/{}/{}", "d".repeat(90), "f".repeat(90))
}

#[test]
fn files_of_ext4_have_their_blocks() {
    let features: [&[&str]; 6] = [
        &[],
        &["-b", "1024"],
        &["-t", "ext2", "-O", "^extent"],
        &["-O", "^64bit,^metadata_csum,^flex_bg"],
        &["-O", "meta_bg,^resize_inode", "-b", "1024"],
        &["-O", "sparse_super2", "-I", "128"],
    ];
    for features in features {
        let Some(image) = Tree::new().ext4(features) else { return };
        let block = if features.contains(&"1024") { 1024 } else { 4096 };
        let told = alone(image);
        assert_eq!(told.kinds, ["ext4"]);
        let files = files(&told);
        let long = format!("/{}", long_name());
        let expected = [
            ("/usr/lib/large.bin", 900_000),
            ("/usr/lib/odd.bin", 300_001),
            ("/etc/conf.d/07.conf", 700),
            (&long, 5000),
        ];
        for (path, len) in expected {
            let blocks = u64::div_ceil(len, block) * block;
            assert_eq!(files.get(path), Some(&(len, blocks)), "{path} with {features:?}");
        }
        assert_eq!(files.len(), 43, "no file but these has blocks, with {features:?}: {files:?}");
        let names: Vec<_> = told.parts.iter().map(|part| part.name.as_str()).collect();
        for metadata in ["superblock", "bitmaps", "inode tables", "directories", "free space"] {
            assert!(names.contains(&metadata), "{metadata} with {features:?}: {names:?}");
        }
        let used = told.parts.iter().find(|part| part.name == "free space").expect("it was found");
        assert_eq!(used.why, Why::NotZero(0), "what is not free has another owner, with {features:?}");
    }
}

#[test]
fn files_of_squashfs_have_their_blocks_and_a_part_of_what_they_share() {
    for options in [
        &["-comp", "zstd"][..],
        &["-comp", "gzip"],
        &["-comp", "zstd", "-b", "4096"],
        &["-comp", "xz", "-noI"],
    ] {
        let Some(image) = Tree::new().squashfs(options) else { return };
        let told = alone(image);
        assert_eq!(told.kinds, [format!("squashfs ({})", options[1])]);
        let files = files(&told);
        assert_eq!(files.len(), 43, "{options:?}: {files:?}");
        for (path, len) in [("/usr/lib/large.bin", 900_000), ("/etc/conf.d/07.conf", 700)] {
            let (said, taken) = files[path];
            assert_eq!(said, len, "{path}");
            assert!(
                taken.abs_diff(len) < 400,
                "{path} with {options:?} takes {taken}: noise does not shrink"
            );
        }
        assert!(files.contains_key(format!("/{}", long_name()).as_str()), "{options:?}");
    }
}

#[test]
fn a_squashfs_whose_tables_are_compressed_with_xz_is_told_not_to_be_read() {
    let Some(mut image) = Tree::new().squashfs(&["-comp", "xz"]) else { return };
    let whole = image.whole();
    let told = explain(&mut Image(Vec::new()), &mut image, &whole).expect("images in memory do not fail");
    assert_eq!(told.gaps, ["squashfs: tables compressed with xz or damaged"]);
    assert!(told.parts.iter().any(|part| part.name == "not understood" && part.new_bytes > 1_000_000));
}

#[test]
fn files_of_tar_have_their_bytes() {
    for format in ["gnu", "ustar", "pax"] {
        let Some(image) = Tree::new().tar(format) else { return };
        let told = alone(image);
        assert_eq!(told.kinds, ["tar"]);
        let files = files(&told);
        let long = format!("./{}", long_name());
        for (path, len) in [("./usr/lib/odd.bin", 300_001), ("./etc/conf.d/07.conf", 700), (&long, 5000)] {
            assert_eq!(files.get(path), Some(&(len, len)), "{path} with {format}");
        }
    }
}

/// A disk of 512-byte sectors with an MBR that has these partitions.
fn mbr(partitions: &[(u8, &[u8])]) -> Image {
    let mut disk = vec![0; 1 << 20];
    for (number, (kind, content)) in partitions.iter().enumerate() {
        let first = u32::try_from(disk.len() / 512).expect("small disks");
        let sectors = u32::try_from(content.len().div_ceil(512)).expect("small disks");
        disk.extend_from_slice(content);
        disk.resize(disk.len().next_multiple_of(1 << 20), 0);
        let entry = &mut disk[446 + 16 * number..][..16];
        entry[4] = *kind;
        entry[8..12].copy_from_slice(&first.to_le_bytes());
        entry[12..].copy_from_slice(&sectors.to_le_bytes());
    }
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    Image(disk)
}

#[test]
fn partitions_are_read_as_what_they_are() {
    let tree = Tree::new();
    let (Some(ext4), Some(squashfs)) = (tree.ext4(&[]), tree.squashfs(&["-comp", "zstd"])) else { return };
    let told = alone(mbr(&[(0x83, &ext4.0), (0x83, &squashfs.0), (0x0c, &[7; 5000])]));
    assert_eq!(told.kinds, ["MBR", "p1:ext4", "p2:squashfs (zstd)", "p3:not recognised"]);
    let files = files(&told);
    assert_eq!(files["p1:/usr/lib/odd.bin"], (300_001, 303_104));
    assert_eq!(files["p2:/etc/conf.d/07.conf"].0, 700);
    assert_eq!(files["partition 3 (not recognised)"], (5120, 5120));
}

#[test]
fn partitions_of_a_gpt_keep_their_numbers() {
    let Some(ext4) = Tree::new().ext4(&[]) else { return };
    let mut disk = mbr(&[(0xee, &ext4.0)]);
    disk.0[512..520].copy_from_slice(b"EFI PART");
    disk.0[512 + 72..][..8].copy_from_slice(&2_u64.to_le_bytes());
    disk.0[512 + 80..][..4].copy_from_slice(&128_u32.to_le_bytes());
    disk.0[512 + 84..][..4].copy_from_slice(&128_u32.to_le_bytes());
    let second = &mut disk.0[1024 + 128..][..128];
    second[..16].fill(9);
    second[32..40].copy_from_slice(&2048_u64.to_le_bytes());
    second[40..48].copy_from_slice(&(2048 + (16_u64 << 20) / 512 - 1).to_le_bytes());
    let told = alone(disk);
    assert_eq!(told.kinds, ["GPT", "p2:ext4"]);
    assert_eq!(files(&told)["p2:/usr/lib/odd.bin"], (300_001, 303_104));
}

#[test]
fn an_image_that_is_none_of_these_is_told_by_its_regions() {
    let mut image = Image([&b"\x1f\x8b\x08"[..], &[1; 9000]].concat());
    let told = explain(&mut Image(Vec::new()), &mut image, &[0..10, 4000..9000]).expect("it is in memory");
    assert_eq!((told.kinds.len(), told.other_kind), (0, Some("gzip")));
    let parts: Vec<_> = told.parts.iter().map(|part| (part.name.as_str(), part.new_bytes)).collect();
    assert_eq!(parts, [("4000 +5000", 5000), ("0 +10", 10)]);
    assert_eq!(told.savings.iter().map(|saving| saving.advice.code()).collect::<Vec<_>>(), ["uncompress"]);
}
