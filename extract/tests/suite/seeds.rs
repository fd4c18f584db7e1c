//! Seeds that are not what they seem.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use chunk_extract::{Existing, ExtractError, Job, Options, Seed, SeedPart, Window};
use chunk_testing::{BadDisk, BadSector};
use tempfile::TempDir;

use crate::images::{blocks, noise};
use crate::store::Store;
use crate::tries::{assert_is, job, run, seed};
use crate::watching::Watching;

/// A store with the image `new`, and a directory for seed and target.
struct Scene {
    store: Store,
    new: Vec<u8>,
    directory: TempDir,
}

impl Scene {
    fn new(image: Vec<u8>) -> Self {
        let store = Store::new();
        store.make("new", &image);
        Self { store, new: image, directory: tempfile::tempdir().expect("a temporary directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).expect("written");
        self.path(name)
    }

    /// Makes the image with `seed`; returns bytes that were planned with and those that were fetched late.
    fn extract(&self, seed: SeedPart, observer: &Watching<'_>) -> (u64, u64) {
        let source = self.store.source();
        let mut job = job(&source, self.store.index("new"), &self.path("target"), Existing::Keep);
        job.seeds = vec![seed];
        job.observer = observer;
        let report = run(&source, job);
        assert_is(&self.path("target"), &self.new);
        (report.totals.download, report.late)
    }
}

#[test]
fn a_seed_that_is_cut_off_after_the_plan_is_replaced_by_the_store() {
    let scene = Scene::new(blocks(0..3));
    let path = scene.write("seed", &scene.new);
    let observer = Watching::at_the_plan(|| {
        File::options().write(true).open(&path).expect("a file").set_len(1 << 20).expect("shorter");
    });
    let (download, late) = scene.extract(seed(&path, None), &observer);
    assert_eq!(download, 0, "it had everything");
    assert!((2 << 20..4 << 20).contains(&late), "what was cut off, and not much more: {late}");
}

#[test]
fn a_seed_that_is_overwritten_after_the_plan_costs_its_frames_once() {
    let scene = Scene::new(noise(1, 1 << 20));
    let path = scene.write("seed", &scene.new);
    let observer = Watching::at_the_plan(|| {
        let file = File::options().write(true).open(&path).expect("a file");
        file.write_all_at(&noise(2, 50_000), 300_000).expect("written");
    });
    let (download, late) = scene.extract(seed(&path, None), &observer);
    assert_eq!(download, 0, "it had everything");
    // Some 40 chunks, of two or three frames of 32 KiB.
    assert!((50_000..=5 * (32 << 10)).contains(&late), "{late}");
}

#[test]
fn an_index_that_is_right_saves_the_scan() {
    let scene = Scene::new(blocks(0..2));
    let path = scene.write("seed", &scene.new);
    let observer = Watching::default();
    assert_eq!(scene.extract(seed(&path, Some(scene.store.lists("new"))), &observer), (0, 0));
    assert_eq!(observer.scanned(), 0);
    assert_eq!(observer.notices(), [""; 0]);
}

#[test]
fn an_index_of_another_image_is_noticed_and_the_seed_is_scanned() {
    let scene = Scene::new(blocks(0..2));
    scene.store.make("other", &blocks(5..9));
    let path = scene.write("seed", &scene.new);
    let observer = Watching::default();
    assert_eq!(scene.extract(seed(&path, Some(scene.store.lists("other"))), &observer), (0, 0));
    assert_eq!(observer.scanned(), 2 << 20);
    let notices = observer.notices();
    assert!(notices.len() == 1 && notices[0].starts_with("Stale"), "{notices:?}");
}

#[test]
fn an_index_that_is_wrong_about_a_part_has_the_seed_scanned() {
    let scene = Scene::new(noise(1, 1 << 20));
    let mut bytes = scene.new.clone();
    bytes[500_000..540_000].copy_from_slice(&noise(2, 40_000));
    let path = scene.write("seed", &bytes);
    let observer = Watching::default();
    let (download, late) = scene.extract(seed(&path, Some(scene.store.lists("new"))), &observer);
    assert_eq!(late, 0, "the plan knows of it");
    assert!((40_000..=5 * (32 << 10)).contains(&download), "{download}");
    let notices = observer.notices();
    assert!(notices.len() == 1 && notices[0].starts_with("Stale"), "{notices:?}");
}

#[test]
fn a_part_of_a_file_is_a_seed_like_a_file() {
    let scene = Scene::new(noise(1, 700_000));
    let path = scene.write("seed", &[noise(2, 12_345), scene.new.clone(), noise(3, 100)].concat());
    let window = Window::open(&path, Some(12_345..712_345)).expect("a file");
    let part =
        SeedPart { lists: Some(scene.store.lists("new")), ..Seed::window("part".into(), window).into() };
    let observer = Watching::default();
    assert_eq!(scene.extract(part, &observer), (0, 0));
    assert_eq!(observer.scanned(), 0, "its index fits from its first byte on");
}

#[test]
fn a_bad_sector_of_a_seed_costs_the_chunks_around_it() {
    let scene = Scene::new(blocks(0..4));
    let file = scene.write("device", &scene.new);
    let bad = (2 << 20) + 123 * 4096;
    let Some(disk) = BadDisk::start(&file, BadSector::Read(bad)) else { return };
    for lists in [None, Some(scene.store.lists("new"))] {
        let is_scanned = lists.is_none();
        let _ = fs::remove_file(scene.path("target"));
        let observer = Watching::default();
        let (download, late) = scene.extract(seed(disk.path(), lists), &observer);
        // Chunks of 8 KiB at most, in frames of 32 KiB, and two of each to get into step again.
        assert!(
            download + late <= 6 * (32 << 10),
            "{download} and {late} bytes for one bad sector: {:?}",
            observer.notices()
        );
        assert!(download + late > 0, "the sector was bad");
        if is_scanned {
            let notices = observer.notices();
            assert!(notices.iter().any(|notice| notice.starts_with("Unreadable")), "{notices:?}");
            assert_eq!(late, 0, "the scan has told");
        }
    }
}

#[test]
fn no_more_is_downloaded_than_is_allowed_whatever_a_seed_turns_out_to_be() {
    let (old, new) = (noise(41, 6 << 20), noise(41, 6 << 20));
    let store = Store::new();
    store.make("new", &new);
    let lists = store.lists("new");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("seed");
    let mut wrong = old;
    // Few enough bytes that a sample of the chunks may be right.
    wrong.iter_mut().skip(500_000).step_by(1 << 20).for_each(|byte| *byte ^= 1);
    std::fs::write(&path, &wrong).expect("written");
    let source = store.source();
    let target = directory.path().join("target");
    let job = || Job {
        seeds: vec![seed(&path, Some(lists.clone()))],
        ..job(&source, "new.cidx", &target, Existing::Keep)
    };
    let planned = job().plan().expect("a plan");
    let allowed = planned.totals.download + planned.index.bytes;
    let (before, options) = (source.bytes(), Options { max_download: Some(allowed), ..Options::default() });
    let failed = Job { options, ..job() }.run();
    assert!(matches!(failed, Err(ExtractError::TooMuch { .. })), "{failed:?}");
    // Besides, where chunks lie that were to come from the seed is looked up in the index.
    assert!(source.bytes() - before <= allowed + (32 << 10), "{} of {allowed}", source.bytes() - before);
}
