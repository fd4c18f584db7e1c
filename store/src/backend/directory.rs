//! A store in a directory of the local file system.
//!
//! Every object is written under `tmp/`, synced, renamed to its place, and its directory synced. So after a
//! power cut an object is there whole or not at all, and what was reported as published is there.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{Backend, Content, Key, Object, Published, Upload, check_len};
use crate::line::Version;
use crate::map;
use crate::pack::PackName;

/// Held shared by every writer, exclusively by one that cleans up.
const WRITERS_LOCK: &str = "tmp/writers.lock";
/// Held while an index is compared and swapped.
const PUBLISH_LOCK: &str = "tmp/publish.lock";

/// Behind the name of an object that was set aside.
const ASIDE: &str = "damaged";

/// A store in a directory.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    access: Access,
}

/// What may be done to the store. Files are kept locked for as long as it may.
#[derive(Debug)]
enum Access {
    Read,
    /// Add to it, beside others.
    Write(#[expect(dead_code, reason = "held for its lock")] File),
    /// Take out of it, while nobody adds.
    Mend(#[expect(dead_code, reason = "held for its lock")] File),
}

impl Directory {
    /// Opens a store for reading.
    pub fn open(root: &Path) -> io::Result<Self> {
        if root.is_dir() {
            Ok(Self { root: root.to_owned(), access: Access::Read })
        } else {
            Err(io::Error::new(io::ErrorKind::NotFound, format!("{} is not a directory", root.display())))
        }
    }

    /// Opens a store to [set objects aside](Self::set_aside). Fails while anybody writes there; who wants to write
    /// then, waits.
    pub fn open_for_mending(root: &Path) -> io::Result<Self> {
        let store = Self::open(root)?;
        create_directory(&root.join("tmp"))?;
        let lock = open_lock(&root.join(WRITERS_LOCK))?;
        lock.try_lock()?;
        Ok(Self { access: Access::Mend(lock), ..store })
    }

    /// Opens a store for writing; creates what is missing and removes what writers that died left
    /// unfinished.
    pub fn open_for_writing(root: &Path) -> io::Result<Self> {
        for directory in [root.to_owned(), root.join("packs"), root.join("lookup"), root.join("tmp")] {
            create_directory(&directory)?;
        }
        // What others have renamed here may not be durable yet, and is about to be built upon.
        sync_directory(&root.join("packs"))?;
        sync_directory(root)?;
        let lock = open_lock(&root.join(WRITERS_LOCK))?;
        if lock.try_lock().is_ok() {
            remove_leftovers(&root.join("tmp"), |extension| extension != Some("lock"))?;
            remove_leftovers(&root.join("lookup"), |extension| extension == Some("tmp"))?;
        }
        lock.lock_shared()?;
        Ok(Self { root: root.to_owned(), access: Access::Write(lock) })
    }

    /// Takes a damaged object out of the store, and returns the name that it keeps its bytes under: nobody who looks
    /// for objects reads that, and renaming it brings the object back.
    pub fn set_aside(&self, key: &Key) -> io::Result<String> {
        if !matches!(self.access, Access::Mend(_)) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "store is not open for mending"));
        }
        let names = (1..).map(|number| match number {
            1 => format!("{}.{ASIDE}", key.path()),
            _ => format!("{}.{ASIDE}-{number}", key.path()),
        });
        let mut free = names.filter(|name| fs::symlink_metadata(self.root.join(name)).is_err());
        let name = free.next().expect("there are more numbers than files");
        let (path, aside) = (self.path(key), self.root.join(&name));
        fs::rename(path, &aside)?;
        sync_directory(aside.parent().expect("every key lies in a directory"))?;
        Ok(name)
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the lookup tables of this store are kept.
    pub fn lookup(&self) -> PathBuf {
        self.root.join("lookup")
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.path())
    }

    /// Opens an object, which must be a regular file: opening a pipe would wait for ever.
    fn open_file(&self, key: &Key) -> io::Result<File> {
        let path = self.path(key);
        if fs::metadata(&path)?.is_file() {
            return File::open(path);
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} is not a regular file", path.display())))
    }
}

impl Backend for Directory {
    fn create(&self) -> io::Result<Box<dyn Upload + '_>> {
        if !matches!(self.access, Access::Write(_)) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "store is not open for writing"));
        }
        let path = self.root.join("tmp").join(format!("{:016x}", RandomState::new().build_hasher().finish()));
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Box::new(Unfinished { store: self, file, path, renamed: false }))
    }

    fn len(&self, key: &Key) -> io::Result<Option<u64>> {
        match fs::metadata(self.path(key)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read_at(&self, key: &Key, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.open_file(key)?.read_exact_at(buffer, offset)
    }

    fn open(&self, key: &Key, limit: u64) -> io::Result<Object> {
        let file = self.open_file(key)?;
        check_len(key, file.metadata()?.len(), limit)?;
        Ok(Object(Content::Mapped(map::map(&file)?)))
    }

    fn packs(&self) -> io::Result<Vec<(PackName, u64)>> {
        let mut packs = Vec::new();
        for (file, entry) in files(&self.root.join("packs"))? {
            let Some(name) = file.strip_suffix(".pack").and_then(|hex| hex.parse().ok()) else { continue };
            // A pack may be a link to where it lies.
            let metadata = fs::metadata(entry.path())?;
            if metadata.is_file() {
                packs.push((name, metadata.len()));
            }
        }
        packs.sort_unstable();
        Ok(packs)
    }

    fn indexes(&self) -> io::Result<Vec<Version>> {
        let mut versions = Vec::new();
        for (file, entry) in files(&self.root)? {
            let Some(version) = Version::from_file_name(&file) else { continue };
            if fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file()) {
                versions.push(version);
            }
        }
        versions.sort_unstable();
        Ok(versions)
    }
}

/// A file in `tmp/` on its way to its place.
struct Unfinished<'s> {
    store: &'s Directory,
    file: File,
    path: PathBuf,
    renamed: bool,
}

impl Write for Unfinished<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Unfinished<'_> {
    fn rename(&mut self, key: &Key) -> io::Result<()> {
        let target = self.store.path(key);
        let directory = target.parent().expect("every key lies in a directory");
        if matches!(key, Key::Patch(_)) {
            // Stores without patches do without their directory.
            create_directory(directory)?;
        }
        fs::rename(&self.path, &target)?;
        self.renamed = true;
        sync_directory(directory)
    }
}

impl Upload for Unfinished<'_> {
    fn replace(mut self: Box<Self>, key: &Key) -> io::Result<()> {
        self.file.sync_all()?;
        self.rename(key)
    }

    fn swap(mut self: Box<Self>, key: &Key, expected: Option<[u8; 32]>) -> io::Result<Published> {
        self.file.sync_all()?;
        let lock = open_lock(&self.store.root.join(PUBLISH_LOCK))?;
        lock.lock()?;
        let current = match self.store.open_file(key) {
            Ok(file) => Some(hash(file)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if current != expected {
            return Ok(Published::Conflict);
        }
        self.rename(key)?;
        Ok(Published::Done)
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.renamed {
            // Best effort: the next writer removes what stays.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn hash(file: File) -> io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file)?;
    Ok(*hasher.finalize().as_bytes())
}

/// The names and entries of a directory; names that are not UTF-8 are nobody's of ours.
fn files(directory: &Path) -> io::Result<Vec<(String, fs::DirEntry)>> {
    let mut files = Vec::new();
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string() {
            files.push((name, entry));
        }
    }
    Ok(files)
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Removes unfinished files. Only while no other writer lives: theirs look the same.
fn remove_leftovers(directory: &Path, is_leftover: impl Fn(Option<&str>) -> bool) -> io::Result<()> {
    for (name, entry) in files(directory)? {
        if is_leftover(Path::new(&name).extension().and_then(OsStr::to_str)) {
            // What cannot be removed, a stray directory perhaps, is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

fn create_directory(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Ok(()) => match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => sync_directory(Path::new(".")),
            Some(parent) => sync_directory(parent),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
