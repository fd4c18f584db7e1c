//! Why bytes are new.

use std::collections::HashSet;
use std::io::Write as _;
use std::ops::Range;

use chunk_explain::{Explanation, Format, Why, explain};
use flate2::{Compression, GzBuilder};

use crate::images::{Image, Tree, noise};

/// Sectors of B that A has nowhere.
fn fresh(a: &Image, b: &Image) -> Vec<Range<u64>> {
    let known: HashSet<&[u8]> = a.0.chunks(512).collect();
    let mut regions: Vec<Range<u64>> = Vec::new();
    for (sector, at) in b.0.chunks(512).zip((0..).step_by(512)) {
        let end = at + sector.len() as u64;
        match regions.last_mut() {
            _ if known.contains(sector) || sector.iter().all(|byte| *byte == 0) => {}
            Some(last) if last.end == at => last.end = end,
            _ => regions.push(at..end),
        }
    }
    regions
}

fn told(a: &Image, b: &Image, regions: &[Range<u64>]) -> Explanation {
    explain(&mut a.clone(), &mut b.clone(), regions).expect("images in memory do not fail")
}

#[track_caller]
fn why<'t>(told: &'t Explanation, name: &str) -> &'t Why {
    let part = told.parts.iter().find(|part| part.name == name);
    &part.unwrap_or_else(|| panic!("{name} is not in {told:#?}")).why
}

fn codes(told: &Explanation) -> Vec<&str> {
    told.savings.iter().map(|saving| saving.advice.code()).collect()
}

fn gzip(bytes: &[u8], time: u32, level: u32) -> Vec<u8> {
    let mut encoder = GzBuilder::new().mtime(time).write(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

#[test]
fn files_tell_how_they_changed() {
    let tree = Tree::new();
    let text = noise(5, 30_000).iter().map(|byte| byte % 16).collect::<Vec<_>>();
    tree.write("log.gz", &gzip(&text, 1, 9));
    tree.write("doc.gz", &gzip(&text, 1, 9));
    let before = (tree.ext4(&[]), tree.tar("gnu"), tree.squashfs(&["-comp", "zstd"]));
    tree.write("log.gz", &gzip(&text, 2, 1));
    tree.write("doc.gz", &gzip(&text[1..], 1, 9));
    let mut odd = noise(101, 300_001);
    odd[200_000] ^= 1;
    tree.write("usr/lib/odd.bin", &odd);
    tree.write("new", &noise(7, 3000));
    tree.rename("etc/conf.d/07.conf", "etc/conf.d/renamed.conf");
    let after = (tree.ext4(&[]), tree.tar("gnu"), tree.squashfs(&["-comp", "zstd"]));
    let pairs = [("", before.0, after.0), (".", before.1, after.1), ("", before.2, after.2)];
    for (prefix, a, b) in pairs {
        let (Some(a), Some(b)) = (a, b) else { return };
        // As if the whole of it were new: reasons do not depend on what is missing.
        let told = told(&a, &b, &b.whole());
        let why = |path: &str| why(&told, &format!("{prefix}{path}"));
        assert_eq!(*why("/new"), Why::NewFile);
        assert_eq!(*why("/log.gz"), Why::Recompressed(Format::Gzip));
        assert!(matches!(why("/doc.gz"), Why::Changed { format: Some(Format::Gzip), .. }));
        assert_eq!(*why("/usr/lib/odd.bin"), Why::Changed { bytes: 4096, format: None });
        assert_eq!(
            *why("/etc/conf.d/renamed.conf"),
            Why::Renamed { from: format!("{prefix}/etc/conf.d/07.conf") }
        );
        assert!(matches!(why("/usr/lib/large.bin"), Why::Unchanged { .. }));
        for advice in ["compress-alike", "store-plain", "keep-order"] {
            assert!(codes(&told).contains(&advice), "{advice}: {:?}", codes(&told));
        }
    }
}

#[test]
fn nothing_is_told_of_an_image_that_did_not_change() {
    let tree = Tree::new();
    for image in [tree.ext4(&[]), tree.tar("pax"), tree.squashfs(&[])].into_iter().flatten() {
        let told = told(&image, &image, &fresh(&image, &image));
        assert!(told.parts.is_empty() && told.savings.is_empty(), "{told:?}");
    }
}

#[test]
fn touched_files_cost_inodes_and_headers() {
    let tree = Tree::new();
    let before = (tree.ext4(&[]), tree.tar("gnu"));
    for number in 0..40 {
        tree.touch(format!("etc/conf.d/{number:02}.conf").as_ref(), 1_700_000_000);
    }
    let after = (tree.ext4(&[]), tree.tar("gnu"));
    for (metadata, a, b) in [("inode tables", before.0, after.0), ("headers", before.1, after.1)] {
        let (Some(a), Some(b)) = (a, b) else { return };
        let told = told(&a, &b, &fresh(&a, &b));
        assert!(matches!(why(&told, metadata), Why::OfFiles { touched: 40.., renumbered: 0 }), "{told:?}");
        assert!(codes(&told).contains(&"fix-times"), "{told:?}");
    }
}

#[test]
fn a_superblock_tells_which_fields_changed() {
    let Some(a) = Tree::new().ext4(&[]) else { return };
    let mut b = a.clone();
    b.0[1024 + 0x68] ^= 1;
    b.0[1024 + 0x34] ^= 1;
    let told = told(&a, &b, &fresh(&a, &b));
    assert_eq!(*why(&told, "superblock"), Why::Fields(vec!["UUID".to_owned(), "mount count".to_owned()]));
    assert_eq!(codes(&told), ["fix-identity"]);
}

#[test]
fn free_space_and_journal_tell_what_is_not_zero() {
    let Some(a) = Tree::new().ext4(&["-b", "1024", "-J", "size=4"]) else { return };
    let mut b = a.clone();
    let end = b.0.len();
    b.0[end - 2000..end - 1000].fill(7);
    let told = told(&a, &b, &fresh(&a, &b));
    assert_eq!(*why(&told, "free space"), Why::NotZero(1000));
    assert_eq!(codes(&told), ["zero-free"]);
    let whole = explain(&mut Image(Vec::new()), &mut a.clone(), &a.whole()).expect("it is in memory");
    assert!(matches!(why(&whole, "journal"), Why::NotZero(1..1024)), "it has a head and nothing else");
    assert!(codes(&whole).contains(&"empty-journal"));
}

#[test]
fn unchanged_files_tell_what_they_lie_beside() {
    let tree = Tree::new();
    let (Some(a), before) = (tree.tar("gnu"), tree.squashfs(&["-comp", "gzip"])) else { return };
    // A file between 07 and 08 gives 08 another neighbour.
    tree.write("etc/conf.d/07z.conf", &noise(9, 100));
    let (Some(b), after) = (tree.tar("gnu"), tree.squashfs(&["-comp", "gzip"])) else { return };
    let told_tar = told(&a, &b, &b.whole());
    let moved = |moved| Why::Unchanged { moved, packed: false };
    assert_eq!(*why(&told_tar, "./etc/conf.d/08.conf"), moved(true));
    assert_eq!(*why(&told_tar, "./etc/conf.d/09.conf"), moved(false));
    let (Some(a), Some(b)) = (before, after) else { return };
    let told = told(&a, &b, &b.whole());
    assert_eq!(*why(&told, "/etc/conf.d/09.conf"), Why::Unchanged { moved: false, packed: true });
    assert!(codes(&told).contains(&"pack-apart"));
}

#[test]
fn a_file_between_others_shifts_the_numbers_of_inodes() {
    let tree = Tree::new();
    let before = [tree.ext4(&[]), tree.squashfs(&["-noI", "-noD"])];
    tree.write("added", b"first in the order of names");
    let after = [tree.ext4(&[]), tree.squashfs(&["-noI", "-noD"])];
    for (a, b) in before.into_iter().zip(after) {
        let (Some(a), Some(b)) = (a, b) else { return };
        let told = told(&a, &b, &b.whole());
        assert!(
            matches!(why(&told, "directories"), Why::OfFiles { touched: 0, renumbered: 1.. }),
            "{told:?}"
        );
        assert!(codes(&told).contains(&"keep-numbers"), "{told:?}");
    }
}
