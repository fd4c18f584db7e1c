//! Patches of a target from its own old bytes, which the image overwrites.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use chunk_extract::{Destination, Existing, ExtractError, Job, Limits, Options, Report, State};
use chunk_fetch::{FetchError, FetchErrorKind, Source, Trouble};
use chunk_testing::{Disk, LoopDevice};
use tempfile::TempDir;

use crate::counting::Counting;
use crate::images::noise;
use crate::store::Store;
use crate::tries::{assert_is, job, run, run_when_free};
use crate::watching::Watching;

const M: usize = 1 << 20;

/// Three releases after one that has nothing of theirs, and a file that is the first of them. The third has no patch
/// from the first.
struct Own {
    store: Store,
    images: [Vec<u8>; 3],
    device: TempDir,
}

impl Own {
    /// Each release inserts something near the start, and changes part of what moves by that all over.
    fn new() -> Self {
        let mut image = noise(1, 6 * M);
        let store = Store::new();
        store.make("image", b"earlier");
        let images = [1, 2, 3].map(|release| {
            store.make_patched("image", &image);
            let made = image.clone();
            image.splice(M / 2..M / 2, noise(10 + release, 70_000));
            image[2 * M..4 * M].iter_mut().skip(17).step_by(600).for_each(|byte| *byte ^= 1);
            made
        });
        let own = Self { store, images, device: tempfile::tempdir().expect("a temporary directory") };
        fs::write(own.target(), &own.images[0]).expect("written");
        own
    }

    fn target(&self) -> PathBuf {
        self.device.path().join("image")
    }

    fn state(&self) -> PathBuf {
        self.device.path().join("state")
    }

    fn state_names(&self) -> Vec<String> {
        let names = fs::read_dir(self.state()).expect("a directory");
        names.map(|name| name.expect("readable").file_name().into_string().expect("plain")).collect()
    }

    fn job<'a>(&self, source: &'a Counting, release: usize, target: &Path) -> Job<'a> {
        let job = job(source, &*format!("image@{}.cidx", release + 1), target, Existing::Update);
        let state = State::open(&self.state()).expect("made");
        Job { state: Some(state), ..job }
    }

    fn run(&self, release: usize) -> Report {
        let source = self.store.source();
        let report = run(&source, self.job(&source, release, &self.target()));
        assert_is(&self.target(), &self.images[release - 1]);
        report
    }

    fn patches(&self) -> Vec<PathBuf> {
        let patches = fs::read_dir(self.store.path().join("patches")).expect("there are patches");
        patches.map(|patch| patch.expect("readable").path()).collect()
    }
}

#[test]
fn a_file_is_patched_where_it_lies_for_much_less_than_frames() {
    let own = Own::new();
    let source = own.store.source();
    let planned = own.job(&source, 2, &own.target()).plan().expect("a plan");
    assert_is(&own.target(), &own.images[0]);
    let report = own.run(2);
    assert_eq!(planned.totals, report.totals);
    assert_eq!((report.totals.patches, report.late), (1, 0));
    assert!(report.totals.patched > 2 * M as u64, "{:?}", report.totals);
    assert!(own.state_names().iter().all(|name| !name.contains("staged")), "{:?}", own.state_names());
    fs::write(own.target(), &own.images[0]).expect("written");
    let source = own.store.source();
    let options = Options { patches: false, ..Options::default() };
    let frames = run(&source, Job { options, ..own.job(&source, 2, &own.target()) }).totals.download;
    assert!(10 * report.totals.download < frames, "{} and {frames}", report.totals.download);
}

#[test]
fn several_patches_are_gone_through_in_place_too() {
    let own = Own::new();
    let report = own.run(3);
    assert_eq!((report.totals.patches, report.late), (2, 0));
}

#[test]
fn a_device_that_is_longer_than_its_image_is_patched_where_it_lies() {
    let own = Own::new();
    fs::write(own.device.path().join("disk"), [&own.images[0][..], &vec![0xff; 2 * M]].concat())
        .expect("written");
    let Some(device) = LoopDevice::attach(&own.device.path().join("disk")) else { return };
    let source = own.store.source();
    let report = run_when_free(&source, || own.job(&source, 2, device.path()));
    assert_eq!(report.totals.patches, 1);
    let held = fs::read(device.path()).expect("a device");
    assert!(held[..own.images[1].len()] == own.images[1]);
}

#[test]
fn what_was_put_aside_is_found_again_after_the_run_was_cut_short() {
    let own = Own::new();
    for stop in [0, 1, 3] {
        fs::write(own.target(), &own.images[0]).expect("written");
        let source = own.store.source();
        let watching = Watching::stopping_at((stop * M) as u64);
        let cut = Job { observer: &watching, ..own.job(&source, 2, &own.target()) };
        cut.run().expect_err("it was stopped");
        assert!(own.state_names().iter().any(|name| name.ends_with(".staged")), "{:?}", own.state_names());
        let again = own.run(2);
        // No more than the chunks at the edges of what was written.
        assert!(again.totals.missing < 16_000, "{:?}", again.totals);
        assert!(own.state_names().iter().all(|name| !name.contains("staged")), "{:?}", own.state_names());
    }
}

#[test]
fn a_file_that_was_only_made_as_long_as_the_image_is_still_patched() {
    let own = Own::new();
    assert!(own.images[1].len() > own.images[0].len());
    let file = fs::File::options().write(true).open(own.target()).expect("a file");
    file.set_len(own.images[1].len() as u64).expect("longer");
    let report = own.run(2);
    assert_eq!((report.totals.patches, report.late), (1, 0));
    assert_eq!(report.totals.missing, 0, "{:?}", report.totals);
}

/// A store that is out of reach after so many bytes of patches.
struct Lost {
    inner: Counting,
    left: AtomicU64,
}

impl Source for Lost {
    fn read(&self, object: &str, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), FetchError> {
        let len = range.end - range.start;
        let take = |left: u64| left.checked_sub(len);
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_err() {
            self.left.store(0, Ordering::SeqCst);
            let gone = io::Error::from_raw_os_error(101);
            let kind = FetchErrorKind::Network(Trouble::Connect(gone));
            return Err(FetchError { location: object.to_owned(), range, kind });
        }
        self.inner.read(object, range, buffer)
    }

    fn open(&self, object: &str, at_most: u64, buffer: &mut Vec<u8>) -> Result<u64, FetchError> {
        self.inner.open(object, at_most, buffer)
    }
}

#[test]
fn what_was_fetched_of_a_patch_is_not_fetched_again_after_the_store_was_out_of_reach() {
    let own = Own::new();
    let limits = Limits { longest: 1 << 10, ..Limits::default() };
    let options = || Options { limits: limits.clone(), connections: 2, ..Options::default() };
    let source = own.store.source();
    let clean = run(&source, Job { options: options(), ..own.job(&source, 3, &own.target()) });
    let (clean_bytes, heads) = (source.bytes(), clean.totals.patches * (16 << 10));
    assert!(clean.totals.patch > heads / 2 + 20_000, "{:?}", clean.totals);
    for part in [0, 1, 2, 3] {
        fs::write(own.target(), &own.images[0]).expect("written");
        let left = AtomicU64::new(clean_bytes * part / 4);
        let lost = Lost { inner: own.store.source(), left };
        let failed =
            Job { source: &lost, options: options(), ..own.job(&lost.inner, 3, &own.target()) }.run();
        assert!(matches!(failed, Err(ExtractError::Store(_) | ExtractError::Index(_))), "{failed:?}");
        let held = fs::read(own.target()).expect("a file");
        assert!(held.starts_with(&own.images[0]), "nothing but its length may have changed, part {part}");
        let again = own.store.source();
        Job { options: options(), ..own.job(&again, 3, &own.target()) }.run().expect("it is there again");
        assert_is(&own.target(), &own.images[2]);
        let all = lost.inner.bytes() + again.bytes();
        let index = clean.index.bytes;
        assert!(
            all <= clean_bytes + heads + index,
            "{all} bytes in two runs, {clean_bytes} in one, part {part}"
        );
        assert!(own.state_names().iter().all(|name| !name.ends_with("fetched")), "{:?}", own.state_names());
    }
}

#[test]
fn without_a_state_directory_it_works_as_well() {
    let own = Own::new();
    let source = own.store.source();
    let job = Job { state: None, ..own.job(&source, 2, &own.target()) };
    let report = run(&source, job);
    assert_is(&own.target(), &own.images[1]);
    assert_eq!(report.totals.patches, 1);
    let left = fs::read_dir(own.device.path()).expect("a directory").count();
    assert_eq!(left, 2, "the target and the unused state directory");
}

#[test]
fn patches_that_are_missing_or_lie_lead_to_frames_and_to_the_image() {
    let own = Own::new();
    let mut numbers = crate::images::Numbers::new();
    println!("{}", numbers.how_to_repeat());
    for patch in own.patches() {
        let right = fs::read(&patch).expect("there");
        for _ in 0..8 {
            let mut wrong = right.clone();
            let at = numbers.below(wrong.len());
            wrong[at] ^= 1 << numbers.below(8);
            fs::write(&patch, &wrong).expect("written");
            fs::write(own.target(), &own.images[0]).expect("written");
            own.run(3);
        }
        fs::remove_file(&patch).expect("removed");
        fs::write(own.target(), &own.images[0]).expect("written");
        own.run(3);
        fs::write(&patch, &right).expect("written");
    }
}

#[test]
fn an_image_and_its_state_can_be_pulled_ahead() {
    let own = Own::new();
    let source = own.store.source();
    let destination = Destination::Path { path: own.target(), existing: Existing::Update };
    let pulled = Job { destination, ..own.job(&source, 2, &own.target()) }.pull().expect("pulled");
    assert_eq!(pulled.totals.download + pulled.index.bytes, source.bytes());
    assert_eq!(pulled.totals.patches, 1);
    assert_is(&own.target(), &own.images[0]);
}

#[test]
fn no_more_is_downloaded_than_is_allowed_where_a_patch_fails_in_place() {
    let own = Own::new();
    let source = own.store.source();
    let planned = own.job(&source, 2, &own.target()).plan().expect("a plan");
    let allowed = planned.totals.download + planned.index.bytes + 100;
    for patch in own.patches() {
        let mut wrong = fs::read(&patch).expect("there");
        let end = wrong.len() - 20;
        wrong[end - 2000..end].fill(0x5a);
        fs::write(&patch, &wrong).expect("written");
    }
    let source = own.store.source();
    let options = Options { max_download: Some(allowed), ..Options::default() };
    let failed = Job { options, ..own.job(&source, 2, &own.target()) }.run();
    assert!(matches!(failed, Err(ExtractError::TooMuch { .. })), "{failed:?}");
    assert!(source.bytes() <= allowed, "{} of {allowed}", source.bytes());
}

#[test]
fn what_is_put_aside_leaves_no_room_for_bytes_that_are_only_written_over() {
    let Some(disk) = Disk::new(24 << 20) else { return };
    let own = Own::new();
    let source = own.store.source();
    let scratch = own.job(&source, 2, &own.target()).plan().expect("a plan").totals.scratch;
    let (target, state) = (disk.root().join("image"), disk.root().join("state"));
    fs::write(&target, &own.images[0]).expect("written");
    let there = rustix::fs::statvfs(disk.root()).expect("a file system");
    let filler = there.f_bavail * there.f_frsize - scratch - (1 << 20);
    fs::write(disk.root().join("filler"), noise(5, usize::try_from(filler).expect("small")))
        .expect("written");
    let source = own.store.source();
    let state = Some(State::open(&state).expect("made"));
    let report = run(&source, Job { state, ..own.job(&source, 2, &target) });
    assert!(report.totals.write > 4 << 20, "{report:?}");
    assert!(report.totals.patched > 0 && report.totals.scratch == scratch, "{report:?}");
    assert_is(&target, &own.images[1]);
}
