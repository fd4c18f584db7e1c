//! A store with one published image, and what it costs to make the image from there.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use chunk_extract::{
    Destination, Existing, ExtractError, Job, Limits, Options, Refusal, Report, Silent, State, TargetError,
    Verify, Version, index_lists,
};
use chunk_fetch::{DirectorySource, FetchError, Source};
use chunk_index::{Annotations, Index, LeafList};
use chunk_publisher::{Patching, Publisher, Wish};
use chunk_store::Directory;
use tempfile::TempDir;

/// Bytes of a block, the unit in which images are written.
pub(crate) const BLOCK: u64 = chunk_chunker::image::BLOCK as u64;
/// Old bytes that a run may hold in memory until they are written elsewhere.
pub(crate) const SAVED: u64 = 4 << 20;

/// A store with one image, or with a patch to it.
#[derive(Debug)]
pub(crate) struct Store {
    root: TempDir,
    image: Vec<u8>,
}

impl Store {
    /// Publishes `image` in a new store.
    pub(crate) fn of(image: Vec<u8>) -> Self {
        let store = Self { root: tempfile::tempdir().expect("a temporary directory"), image };
        store.publish(&store.image, None);
        store
    }

    /// Publishes `old` and then `image` in a new store, with a patch.
    pub(crate) fn patched(old: &[u8], image: Vec<u8>) -> Self {
        let store = Self { root: tempfile::tempdir().expect("a temporary directory"), image };
        let patches = Some(Patching { level: 3, ..Patching::default() });
        store.publish(old, None);
        store.publish(&store.image, patches);
        let index = Index::decode(store.index()).expect("a whole index");
        assert_eq!(index.locator().ways().patches().len(), 1);
        store
    }

    fn publish(&self, image: &[u8], patches: Option<Patching>) {
        let directory = Directory::open_for_writing(self.root.path()).expect("a store");
        let options = chunk_publisher::Options {
            level: 1,
            // Small, so that what is downloaded is about what is missing.
            frame_len: 64 << 10,
            patches,
            ..chunk_publisher::Options::for_directory(&directory)
        };
        let name = "image".parse().expect("a word");
        let wish = Wish { name, label: None, release: None, annotations: Annotations::default() };
        let source = chunk_publisher::Source::stream(std::io::Cursor::new(image.to_vec()));
        let mut publisher = Publisher::new(&directory, options).expect("a publisher");
        publisher.make(source, &wish, &()).expect("published");
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    /// The published image.
    pub(crate) fn image(&self) -> &[u8] {
        &self.image
    }

    /// The bytes of its index.
    pub(crate) fn index(&self) -> Vec<u8> {
        index(self.path())
    }

    /// What its index says of chunks.
    pub(crate) fn lists(&self) -> Vec<LeafList> {
        index_lists(&self.index()).expect("a whole index")
    }

    /// Makes the image at `to`.
    pub(crate) fn extract(&self, to: &To<'_>) -> Result<Made, ExtractError> {
        extract(self.path(), to)
    }

    /// What making the image at `to` would take.
    pub(crate) fn plan(&self, to: &To<'_>) -> Report {
        job(self.path(), to, &DirectorySource::new(self.path())).plan().expect("a plan")
    }
}

/// Makes the image of the store in `root` at `to`.
pub(crate) fn extract(root: &Path, to: &To<'_>) -> Result<Made, ExtractError> {
    extract_and_log(root, to, None)
}

/// The same. The length of each answer is added to `log`, so that it is known of a process that has been killed, too.
pub(crate) fn extract_and_log(root: &Path, to: &To<'_>, log: Option<File>) -> Result<Made, ExtractError> {
    let source = Metered { inner: DirectorySource::new(root), bytes: AtomicU64::new(0), log };
    // A process that is being started by another test holds, until its program runs, whatever was open here.
    let outcome = (0..100).find_map(|_| match job(root, to, &source).run() {
        Err(ExtractError::Target(TargetError::Refused(_, Refusal::InUse))) => {
            thread::sleep(Duration::from_millis(20));
            None
        }
        outcome => Some(outcome),
    });
    let report = outcome.expect("it is free at last")?;
    Ok(Made { report, downloaded: source.bytes.into_inner() })
}

fn index(root: &Path) -> Vec<u8> {
    std::fs::read(root.join("image.cidx")).expect("it was published")
}

fn job<'j>(root: &Path, to: &To<'_>, source: &'j dyn Source) -> Job<'j> {
    Job {
        source,
        version: Version::Index(Index::decode(index(root)).expect("a whole index")),
        seeds: Vec::new(),
        own_lists: None,
        state: to.state.map(|state| State::open(state).expect("a state directory")),
        destination: Destination::Path { path: to.path.to_owned(), existing: to.existing },
        options: Options {
            threads: 2,
            limits: Limits { saved: SAVED, longest: to.longest, ..Limits::default() },
            verify: to.verify,
            ..Options::default()
        },
        observer: &Silent,
    }
}

/// Where an image is to go, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct To<'a> {
    pub(crate) path: &'a Path,
    pub(crate) existing: Existing,
    pub(crate) state: Option<&'a Path>,
    pub(crate) verify: Verify,
    /// The longest request.
    pub(crate) longest: u64,
}

impl<'a> To<'a> {
    /// A device, or a file that is updated where it lies.
    pub(crate) fn update(path: &'a Path) -> Self {
        Self {
            path,
            existing: Existing::Update,
            state: None,
            verify: Verify::Write,
            longest: Limits::default().longest,
        }
    }

    /// A file that is replaced when the new one is complete.
    pub(crate) fn replace(path: &'a Path) -> Self {
        Self { existing: Existing::Replace, ..Self::update(path) }
    }
}

/// An image that was made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) report: Report,
    /// Bytes of packs that were read.
    pub(crate) downloaded: u64,
}

/// A store, and how much of its packs was read.
struct Metered {
    inner: DirectorySource,
    bytes: AtomicU64,
    log: Option<File>,
}

impl Metered {
    fn log(&self, len: usize) {
        if let Some(mut log) = self.log.as_ref() {
            log.write_all(&(len as u64).to_le_bytes()).expect("the directory can be written");
        }
    }
}

impl Source for Metered {
    fn read(&self, object: &str, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), FetchError> {
        self.inner.read(object, range, buffer)?;
        self.bytes.fetch_add(buffer.len() as u64, Ordering::SeqCst);
        self.log(buffer.len());
        Ok(())
    }

    fn open(&self, object: &str, at_most: u64, buffer: &mut Vec<u8>) -> Result<u64, FetchError> {
        let len = self.inner.open(object, at_most, buffer)?;
        self.log(buffer.len());
        Ok(len)
    }
}
