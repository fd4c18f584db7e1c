//! A store in a directory of this machine.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{FetchError, FetchErrorKind, Source, Spent};

/// Reads objects below a directory.
#[derive(Debug)]
pub struct DirectorySource {
    root: PathBuf,
    bytes: AtomicU64,
    requests: AtomicU64,
}

impl DirectorySource {
    /// The store in `root`: the directory the index lies in.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), bytes: AtomicU64::new(0), requests: AtomicU64::new(0) }
    }

    fn count(&self, read: usize) {
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}

/// Opens what must be a regular file: opening a pipe would wait for ever.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    if std::fs::metadata(path)?.is_file() {
        return File::open(path);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"))
}

impl Source for DirectorySource {
    fn read(&self, object: &str, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), FetchError> {
        let mut read = |path: &Path| -> io::Result<()> {
            let file = open_file(path)?;
            // The length is compared before the buffer is made: a range may come from a hostile index.
            let len = file.metadata()?.len();
            if range.end > len {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            buffer.clear();
            buffer
                .resize(usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?, 0);
            file.read_exact_at(buffer, range.start)
        };
        let path = self.root.join(object);
        read(&path).map_err(|error| failure(&path, range.clone(), error))?;
        self.count(buffer.len());
        Ok(())
    }

    fn open(&self, object: &str, at_most: u64, buffer: &mut Vec<u8>) -> Result<u64, FetchError> {
        let mut open = |path: &Path| -> io::Result<u64> {
            let file = open_file(path)?;
            let len = file.metadata()?.len();
            buffer.clear();
            buffer.resize(usize::try_from(len.min(at_most)).map_err(io::Error::other)?, 0);
            file.read_exact_at(buffer, 0)?;
            Ok(len)
        };
        let path = self.root.join(object);
        let len = open(&path).map_err(|error| failure(&path, 0..at_most, error))?;
        self.count(buffer.len());
        Ok(len)
    }

    fn locate(&self, object: &str) -> String {
        self.root.join(object).display().to_string()
    }

    fn spent(&self) -> Spent {
        let [bytes, requests] = [&self.bytes, &self.requests].map(|count| count.load(Ordering::Relaxed));
        Spent { bytes, requests, ..Spent::default() }
    }
}

fn failure(path: &Path, range: Range<u64>, error: io::Error) -> FetchError {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => FetchErrorKind::Missing,
        io::ErrorKind::UnexpectedEof => FetchErrorKind::Short,
        _ => FetchErrorKind::Io(error),
    };
    FetchError { location: path.display().to_string(), range, kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, DirectorySource) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut file = File::create(directory.path().join("object")).expect("a file");
        io::Write::write_all(&mut file, b"0123456789").expect("written");
        let source = DirectorySource::new(directory.path());
        (directory, source)
    }

    #[test]
    fn exactly_the_range_is_read() {
        let (_directory, source) = store();
        let mut buffer = b"old".to_vec();
        source.read("object", 3..7, &mut buffer).expect("readable");
        assert_eq!(buffer, b"3456");
        source.read("object", 10..10, &mut buffer).expect("readable");
        assert_eq!(buffer, b"");
    }

    #[test]
    fn what_was_read_is_counted_and_what_failed_is_not() {
        let (_directory, source) = store();
        let mut buffer = Vec::new();
        source.open("object", 4, &mut buffer).expect("readable");
        source.read("object", 3..9, &mut buffer).expect("readable");
        source.read("object", 3..11, &mut buffer).expect_err("too long");
        assert_eq!(source.spent(), Spent { bytes: 10, requests: 2, ..Spent::default() });
    }

    #[test]
    fn a_pipe_is_no_object_and_nobody_waits_for_it() {
        let (directory, source) = store();
        let pipe = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
        let mut buffer = Vec::new();
        for error in [
            source.read("pipe", 0..1, &mut buffer).expect_err("a pipe"),
            source.open("pipe", 1, &mut buffer).expect_err("a pipe"),
        ] {
            assert!(matches!(error.kind, FetchErrorKind::Io(_)), "{error:?}");
            assert!(format!("{error:?}").contains("not a regular file"), "{error:?}");
        }
    }

    #[test]
    fn an_object_that_ends_too_early_is_short_and_nothing_is_allocated_for_it() {
        let (_directory, source) = store();
        let mut buffer = Vec::new();
        let error = source.read("object", 5..u64::MAX, &mut buffer).expect_err("too long");
        assert!(matches!(error.kind, FetchErrorKind::Short), "{error:?}");
        assert_eq!(buffer.capacity(), 0);
    }

    #[test]
    fn opening_gives_the_front_and_the_whole_length() {
        let (_directory, source) = store();
        let mut buffer = b"old".to_vec();
        assert_eq!(source.open("object", 4, &mut buffer).expect("readable"), 10);
        assert_eq!(buffer, b"0123");
        assert_eq!(source.open("object", u64::MAX, &mut buffer).expect("readable"), 10);
        assert_eq!(buffer, b"0123456789");
    }

    #[test]
    fn a_missing_object_is_told_by_its_path() {
        let (_directory, source) = store();
        let error = source.read("packs/none.pack", 0..1, &mut Vec::new()).expect_err("missing");
        assert!(matches!(error.kind, FetchErrorKind::Missing));
        assert!(error.to_string().ends_with("packs/none.pack is missing"), "{error}");
    }
}
