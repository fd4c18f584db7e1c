//! What was fetched once is not fetched again, and whatever happens to the cache happens to nobody else.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use chunk_fetch::{CachedSource, FetchError, Source};
use proptest::prelude::*;

const PACK: &str = "packs/0.pack";

/// A source that remembers what it was asked for. Its objects have no end.
#[derive(Debug, Default)]
struct Endless {
    asked: Mutex<Vec<Range<u64>>>,
}

fn bytes(range: Range<u64>) -> Vec<u8> {
    range.map(|at| u8::try_from(at % 251).expect("small")).collect()
}

impl Source for Endless {
    fn read(&self, _: &str, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), FetchError> {
        *buffer = bytes(range.clone());
        self.asked.lock().expect("no panic").push(range);
        Ok(())
    }

    fn open(&self, object: &str, at_most: u64, buffer: &mut Vec<u8>) -> Result<u64, FetchError> {
        self.read(object, 0..at_most, buffer).map(|()| u64::MAX)
    }
}

impl Endless {
    /// Start and end of each range since the last call.
    fn asked(&self) -> Vec<(u64, u64)> {
        let asked = std::mem::take(&mut *self.asked.lock().expect("no panic"));
        asked.into_iter().map(|range| (range.start, range.end)).collect()
    }
}

fn read(source: &impl Source, range: Range<u64>) {
    let mut buffer = b"old".to_vec();
    source.read(PACK, range.clone(), &mut buffer).expect("read");
    assert_eq!(buffer, bytes(range));
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn what_is_here_is_not_fetched_and_of_the_rest_only_what_is_missing() {
    let directory = tempfile::tempdir().expect("a directory");
    let (inner, cap) = (Endless::default(), 1 << 20);
    let source = CachedSource::new(&inner, directory.path(), cap).expect("a cache");
    read(&source, 100..200);
    read(&source, 120..180);
    read(&source, 150..250);
    read(&source, 50..300);
    assert_eq!(inner.asked(), [(100, 200), (200, 250), (50, 300)]);
    assert_eq!(source.served(), 60 + 50);
    // Another process, later.
    let source = CachedSource::new(&inner, directory.path(), cap).expect("a cache");
    read(&source, 60..290);
    assert!(inner.asked().is_empty());
}

#[test]
fn what_may_change_is_not_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let inner = Endless::default();
    let source = CachedSource::new(&inner, directory.path(), 1 << 20).expect("a cache");
    let mut buffer = Vec::new();
    for _ in 0..2 {
        source.read("image.cidx", 0..10, &mut buffer).expect("read");
        source.open("image.cidx", 10, &mut buffer).expect("opened");
    }
    assert_eq!(inner.asked().len(), 4);
    assert!(files(directory.path()).is_empty());
}

/// Opens the pack.
fn open(source: &impl Source, at_most: u64) -> Vec<u8> {
    let mut buffer = b"old".to_vec();
    assert_eq!(source.open(PACK, at_most, &mut buffer).expect("opened"), u64::MAX);
    buffer
}

#[test]
fn the_front_of_what_never_changes_is_kept_with_the_length_of_the_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let inner = Endless::default();
    let source = CachedSource::new(&inner, directory.path(), 1 << 20).expect("a cache");
    assert_eq!(open(&source, 100), bytes(0..100));
    assert_eq!(inner.asked(), [(0, 100)]);
    // Another process, later.
    let source = CachedSource::new(&inner, directory.path(), 1 << 20).expect("a cache");
    assert_eq!(open(&source, 100), bytes(0..100));
    assert_eq!(open(&source, 30), bytes(0..30));
    read(&source, 50..90);
    assert!(inner.asked().is_empty());
    assert_eq!(source.served(), 100 + 30 + 40);
    assert_eq!(open(&source, 150), bytes(0..150));
    assert_eq!(inner.asked(), [(100, 150)]);
}

#[test]
fn a_length_that_is_damaged_is_asked_for_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    let inner = Endless::default();
    let source = CachedSource::new(&inner, directory.path(), 1 << 20).expect("a cache");
    open(&source, 100);
    let is_length = |path: &PathBuf| path.file_name().is_some_and(|name| name == "length");
    let file = files(directory.path()).into_iter().find(is_length).expect("it is kept");
    let whole = fs::read(&file).expect("readable");
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        for damaged in [&damaged, &whole[..at]] {
            File::create(&file).and_then(|mut file| file.write_all(damaged)).expect("written");
            inner.asked();
            assert_eq!(open(&source, 100), bytes(0..100));
            assert_eq!(inner.asked(), [(0, 100)]);
        }
    }
}

#[test]
fn what_is_forgotten_is_fetched_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    let inner = Endless::default();
    let source = CachedSource::new(&inner, directory.path(), 1 << 20).expect("a cache");
    open(&source, 100);
    read(&source, 500..600);
    source.forget(PACK);
    assert!(files(directory.path()).is_empty());
    inner.asked();
    open(&source, 100);
    read(&source, 500..600);
    assert_eq!(inner.asked(), [(0, 100), (500, 600)]);
}

#[test]
fn damage_in_the_cache_is_found_and_fetched_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    let inner = Endless::default();
    let source = CachedSource::new(&inner, directory.path(), 1 << 20).expect("a cache");
    read(&source, 0..100);
    let file = files(directory.path()).pop().expect("a piece");
    let whole = fs::read(&file).expect("readable");
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        for damaged in [&damaged, &whole[..at]] {
            File::create(&file).and_then(|mut file| file.write_all(damaged)).expect("written");
            inner.asked();
            read(&source, 10..90);
            assert_eq!(inner.asked(), [(10, 90)]);
            source.read_again(PACK, 0..100, 1, &mut Vec::new()).expect("read");
        }
    }
}

#[test]
fn a_piece_under_another_name_is_no_piece() {
    let directory = tempfile::tempdir().expect("a directory");
    let inner = Endless::default();
    let source = CachedSource::new(&inner, directory.path(), 1 << 20).expect("a cache");
    read(&source, 0..100);
    let file = files(directory.path()).pop().expect("a piece");
    fs::rename(&file, file.with_file_name(format!("{:016x}-{:016x}", 100, 200))).expect("renamed");
    inner.asked();
    read(&source, 100..200);
    assert_eq!(inner.asked(), [(100, 200)]);
}

#[test]
fn wrong_bytes_are_fetched_again_and_then_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let inner = Endless::default();
    let source = CachedSource::new(&inner, directory.path(), 1 << 20).expect("a cache");
    read(&source, 0..100);
    let mut buffer = Vec::new();
    source.read_again(PACK, 10..20, 1, &mut buffer).expect("read");
    assert_eq!(inner.asked(), [(0, 100), (10, 20)]);
    read(&source, 10..20);
    assert!(inner.asked().is_empty());
    read(&source, 0..100);
    assert_eq!(inner.asked(), [(0, 100)]);
}

#[test]
fn what_was_not_used_for_longest_gives_way() {
    let directory = tempfile::tempdir().expect("a directory");
    let inner = Endless::default();
    let source = CachedSource::new(&inner, directory.path(), 20_000).expect("a cache");
    for at in 0..100 {
        read(&source, 0..1000);
        read(&source, at * 1000..at * 1000 + 1000);
        let used: u64 =
            files(directory.path()).iter().map(|file| fs::metadata(file).expect("a file").len()).sum();
        assert!(used <= 20_000, "{used} bytes");
    }
    inner.asked();
    read(&source, 0..1000);
    read(&source, 99_000..100_000);
    assert!(inner.asked().is_empty());
    read(&source, 1000..2000);
    assert_eq!(inner.asked(), [(1000, 2000)]);
}

#[test]
fn a_cache_that_fails_is_no_failure() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().join("cache");
    let inner = Endless::default();
    let source = CachedSource::new(&inner, &root, 1 << 20).expect("a cache");
    fs::remove_dir_all(&root).expect("removed");
    File::create(&root).expect("in its place");
    read(&source, 0..100);
    assert_eq!(open(&source, 100), bytes(0..100));
    source.read_again(PACK, 0..100, 1, &mut Vec::new()).expect("read");
    let source = CachedSource::new(&inner, &directory.path().join("small"), 10).expect("a cache");
    read(&source, 0..100);
    assert_eq!(open(&source, 100), bytes(0..100));
    assert!(files(&directory.path().join("small")).is_empty());
    let Err((error, _)) = CachedSource::new(&inner, &root, 1 << 20) else { panic!("a file is no cache") };
    assert_eq!(error.kind(), ErrorKind::NotADirectory);
}

#[test]
fn many_at_once_disturb_nobody() {
    let directory = tempfile::tempdir().expect("a directory");
    thread::scope(|scope| {
        for seed in 0..8u64 {
            let root = directory.path();
            scope.spawn(move || {
                let source = CachedSource::new(Endless::default(), root, 5000).expect("a cache");
                for step in 0..200 {
                    let start = (seed * 7919 + step * 104_729) % 5000;
                    read(&source, start..start + 300);
                }
            });
        }
    });
    let left = files(directory.path()).iter().filter(|file| file.extension().is_some()).count();
    assert_eq!(left, 0, "nothing unfinished is left");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_cache_never_changes_what_is_read(
        reads in prop::collection::vec((0u64..2000, 0u64..500, 0u32..6), 1..40),
        cap in 0u64..4000,
    ) {
        let directory = tempfile::tempdir().expect("a directory");
        let source = CachedSource::new(Endless::default(), directory.path(), cap).expect("a cache");
        for (start, len, doubt) in reads {
            let mut buffer = b"old".to_vec();
            let range = start..start + len;
            match doubt {
                0..=2 => source.read(PACK, range.clone(), &mut buffer).expect("read"),
                3 => {
                    prop_assert_eq!(open(&source, len), bytes(0..len));
                    continue;
                }
                4 => {
                    source.forget(PACK);
                    continue;
                }
                _ => source.read_again(PACK, range.clone(), 1, &mut buffer).expect("read"),
            }
            prop_assert_eq!(buffer, bytes(range));
        }
    }
}
