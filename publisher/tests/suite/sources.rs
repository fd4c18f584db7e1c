//! Images that cannot be read, that change while they are read, and publishers that are told to stop.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Once;
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use chunk_chunker::image::BLOCK;
use chunk_publisher::{MakeError, Observer, Outcome, Source, SourceError};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::inputs::random;
use crate::store::{Store, image, stream};

/// A file that was last written long ago: whatever changes it now changes its times.
fn old_file(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    File::open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30)).unwrap();
}

/// Does something when the first block has been read.
struct AtFirst<F> {
    once: Once,
    act: F,
}

impl<F: Fn() + Sync> AtFirst<F> {
    fn new(act: F) -> Self {
        Self { once: Once::new(), act }
    }
}

impl<F: Fn() + Sync> Observer for AtFirst<F> {
    fn progress(&self, _: u64, _: Option<u64>) {
        self.once.call_once(&self.act);
    }
}

#[test]
fn an_image_that_changes_while_it_is_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image");
    let before = random(1, 2 * BLOCK);
    let bytes = random(2, 7 * BLOCK);
    let file = || OpenOptions::new().write(true).open(&path).unwrap();
    let truncate = |len: usize| file().set_len(len as u64).unwrap();
    let cut_off = || truncate(5 * BLOCK + 17);
    let empty = || truncate(0);
    let grow = || truncate(8 * BLOCK);
    let overwrite = || file().write_all_at(b"other", 6 * BLOCK as u64).unwrap();
    let same_again = || file().write_all_at(&bytes[..1], 0).unwrap();
    let changes: [(&str, &(dyn Fn() + Sync)); 5] = [
        ("cut off", &cut_off),
        ("emptied", &empty),
        ("longer", &grow),
        ("overwritten", &overwrite),
        ("written again as it was", &same_again),
    ];
    for (what, change) in changes {
        for while_reading in [false, true] {
            old_file(&path, &bytes);
            let mut store = Store::new();
            store.options.jobs = Some(1);
            store.make(&before, &image());
            let source = Source::open(&path).unwrap();
            let result = if while_reading {
                store.publisher().make(source, &image(), &AtFirst::new(change))
            } else {
                change();
                store.try_make(source, &image())
            };
            match result {
                Err(MakeError::Source(SourceError::Changed | SourceError::Shrunk { .. })) => {}
                other => panic!("{what}, while reading: {while_reading}: {other:?}"),
            }
            assert_eq!(store.indexes(), ["image.cidx", "image@1.cidx"]);
            store.assert_holds("image.cidx", &before);
            store.assert_whole();
        }
    }
}

#[test]
fn a_file_that_ends_early_is_told_by_the_place_where_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image");
    fs::write(&path, random(1, 3 * BLOCK)).unwrap();
    let source = Source::open(&path).unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(2 * BLOCK as u64 + 5).unwrap();
    match Store::new().try_make(source, &image()) {
        Err(MakeError::Source(SourceError::Shrunk { at })) => assert_eq!(at, 2 * BLOCK as u64),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_is_only_read_or_renamed_meanwhile_is_published() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image");
    let bytes = random(1, 2 * BLOCK + 1);
    fs::write(&path, &bytes).unwrap();
    let store = Store::new();
    let source = Source::open(&path).unwrap();
    assert_eq!(source.known_len(), Some(bytes.len() as u64));
    let read_it = AtFirst::new(|| drop(fs::read(&path).unwrap()));
    store.publisher().make(source, &image(), &read_it).unwrap();
    store.assert_holds("image.cidx", &bytes);
}

/// What `Source::open` says; a test that would wait for ever fails instead.
fn open_in_time(path: &Path) -> Result<Source, SourceError> {
    let (sender, receiver) = mpsc::channel();
    let path = path.to_owned();
    std::thread::spawn(move || sender.send(Source::open(&path)));
    receiver.recv_timeout(Duration::from_secs(20)).expect("opening waits for nobody")
}

#[test]
fn only_files_and_block_devices_are_images() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    mknodat(CWD, path("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    fs::create_dir(path("directory")).unwrap();
    std::os::unix::fs::symlink(path("directory"), path("link")).unwrap();
    for refused in [path("pipe"), path("directory"), path("link"), "/dev/zero".into(), "/dev/null".into()] {
        let result = open_in_time(&refused);
        assert!(matches!(result, Err(SourceError::Kind)), "{}: {result:?}", refused.display());
    }
    let _socket = UnixListener::bind(path("socket")).unwrap();
    for unopened in [path("socket"), path("missing")] {
        let result = open_in_time(&unopened);
        assert!(matches!(result, Err(SourceError::Open(_))), "{}: {result:?}", unopened.display());
    }
    fs::write(path("file"), b"image").unwrap();
    std::os::unix::fs::symlink(path("file"), path("link to file")).unwrap();
    assert_eq!(open_in_time(&path("link to file")).unwrap().known_len(), Some(5));
}

#[test]
fn a_stream_that_fails_is_told_and_publishes_nothing() {
    struct Broken(io::Take<io::Repeat>);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::other("the other end is gone")),
                read => Ok(read),
            }
        }
    }
    let store = Store::new();
    for (len, expected) in [(0, 0), (10, 0), (BLOCK + 10, BLOCK), (5 * BLOCK, 5 * BLOCK)] {
        let source = Source::stream(Broken(io::repeat(9).take(len as u64)));
        match store.try_make(source, &image()) {
            Err(MakeError::Source(SourceError::Read { at, error })) => {
                assert_eq!(at, expected as u64);
                assert_eq!(error.to_string(), "the other end is gone");
            }
            other => panic!("{other:?}"),
        }
        assert!(store.indexes().is_empty());
        store.assert_whole();
    }
}

/// Gives up after so many bytes.
struct Patience(u64, std::sync::atomic::AtomicU64);

impl Observer for Patience {
    fn progress(&self, done: u64, _: Option<u64>) {
        self.1.store(done, std::sync::atomic::Ordering::SeqCst);
    }

    fn is_cancelled(&self) -> bool {
        self.1.load(std::sync::atomic::Ordering::SeqCst) > self.0
    }
}

#[test]
fn a_publisher_that_was_stopped_publishes_nothing_and_can_go_on() {
    let store = Store::new();
    let bytes = random(1, 6 * BLOCK);
    let mut publisher = store.publisher();
    for patience in [0, 2 * BLOCK as u64, 5 * BLOCK as u64] {
        let result = publisher.make(stream(&bytes), &image(), &Patience(patience, 0.into()));
        assert!(matches!(result, Err(MakeError::Cancelled)), "{result:?}");
        assert!(store.indexes().is_empty());
        store.assert_whole();
    }
    let report = publisher.make(stream(&bytes), &image(), &()).unwrap();
    assert_eq!(report.outcome, Outcome::Published);
    store.assert_holds("image.cidx", &bytes);
    store.assert_whole();
}
