//! A directory as a store: objects appear whole or not at all, indexes move on only by comparing, and nothing
//! unfinished stays.

#![expect(clippy::unwrap_used, reason = "whatever fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "tests put files in place that no writer of ours would")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use chunk_store::line::Version;
use chunk_store::{Backend, Directory, Key, PackName, Published, Upload};

fn key(file_name: &str) -> Key {
    Key::Index(Version::from_file_name(file_name).unwrap())
}

fn upload<'s>(store: &'s Directory, bytes: &[u8]) -> Box<dyn Upload + 's> {
    let mut upload = store.create().unwrap();
    upload.write_all(bytes).unwrap();
    upload
}

fn read(store: &Directory, key: &Key) -> Vec<u8> {
    store.open(key, 1 << 20).unwrap().as_ref().to_vec()
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// All files below `root`, without the locks that outlive their holders.
fn files(root: &Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            } else {
                let path = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.insert(path);
            }
        }
    }
    files.retain(|file| Path::new(file).extension().is_none_or(|extension| extension != "lock"));
    files
}

fn set<const N: usize>(files: [&str; N]) -> BTreeSet<String> {
    files.map(str::to_owned).into()
}

#[test]
fn an_object_is_seen_once_it_is_published_and_not_before() {
    let root = tempfile::tempdir().unwrap();
    let store = Directory::open_for_writing(root.path()).unwrap();
    let reader = Directory::open(root.path()).unwrap();
    let index = key("image@1.cidx");
    let unfinished = upload(&store, b"0123456789");
    assert_eq!(reader.len(&index).unwrap(), None);
    assert_eq!(reader.indexes().unwrap(), []);
    assert_eq!(reader.open(&index, 100).unwrap_err().kind(), io::ErrorKind::NotFound);
    unfinished.replace(&index).unwrap();
    assert_eq!(reader.len(&index).unwrap(), Some(10));
    assert_eq!(reader.indexes().unwrap(), [Version::from_file_name("image@1.cidx").unwrap()]);
    assert_eq!(read(&reader, &index), b"0123456789");
    assert_eq!(files(root.path()), set(["image@1.cidx"]));
}

#[test]
fn an_object_is_read_within_its_length_and_the_limit() {
    let root = tempfile::tempdir().unwrap();
    let store = Directory::open_for_writing(root.path()).unwrap();
    let index = key("image.cidx");
    upload(&store, b"0123456789").replace(&index).unwrap();
    let mut four = [0; 4];
    store.read_at(&index, 6, &mut four).unwrap();
    assert_eq!(&four, b"6789");
    assert_eq!(store.read_at(&index, 7, &mut four).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(store.open(&index, 10).unwrap().as_ref(), b"0123456789");
    assert_eq!(store.open(&index, 9).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    upload(&store, b"").replace(&index).unwrap();
    assert_eq!(store.open(&index, 0).unwrap().as_ref(), b"");
}

#[test]
fn an_index_is_swapped_only_against_the_bytes_the_writer_expects() {
    let cases = [
        (None, None, Published::Done),
        (None, Some("old"), Published::Conflict),
        (Some("old"), None, Published::Conflict),
        (Some("old"), Some("other"), Published::Conflict),
        (Some("old"), Some("old"), Published::Done),
        (Some(""), Some(""), Published::Done),
    ];
    let bytes = |text: Option<&'static str>| text.map(str::as_bytes);
    for (present, expected, outcome) in cases {
        let (present, expected) = (bytes(present), bytes(expected));
        let root = tempfile::tempdir().unwrap();
        let store = Directory::open_for_writing(root.path()).unwrap();
        let index = key("image.cidx");
        if let Some(present) = present {
            upload(&store, present).replace(&index).unwrap();
        }
        let swapped = upload(&store, b"new").swap(&index, expected.map(hash)).unwrap();
        assert_eq!(swapped, outcome, "{present:?} was there, {expected:?} was expected");
        let there = store.len(&index).unwrap().map(|_| read(&store, &index));
        match outcome {
            Published::Done => assert_eq!(there.as_deref(), Some(&b"new"[..])),
            Published::Conflict => assert_eq!(there.as_deref(), present, "a conflict changes nothing"),
        }
        let left = if there.is_some() { set(["image.cidx"]) } else { set([]) };
        assert_eq!(files(root.path()), left, "and leaves nothing");
    }
}

#[test]
fn of_writers_that_swap_at_once_each_success_builds_on_the_one_before() {
    const WRITERS: u64 = 4;
    const ROUNDS: u64 = 25;
    let root = tempfile::tempdir().unwrap();
    let count = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let add_one = || {
        let store = Directory::open_for_writing(root.path()).unwrap();
        let index = key("count.cidx");
        let mut done = 0;
        while done < ROUNDS {
            let seen = store.len(&index).unwrap().map(|_| read(&store, &index));
            let next = seen.as_deref().map_or(0, count) + 1;
            let expected = seen.as_deref().map(hash);
            if upload(&store, &next.to_le_bytes()).swap(&index, expected).unwrap() == Published::Done {
                done += 1;
            }
        }
    };
    std::thread::scope(|threads| {
        for _ in 0..WRITERS {
            threads.spawn(add_one);
        }
    });
    let store = Directory::open(root.path()).unwrap();
    assert_eq!(count(&read(&store, &key("count.cidx"))), WRITERS * ROUNDS);
}

#[test]
fn who_reads_an_object_keeps_it_when_it_is_replaced() {
    let root = tempfile::tempdir().unwrap();
    let store = Directory::open_for_writing(root.path()).unwrap();
    let index = key("image.cidx");
    upload(&store, b"the first").replace(&index).unwrap();
    let held = store.open(&index, 100).unwrap();
    upload(&store, b"2nd").replace(&index).unwrap();
    assert_eq!(held.as_ref(), b"the first");
    assert_eq!(read(&store, &index), b"2nd");
}

#[test]
fn an_upload_that_is_dropped_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let store = Directory::open_for_writing(root.path()).unwrap();
    let unfinished = upload(&store, b"half an ind");
    assert_eq!(files(root.path()).len(), 1, "what is unfinished lies somewhere");
    drop(unfinished);
    assert_eq!(files(root.path()), set([]));
}

#[test]
fn an_upload_whose_place_is_taken_by_a_directory_fails_and_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let store = Directory::open_for_writing(root.path()).unwrap();
    fs::create_dir(root.path().join("image.cidx")).unwrap();
    upload(&store, b"bytes").replace(&key("image.cidx")).unwrap_err();
    upload(&store, b"bytes").swap(&key("image.cidx"), None).unwrap_err();
    assert_eq!(files(root.path()), set([]));
}

#[test]
fn what_a_dead_writer_left_is_removed_by_the_next() {
    let root = tempfile::tempdir().unwrap();
    let dead = Directory::open_for_writing(root.path()).unwrap();
    upload(&dead, b"published").replace(&key("image.cidx")).unwrap();
    std::mem::forget(upload(&dead, b"half an ind"));
    fs::write(dead.lookup().join("0123456789abcdef.tmp"), b"half a run").unwrap();
    drop(dead);
    assert_eq!(files(root.path()).len(), 3);
    let _next = Directory::open_for_writing(root.path()).unwrap();
    assert_eq!(files(root.path()), set(["image.cidx"]));
}

#[test]
fn what_a_living_writer_has_not_finished_is_nobody_elses_to_remove() {
    let root = tempfile::tempdir().unwrap();
    let first = Directory::open_for_writing(root.path()).unwrap();
    let second = Directory::open_for_writing(root.path()).unwrap();
    let unfinished = upload(&second, b"whole");
    // The writer that saw an empty `tmp` is gone; the one that came while it lived is not.
    drop(first);
    let third = Directory::open_for_writing(root.path()).unwrap();
    unfinished.replace(&key("image.cidx")).unwrap();
    assert_eq!(read(&third, &key("image.cidx")), b"whole");
}

#[test]
fn a_store_that_is_open_for_reading_is_not_changed() {
    let root = tempfile::tempdir().unwrap();
    let store = Directory::open(root.path()).unwrap();
    assert_eq!(store.create().err().unwrap().kind(), io::ErrorKind::PermissionDenied);
    assert_eq!(store.packs().unwrap(), []);
    assert_eq!(store.indexes().unwrap(), []);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn an_object_that_is_set_aside_is_gone_and_its_bytes_are_kept() {
    let root = tempfile::tempdir().unwrap();
    let (pack, index) = (Key::pack(&PackName::from_bytes([7; 32])), key("image@1.cidx"));
    for (round, suffix) in [(1, ""), (2, "-2"), (3, "-3")] {
        let store = Directory::open_for_writing(root.path()).unwrap();
        for key in [&pack, &index] {
            upload(&store, &[round]).replace(key).unwrap();
        }
        drop(store);
        let store = Directory::open_for_mending(root.path()).unwrap();
        for key in [&pack, &index] {
            let name = store.set_aside(key).unwrap();
            assert_eq!(name, format!("{}.damaged{suffix}", key.path()));
            assert_eq!(fs::read(root.path().join(name)).unwrap(), [round]);
            assert_eq!(store.len(key).unwrap(), None);
        }
        assert!(store.packs().unwrap().is_empty() && store.indexes().unwrap().is_empty());
        let missing = store.set_aside(&pack).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}

#[test]
fn nothing_is_set_aside_while_somebody_writes() {
    let root = tempfile::tempdir().unwrap();
    let writer = Directory::open_for_writing(root.path()).unwrap();
    upload(&writer, b"index").replace(&key("image@1.cidx")).unwrap();
    let busy = Directory::open_for_mending(root.path()).unwrap_err();
    assert_eq!(busy.kind(), io::ErrorKind::WouldBlock);
    let refused = writer.set_aside(&key("image@1.cidx")).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    drop(writer);
    let mender = Directory::open_for_mending(root.path()).unwrap();
    let Err(refused) = mender.create() else { panic!("a mender adds nothing") };
    assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    mender.set_aside(&key("image@1.cidx")).unwrap();
}

#[test]
fn only_a_directory_is_a_store() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, b"").unwrap();
    for path in [&file, &root.path().join("missing")] {
        assert_eq!(Directory::open(path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
    assert_eq!(Directory::open_for_writing(&file).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(
        Directory::open_for_writing(&root.path().join("missing/parent")).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
}

#[test]
fn objects_with_foreign_names_are_not_listed() {
    let root = tempfile::tempdir().unwrap();
    let store = Directory::open_for_writing(root.path()).unwrap();
    let hex = |digit: &str| digit.repeat(64);
    let foreign_packs =
        [hex("A"), hex("g"), "a".repeat(63), "a".repeat(65), format!("{} ", "a".repeat(63)), String::new()];
    for name in foreign_packs {
        fs::write(root.path().join(format!("packs/{name}.pack")), b"foreign").unwrap();
    }
    for name in [hex("c"), format!("{}.PACK", hex("c")), format!("{}.pack.part", hex("c"))] {
        fs::write(root.path().join("packs").join(name), b"foreign").unwrap();
    }
    for name in ["README", ".hidden.cidx", "a@b@c.cidx", "image.cidx~", "image@.cidx", "-rf.cidx"] {
        fs::write(root.path().join(name), b"foreign").unwrap();
    }
    for (digit, len) in [("b", 5), ("a", 3)] {
        fs::write(root.path().join(format!("packs/{}.pack", hex(digit))), vec![7; len]).unwrap();
    }
    for name in ["image@2.cidx", "image.cidx", "image@10.cidx", "Image.cidx"] {
        fs::write(root.path().join(name), b"ours").unwrap();
    }
    let packs = [([0xaa; 32], 3), ([0xbb; 32], 5)].map(|(name, len)| (PackName::from_bytes(name), len));
    assert_eq!(store.packs().unwrap(), packs);
    let names: Vec<_> = store.indexes().unwrap().iter().map(Version::file_name).collect();
    assert_eq!(names, ["Image.cidx", "image.cidx", "image@10.cidx", "image@2.cidx"]);
}
