//! A store to publish in, and what tests ask of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use chunk_chunker::Params;
use chunk_extract::Reader;
use chunk_fetch::DirectorySource;
use chunk_index::{Annotations, Index};
use chunk_publisher::{MakeError, Options, Outcome, Publisher, Report, Source, Wish, audit};
use chunk_store::line::Version;
use chunk_store::{Backend as _, Directory, Key, Object};
use tempfile::TempDir;

use crate::model;

/// A line, and a label or none.
pub(crate) fn wish(name: &str, label: Option<&str>) -> Wish {
    Wish {
        name: name.parse().unwrap(),
        label: label.map(|label| label.parse().unwrap()),
        release: None,
        annotations: Annotations::default(),
    }
}

/// The line that most tests publish in, without a label.
pub(crate) fn image() -> Wish {
    wish("image", None)
}

pub(crate) fn stream(image: &[u8]) -> Source {
    Source::stream(std::io::Cursor::new(image.to_vec()))
}

/// A store with options under which small images have many chunks, frames and packs.
pub(crate) struct Store {
    /// Removed with the store, if the store is all that it holds.
    temporary: Option<TempDir>,
    pub(crate) directory: Directory,
    pub(crate) options: Options,
}

impl Store {
    pub(crate) fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut store = Self::at(temporary.path());
        store.temporary = Some(temporary);
        store
    }

    pub(crate) fn at(root: &Path) -> Self {
        let directory = Directory::open_for_writing(root).unwrap();
        let options = Options {
            params: Params::new(256, 1024, 8192, 1).unwrap(),
            level: 1,
            frame_len: 32 << 10,
            pack_len: 256 << 10,
            jobs: Some(2),
            ..Options::for_directory(&directory)
        };
        Self { temporary: None, directory, options }
    }

    /// Another store with the same content.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        for path in self.files() {
            fs::copy(self.path(&path), copy.path(&path)).unwrap();
        }
        copy
    }

    pub(crate) fn publisher(&self) -> Publisher<'_> {
        Publisher::new(&self.directory, self.options.clone()).unwrap()
    }

    pub(crate) fn make(&self, image: &[u8], wish: &Wish) -> Report {
        self.try_make(stream(image), wish).unwrap()
    }

    pub(crate) fn try_make(&self, source: Source, wish: &Wish) -> Result<Report, MakeError> {
        self.publisher().make(source, wish, &())
    }

    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.directory.root().join(path)
    }

    pub(crate) fn read(&self, path: impl AsRef<Path>) -> Vec<u8> {
        fs::read(self.path(path)).unwrap()
    }

    pub(crate) fn index(&self, file_name: &str) -> Index<Object> {
        let version = Version::from_file_name(file_name).unwrap();
        Index::decode(self.directory.open(&Key::Index(version), 1 << 30).unwrap()).unwrap()
    }

    /// Names of all indexes, ascending.
    pub(crate) fn indexes(&self) -> Vec<String> {
        self.directory.indexes().unwrap().iter().map(Version::file_name).collect()
    }

    pub(crate) fn packs(&self) -> Vec<PathBuf> {
        let packs = self.directory.packs().unwrap();
        packs.iter().map(|(name, _)| Key::pack(name).path().into()).collect()
    }

    /// All files but locks: those of the root, of `packs`, of `lookup`, and what is unfinished.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for directory in ["", "packs", "lookup", "tmp"] {
            for entry in fs::read_dir(self.path(directory)).unwrap().map(Result::unwrap) {
                let path = Path::new(directory).join(entry.file_name());
                let is_lock = path.extension().is_some_and(|extension| extension == "lock");
                if entry.file_type().unwrap().is_file() && !is_lock {
                    files.push(path);
                }
            }
        }
        files.sort();
        files
    }

    /// All that a server shows: every index and every pack, byte by byte.
    pub(crate) fn published(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let indexes = self.indexes().into_iter().map(PathBuf::from);
        indexes.chain(self.packs()).map(|path| (path.clone(), self.read(path))).collect()
    }

    /// What changes when any file is written, replaced, created or removed, even by the same bytes.
    pub(crate) fn stamps(&self) -> BTreeMap<PathBuf, [i64; 6]> {
        let directories = ["", "packs", "lookup"].map(PathBuf::from);
        let stamp = |path: PathBuf| {
            let of = fs::metadata(self.path(&path)).unwrap();
            let inode = i64::try_from(of.ino()).unwrap();
            let len = i64::try_from(of.len()).unwrap();
            (path, [inode, len, of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec()])
        };
        directories.into_iter().chain(self.files()).map(stamp).collect()
    }

    /// Fails the test if anything in the store is damaged or unfinished.
    pub(crate) fn assert_whole(&self) {
        let found = audit(&self.directory, &()).unwrap();
        assert!(found.is_clean(), "{found:?}");
        self.assert_tidy();
    }

    /// Fails the test if anything unfinished lies about.
    pub(crate) fn assert_tidy(&self) {
        let leftovers: Vec<_> = self.files().into_iter().filter(|path| path.starts_with("tmp")).collect();
        assert!(leftovers.is_empty(), "{leftovers:?}");
    }

    /// Fails the test unless `NAME.cidx` is the index of the line's version `label`.
    pub(crate) fn assert_newest(&self, name: &str, label: &str) {
        let newest = self.read(format!("{name}.cidx"));
        assert!(
            newest == self.read(format!("{name}@{label}.cidx")),
            "{name}.cidx is not {name}@{label}.cidx"
        );
        assert_eq!(self.index(&format!("{name}.cidx")).record().description().label.as_str(), label);
    }

    /// Fails the test unless the index `file_name` describes `image` as FORMAT says, and leads to its bytes.
    pub(crate) fn assert_holds(&self, file_name: &str, image: &[u8]) {
        let index = self.index(file_name);
        let record = index.record();
        assert_eq!(record.image_len(), image.len() as u64);
        assert_eq!(record.description().blake3, *blake3::hash(image).as_bytes());
        model::assert_lists(&index, image);
        let mut rebuilt = Vec::with_capacity(image.len());
        let mut reader = Reader::new(&index, DirectorySource::new(self.directory.root())).unwrap();
        reader.copy(0..record.image_len(), &mut rebuilt).unwrap();
        assert!(rebuilt == image, "{file_name} is rebuilt otherwise than it was");
    }
}

/// All of a report that tells whether something was done.
pub(crate) fn figures(report: &Report) -> (Outcome, u64, u64, u64, u64) {
    (report.outcome, report.new_chunks, report.new_bytes, report.packs, report.pack_bytes)
}
