//! The way by a patch, and what becomes of an image where it leads nowhere.

use std::path::PathBuf;

use chunk_extract::{Destination, Existing, Job, Options, Report, State, Version};
use chunk_fetch::CachedSource;
use chunk_index::Index;
use tempfile::TempDir;

use crate::counting::Counting;
use crate::images::noise;
use crate::store::Store;
use crate::tries::{Stream, assert_is, job, run, seed};

const M: usize = 1 << 20;

/// A store with two versions, the first of which is on the device, too.
struct Pair {
    store: Store,
    old: Vec<u8>,
    new: Vec<u8>,
    index: Index<Vec<u8>>,
    device: TempDir,
}

impl Pair {
    /// Every third page of a part of the second version has one byte changed, and something was inserted.
    fn new() -> Self {
        let mut old = noise(1, 4 * M + 12_345);
        old[M..2 * M].fill(0);
        let mut new = old.clone();
        new[2 * M..3 * M].iter_mut().step_by(3 * 4096).for_each(|byte| *byte ^= 1);
        new.splice(3 * M + 777..3 * M + 777, noise(2, 10_000));
        let store = Store::new();
        store.make("image", &old);
        let index = store.make_patched("image", &new);
        assert_eq!(index.locator().ways().patches().len(), 1);
        let device = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(device.path().join("old"), &old).expect("written");
        Self { store, old, new, index, device }
    }

    fn old_path(&self) -> PathBuf {
        self.device.path().join("old")
    }

    fn target(&self) -> PathBuf {
        self.device.path().join("new")
    }

    /// The one patch in the store.
    fn patch(&self) -> PathBuf {
        let mut patches = std::fs::read_dir(self.store.path().join("patches")).expect("there are patches");
        patches.next().expect("one").expect("readable").path()
    }

    fn job<'a>(&self, source: &'a Counting) -> Job<'a> {
        let job = job(source, "image.cidx", &self.target(), Existing::Keep);
        Job { seeds: vec![seed(&self.old_path(), None)], ..job }
    }

    /// Runs the job with a seed that is the old version, by whatever way.
    fn run(&self) -> Report {
        let source = self.store.source();
        let report = run(&source, self.job(&source));
        assert_is(&self.target(), &self.new);
        report
    }
}

#[test]
fn a_device_with_the_old_version_fetches_head_and_patch() {
    let pair = Pair::new();
    let report = pair.run();
    let patch = std::fs::metadata(pair.patch()).expect("there").len();
    assert_eq!(report.totals.download, patch);
    assert_eq!(report.totals.patch, patch);
    assert!(report.totals.patched > 0);
    assert_eq!((report.late, report.index.requests), (0, 1));
    std::fs::remove_file(pair.target()).expect("removed");
    let source = pair.store.source();
    let options = Options { patches: false, ..Options::default() };
    let frames = run(&source, Job { options, ..pair.job(&source) }).totals.download;
    assert!(10 * patch < frames, "{patch} bytes of patch, {frames} of frames");
}

#[test]
fn a_plan_tells_what_the_patch_costs_and_touches_nothing() {
    let pair = Pair::new();
    let source = pair.store.source();
    let planned = pair.job(&source).plan().expect("a plan");
    assert!(!pair.target().exists());
    assert_eq!(planned.totals, pair.run().totals);
}

#[test]
fn an_image_goes_down_a_pipe_by_a_patch() {
    let pair = Pair::new();
    let (source, stream) = (pair.store.source(), Stream::default());
    let destination = Destination::Stream(Box::new(stream.clone()));
    let report = run(&source, Job { destination, ..pair.job(&source) });
    assert!(stream.bytes() == pair.new);
    assert!(report.totals.patched > 0);
}

#[test]
fn a_whole_index_is_as_good_as_its_head() {
    let pair = Pair::new();
    let source = pair.store.source();
    let state = State::open(&pair.device.path().join("state")).expect("made");
    let version = Version::Index(pair.index.clone());
    let report = run(&source, Job { version, state: Some(state.clone()), ..pair.job(&source) });
    assert_is(&pair.target(), &pair.new);
    assert!(report.totals.patched > 0);
    assert!(state.lists(&pair.target()).is_some(), "what the target holds is remembered");
}

#[test]
fn what_the_target_holds_already_is_not_patched_again() {
    let pair = Pair::new();
    let mut part = pair.new.clone();
    part[2 * M + 17] ^= 1;
    let path = pair.target();
    std::fs::write(&path, &part).expect("written");
    let source = pair.store.source();
    let existing = Destination::Path { path: path.clone(), existing: Existing::Update };
    let report = run(&source, Job { destination: existing, ..pair.job(&source) });
    assert_is(&path, &pair.new);
    assert_eq!(report.totals.write, M as u64);
    assert_eq!(report.written, 4096);
}

#[test]
fn another_seed_or_no_wish_for_patches_leads_to_frames() {
    let pair = Pair::new();
    let mut other = pair.old.clone();
    other[5] ^= 1;
    std::fs::write(pair.old_path(), &other).expect("written");
    assert_eq!(pair.run().totals.patch, 0);
    std::fs::remove_file(pair.target()).expect("removed");
    std::fs::write(pair.old_path(), &pair.old).expect("written");
    let source = pair.store.source();
    let options = Options { patches: false, ..Options::default() };
    assert_eq!(run(&source, Job { options, ..pair.job(&source) }).totals.patch, 0);
    assert_is(&pair.target(), &pair.new);
}

#[test]
fn a_patch_that_is_missing_costs_no_more_than_frames() {
    let pair = Pair::new();
    std::fs::remove_file(pair.patch()).expect("removed");
    let report = pair.run();
    assert_eq!((report.totals.patch, report.late), (0, 0));
}

#[test]
fn a_damaged_patch_never_makes_a_wrong_image() {
    let pair = Pair::new();
    let right = std::fs::read(pair.patch()).expect("there");
    let mut numbers = crate::images::Numbers::new();
    for _ in 0..40 {
        let mut wrong = right.clone();
        let at = numbers.below(wrong.len());
        wrong[at] ^= 1 << numbers.below(8);
        std::fs::write(pair.patch(), &wrong).expect("written");
        pair.run();
        let (source, stream) = (pair.store.source(), Stream::default());
        let destination = Destination::Stream(Box::new(stream.clone()));
        run(&source, Job { destination, ..pair.job(&source) });
        assert!(stream.bytes() == pair.new, "byte {at} of the patch");
        std::fs::remove_file(pair.target()).expect("removed");
    }
}

#[test]
fn a_patch_that_is_cut_short_leads_to_frames() {
    let pair = Pair::new();
    let right = std::fs::read(pair.patch()).expect("there");
    for len in [1, 119, right.len() / 2, right.len() - 1] {
        std::fs::write(pair.patch(), &right[..len]).expect("written");
        assert_eq!(pair.run().totals.patch, 0, "{len} bytes");
        std::fs::remove_file(pair.target()).expect("removed");
    }
}

#[test]
fn more_than_is_allowed_is_not_fetched_by_patches_either() {
    let pair = Pair::new();
    let source = pair.store.source();
    let options = Options { max_download: Some(100), ..Options::default() };
    let failed = Job { options, ..pair.job(&source) }.run();
    assert!(matches!(failed, Err(chunk_extract::ExtractError::TooMuch { allowed: 100, .. })), "{failed:?}");
    assert!(!pair.target().exists());
}

#[test]
fn a_base_that_changes_after_the_plan_never_makes_a_wrong_image() {
    let mut numbers = crate::images::Numbers::new();
    println!("{}", numbers.how_to_repeat());
    for _ in 0..20 {
        let pair = Pair::new();
        let mut other = pair.old.clone();
        let (at, len) = (numbers.below(other.len()), 1 + numbers.below(2 * M));
        let end = other.len().min(at + len);
        other[at..end].fill(0x5a);
        let is_cut = numbers.one_in(3);
        let watching = crate::watching::Watching::at_the_plan(|| {
            if is_cut {
                std::fs::File::options()
                    .write(true)
                    .open(pair.old_path())
                    .expect("a file")
                    .set_len(at as u64)
                    .expect("cut");
            } else {
                std::fs::write(pair.old_path(), &other).expect("written");
            }
        });
        let source = pair.store.source();
        run(&source, Job { observer: &watching, ..pair.job(&source) });
        assert_is(&pair.target(), &pair.new);
    }
}

#[test]
fn what_a_cache_keeps_is_not_counted_as_download() {
    let pair = Pair::new();
    for patches in [true, false] {
        let cache = tempfile::tempdir().expect("a temporary directory");
        let inner = pair.store.source();
        let source =
            CachedSource::new(&inner, cache.path(), 1 << 30).map_err(|(error, _)| error).expect("a cache");
        let job = |max_download| {
            let options = Options { patches, max_download, ..Options::default() };
            Job { source: &source, options, ..pair.job(&inner) }
        };
        let pulled = job(None).pull().expect("there");
        assert_eq!((pulled.totals.cached, pulled.totals.received()), (0, pulled.totals.download));
        let planned = job(None).plan().expect("a plan");
        assert_eq!((planned.totals.cached, planned.totals.received()), (pulled.totals.download, 0));
        let (before, allowed) = (inner.bytes(), planned.index.bytes);
        job(Some(allowed)).run().expect("no more than the index comes");
        assert_eq!(inner.bytes() - before, allowed, "with patches: {patches}");
        assert_is(&pair.target(), &pair.new);
        std::fs::remove_file(pair.target()).expect("removed");
    }
}
