//! The same image, options and store give the same bytes, whoever computes them and however they are read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use chunk_chunker::image::BLOCK;
use chunk_chunker::is_zero;
use chunk_publisher::Source;

use crate::images::mixed;
use crate::inputs::random;
use crate::store::{Store, image, stream};

/// Three versions of an image: the second is mostly copied from the first, the third is shorter.
fn versions() -> [Vec<u8>; 3] {
    let first = mixed(1, 7 * BLOCK + 12_345);
    let mut second = first.clone();
    second[5 * BLOCK..5 * BLOCK + 3000].copy_from_slice(&random(9, 3000));
    second.extend(vec![0; 2 * BLOCK]);
    let third = [&second[..4 * BLOCK], b"end"].concat();
    [first, second, third]
}

/// A store of all versions, each given by `open`.
fn published(jobs: usize, open: impl Fn(&Path, &[u8]) -> Source) -> Store {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::new();
    store.options.jobs = Some(jobs);
    for (number, version) in versions().iter().enumerate() {
        let source = open(&directory.path().join(number.to_string()), version);
        store.try_make(source, &image()).unwrap();
    }
    store
}

fn write(path: &Path, image: &[u8]) -> File {
    fs::write(path, image).unwrap();
    File::open(path).unwrap()
}

/// Writes only what is not zero.
fn write_with_holes(path: &Path, image: &[u8]) -> File {
    let file = File::create(path).unwrap();
    file.set_len(image.len() as u64).unwrap();
    for (page, offset) in image.chunks(4096).zip((0..).step_by(4096)) {
        if !is_zero(page) {
            file.write_all_at(page, offset).unwrap();
        }
    }
    file
}

fn assert_same(a: &Store, b: &Store) {
    let (a, b) = (a.published(), b.published());
    assert!(a.keys().eq(b.keys()), "{:?} and {:?}", a.keys(), b.keys());
    for (path, bytes) in &a {
        assert!(*bytes == b[path], "{} differs", path.display());
    }
}

#[test]
fn any_number_of_threads_gives_the_same_store() {
    let one = published(1, |_, version| stream(version));
    assert_eq!(one.indexes().len(), 4);
    assert!(one.packs().len() > 3, "a test of packs needs some");
    for jobs in [2, 5] {
        assert_same(&one, &published(jobs, |_, version| stream(version)));
    }
}

#[test]
fn a_file_a_stream_and_a_slow_stream_give_the_same_store() {
    let file = published(2, |path, version| {
        drop(write(path, version));
        Source::open(path).unwrap()
    });
    assert_same(&file, &published(2, |_, version| stream(version)));
    assert_same(&file, &published(2, |_, version| Source::stream(Trickle::of(version))));
}

#[test]
fn holes_and_written_zeros_give_the_same_store() {
    let check = |path: PathBuf, version: &[u8]| {
        let written = write(&path.with_extension("written"), version).metadata().unwrap();
        let sparse = write_with_holes(&path, version).metadata().unwrap();
        assert_eq!(written.len(), sparse.len());
        assert!(sparse.blocks() < written.blocks(), "the file system under {} has holes", path.display());
        Source::open(&path).unwrap()
    };
    let sparse = published(2, |path, version| check(path.to_owned(), version));
    let written = published(2, |path, version| {
        drop(write(path, version));
        Source::open(path).unwrap()
    });
    assert_same(&sparse, &written);
}

#[test]
fn what_the_publisher_did_before_does_not_change_the_store() {
    let fresh = published(2, |_, version| stream(version));
    let store = Store::new();
    let mut publisher = store.publisher();
    for version in &versions() {
        publisher.make(stream(version), &image(), &()).unwrap();
    }
    assert_same(&fresh, &store);
}

#[test]
fn the_lookup_tables_do_not_change_the_store() {
    let with = published(2, |_, version| stream(version));
    let mut without = Store::new();
    without.options.lookup = None;
    for version in &versions() {
        without.make(version, &image());
    }
    assert_same(&with, &without);
}

/// A chunk that comes back from long ago is stored again, and lies in two packs from then on.
#[test]
fn chunks_that_lie_in_several_packs_are_taken_from_the_same_one_each_time() {
    let [old, new] = [1, 2].map(|seed| random(seed, 200_000));
    let come_back = [&new[..], &old[60_000..70_000]].concat();
    let moved = [b"inserted at the start", &come_back[..]].concat();
    let publish = || {
        let store = Store::new();
        let reports = [&old, &new, &come_back, &moved].map(|version| store.make(version, &image()));
        assert!(reports[2].again_bytes > 5000, "it is stored again");
        store
    };
    let first = publish();
    for _ in 0..8 {
        assert_same(&first, &publish());
    }
}

/// Gives bytes in pieces of odd lengths, and is interrupted in between.
struct Trickle {
    bytes: io::Cursor<Vec<u8>>,
    calls: usize,
}

impl Trickle {
    fn of(bytes: &[u8]) -> Self {
        Self { bytes: io::Cursor::new(bytes.to_vec()), calls: 0 }
    }
}

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls.is_multiple_of(5) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = buffer.len().min(1 + self.calls * 7919 % 50_000);
        self.bytes.read(&mut buffer[..len])
    }
}
