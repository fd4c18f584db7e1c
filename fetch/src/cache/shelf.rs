//! Pieces of objects in a directory, for any number of processes at once.
//!
//! `HH…/START-END` holds bytes START to END of the object whose name has the BLAKE3 HH…, behind the BLAKE3 of both.
//! A piece is written aside and renamed, so nobody sees half of one; a power cut may leave one that is damaged, and
//! the hash tells. `HH…/length` holds the object's length in the same way. Nothing is locked: whoever reads a piece that another process has removed has a piece less.

use std::fs::{self, DirBuilder, DirEntry, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::directory::open_file;

const HASH_LEN: u64 = 32;
/// The file that holds the length of an object.
const LENGTH: &str = "length";
/// A file that is being written is older than this only if its writer has died.
const ABANDONED: Duration = Duration::from_hours(1);

/// A directory of pieces.
#[derive(Debug)]
pub(crate) struct Shelf {
    root: PathBuf,
    cap: u64,
    /// Bytes that may still be added before all are counted again; other processes add, too.
    room: AtomicU64,
}

impl Shelf {
    /// The shelf in `root`, which is made if it is missing, for about `cap` bytes.
    pub(crate) fn open(root: &Path, cap: u64) -> io::Result<Self> {
        // What a device fetches is nobody else's business.
        DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => io::ErrorKind::NotADirectory.into(),
            _ => error,
        })?;
        // A cache that keeps nothing would be noticed when it is too late.
        let shelf = Self { root: root.to_owned(), cap, room: AtomicU64::new(0) };
        let trial = shelf.unfinished();
        OpenOptions::new().write(true).create_new(true).open(&trial)?;
        fs::remove_file(&trial)?;
        shelf.tidy()?;
        Ok(shelf)
    }

    /// The pieces of `object` that are here.
    pub(crate) fn pieces(&self, object: &str) -> Vec<Range<u64>> {
        let Ok(entries) = fs::read_dir(self.directory(object)) else { return Vec::new() };
        entries.flatten().filter_map(|entry| piece_of(&entry)).collect()
    }

    /// Reads a piece; none, and it is removed, if it is not what was stored.
    pub(crate) fn read(&self, object: &str, piece: &Range<u64>) -> Option<Vec<u8>> {
        let mut file = open_file(&self.path(object, piece)).ok()?;
        let mut read = || -> io::Result<Vec<u8>> {
            let len = piece.end.saturating_sub(piece.start);
            if file.metadata()?.len() != len.saturating_add(HASH_LEN) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut hash = [0; blake3::OUT_LEN];
            file.read_exact(&mut hash)?;
            let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
            file.read_exact(&mut bytes)?;
            // The time of the last use; where it cannot be set, the piece looks older than it is.
            let _ = file.set_modified(SystemTime::now());
            if name(object, piece, &bytes) == hash {
                Ok(bytes)
            } else {
                Err(io::ErrorKind::InvalidData.into())
            }
        };
        let bytes = read().ok();
        if bytes.is_none() {
            self.remove(object, piece);
        }
        bytes
    }

    /// Removes a piece.
    pub(crate) fn remove(&self, object: &str, piece: &Range<u64>) {
        // If it stays, it is found to be wrong again.
        let _ = fs::remove_file(self.path(object, piece));
    }

    /// Stores a piece, unless it is too long to leave room for others.
    pub(crate) fn store(&self, object: &str, start: u64, bytes: &[u8]) -> io::Result<()> {
        let len = u64::try_from(bytes.len()).map_err(io::Error::other)?;
        if len > self.cap / 4 {
            return Ok(());
        }
        let piece = start..start.checked_add(len).ok_or(io::ErrorKind::InvalidInput)?;
        let taken =
            self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(len));
        if taken.is_err() {
            self.tidy()?;
        }
        self.write(object, &self.path(object, &piece), [&name(object, &piece, bytes), bytes])
    }

    /// The length of `object`, if it is here.
    pub(crate) fn len(&self, object: &str) -> Option<u64> {
        let mut file = open_file(&self.directory(object).join(LENGTH)).ok()?;
        let (mut hash, mut len) = ([0; blake3::OUT_LEN], [0; size_of::<u64>()]);
        file.read_exact(&mut hash).ok()?;
        file.read_exact(&mut len).ok()?;
        // As with pieces.
        let _ = file.set_modified(SystemTime::now());
        let len = u64::from_le_bytes(len);
        (hash_of_len(object, len) == hash).then_some(len)
    }

    /// Stores the length of `object`, unless there is hardly room for anything.
    pub(crate) fn store_len(&self, object: &str, len: u64) -> io::Result<()> {
        if HASH_LEN > self.cap / 4 {
            return Ok(());
        }
        let path = self.directory(object).join(LENGTH);
        self.write(object, &path, [&hash_of_len(object, len), &len.to_le_bytes()])
    }

    /// Removes all that is here of `object`.
    pub(crate) fn clear(&self, object: &str) {
        // If it stays, it is found to be wrong again.
        let _ = fs::remove_dir_all(self.directory(object));
    }

    /// Writes what belongs to `object` as the file at `path`.
    fn write(&self, object: &str, path: &Path, parts: [&[u8]; 2]) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.directory(object))?;
        let unfinished = self.unfinished();
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).open(&unfinished)?;
            for part in parts {
                file.write_all(part)?;
            }
            fs::rename(&unfinished, path)
        };
        write().inspect_err(|_| {
            let _ = fs::remove_file(&unfinished);
        })
    }

    /// Removes what was not used for longest until a quarter of the cap is free, if the cap is reached.
    fn tidy(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.root)?.flatten() {
            let path = entry.path();
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                let entries = fs::read_dir(&path).into_iter().flatten().flatten();
                files.extend(entries.filter_map(|entry| {
                    if entry.file_name() != LENGTH {
                        piece_of(&entry)?;
                    }
                    let metadata = entry.metadata().ok()?;
                    Some((metadata.modified().ok()?, metadata.len(), entry.path()))
                }));
                // Only an empty one goes.
                let _ = fs::remove_dir(&path);
            } else if path.extension().is_some_and(|extension| extension == "tmp") {
                let age = metadata.modified().ok().and_then(|modified| modified.elapsed().ok());
                if age.is_some_and(|age| age > ABANDONED) {
                    let _ = fs::remove_file(&path);
                }
            }
        }
        files.sort_unstable();
        let mut used: u64 = files.iter().map(|(_, len, _)| len).sum();
        let target = if used > self.cap - self.cap / 8 { self.cap - self.cap / 4 } else { self.cap };
        for (_, len, path) in files {
            if used <= target {
                break;
            }
            // Somebody else may have been faster.
            let _ = fs::remove_file(path);
            used -= len;
        }
        // Others add as well, so the count is made again before the cap is reached.
        self.room.store(self.cap.saturating_sub(used).min(self.cap / 8), Ordering::Relaxed);
        Ok(())
    }

    /// Where to write what nobody is to see yet. Processes that share the directory may share their numbers, too.
    fn unfinished(&self) -> PathBuf {
        self.root.join(format!("{:016x}.tmp", RandomState::new().hash_one(0)))
    }

    fn directory(&self, object: &str) -> PathBuf {
        self.root.join(blake3::hash(object.as_bytes()).to_hex().as_str())
    }

    fn path(&self, object: &str, piece: &Range<u64>) -> PathBuf {
        self.directory(object).join(format!("{:016x}-{:016x}", piece.start, piece.end))
    }
}

fn piece_of(entry: &DirEntry) -> Option<Range<u64>> {
    let file_name = entry.file_name();
    let (start, end) = file_name.to_str()?.split_once('-')?;
    let number = |digits: &str| u64::from_str_radix(digits, 16).ok();
    let piece = number(start)?..number(end)?;
    (start.len() == 16 && end.len() == 16 && !piece.is_empty()).then_some(piece)
}

fn hash_of_len(object: &str, len: u64) -> [u8; blake3::OUT_LEN] {
    // No name of a piece: that starts with two numbers and has a hash behind them.
    let mut hasher = blake3::Hasher::new();
    hasher.update(blake3::hash(object.as_bytes()).as_bytes()).update(&len.to_le_bytes());
    *hasher.finalize().as_bytes()
}

fn name(object: &str, piece: &Range<u64>, bytes: &[u8]) -> [u8; blake3::OUT_LEN] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&piece.start.to_le_bytes()).update(&piece.end.to_le_bytes());
    hasher.update(blake3::hash(object.as_bytes()).as_bytes()).update(bytes);
    *hasher.finalize().as_bytes()
}
