//! Seeds that are nearly a known image: a slot that was mounted, and what a patch starts from.

use std::fs;
use std::path::PathBuf;

use chunk_extract::{Existing, Job, KnownImage, Options, Report, SeedPart, State};
use tempfile::TempDir;

use crate::counting::Counting;
use crate::images::{Numbers, noise};
use crate::store::Store;
use crate::tries::{assert_is, job, run, seed};

const M: usize = 1 << 20;

/// Three releases with patches, and a device with two slots and a state directory.
struct Slots {
    store: Store,
    images: [Vec<u8>; 3],
    device: TempDir,
}

impl Slots {
    /// Each release changes a byte of every second page of a part, and inserts something.
    fn new() -> Self {
        let mut image = noise(1, 16 * M + 4321);
        image[M..M + M / 2].fill(0);
        let store = Store::new();
        let images = [1, 2, 3].map(|release| {
            store.make_patched("image", &image);
            let made = image.clone();
            image[4 * M..7 * M].iter_mut().skip(release * 7).step_by(8192).for_each(|byte| *byte ^= 1);
            image.splice(9 * M..9 * M, noise(10 + release as u64, 5000));
            made
        });
        let slots = Self { store, images, device: tempfile::tempdir().expect("a temporary directory") };
        slots.install(1);
        slots
    }

    fn slot(&self, name: &str) -> PathBuf {
        self.device.path().join(name)
    }

    fn state(&self) -> State {
        State::open(&self.device.path().join("state")).expect("made")
    }

    /// A first installation into slot A, with nothing to start from.
    fn install(&self, release: usize) {
        let source = self.store.source();
        let job = job(&source, &*format!("image@{release}.cidx"), &self.slot("a"), Existing::Replace);
        run(&source, Job { state: Some(self.state()), ..job });
    }

    /// What mounting does to a slot: a few bytes here and there.
    fn mount(&self, slot: &str, places: &[usize]) {
        let mut held = fs::read(self.slot(slot)).expect("there");
        for place in places {
            held[*place] ^= 0x55;
        }
        fs::write(self.slot(slot), held).expect("written");
    }

    fn seed(&self, slot: &str) -> SeedPart {
        let path = self.slot(slot);
        let state = self.state();
        SeedPart { image: state.image(&path), ..seed(&path, state.lists(&path)) }
    }

    fn job<'a>(&self, source: &'a Counting, release: usize, from: &str, to: &str) -> Job<'a> {
        let job = job(source, &*format!("image@{release}.cidx"), &self.slot(to), Existing::Replace);
        Job { seeds: vec![self.seed(from)], state: Some(self.state()), ..job }
    }

    /// Updates slot `to` to `release` from slot `from`.
    fn update(&self, release: usize, from: &str, to: &str) -> Report {
        let source = self.store.source();
        let report = run(&source, self.job(&source, release, from, to));
        assert_is(&self.slot(to), &self.images[release - 1]);
        report
    }

    /// Updates a slot of which nothing is known.
    fn update_anew(&self) {
        let source = self.store.source();
        let job = Job { state: None, ..self.job(&source, 2, "a", "new") };
        job.run().expect("frames are there");
        assert_is(&self.slot("new"), &self.images[1]);
        fs::remove_file(self.slot("new")).expect("removed");
    }

    /// What the same costs without patches.
    fn by_frames(&self, release: usize, from: &str) -> u64 {
        let source = self.store.source();
        let options = Options { patches: false, ..Options::default() };
        let planned =
            Job { options, ..self.job(&source, release, from, "elsewhere") }.plan().expect("a plan");
        planned.totals.download
    }

    fn objects(&self, folder: &str) -> Vec<PathBuf> {
        let objects = fs::read_dir(self.store.path().join(folder)).expect("a directory");
        objects.map(|object| object.expect("readable").path()).filter(|path| path.is_file()).collect()
    }
}

/// A superblock, something in the middle of what the next release changes, and something that nobody needs.
const PLACES: [usize; 3] = [1080, 5 * M + 100, 12 * M];

#[test]
fn a_slot_that_was_mounted_is_mended_by_a_few_frames_and_then_patched() {
    let slots = Slots::new();
    slots.mount("a", &PLACES);
    let frames = slots.by_frames(2, "a");
    let source = slots.store.source();
    let planned = slots.job(&source, 2, "a", "b").plan().expect("a plan");
    let report = slots.update(2, "a", "b");
    assert_eq!(planned.totals, report.totals);
    assert_eq!((report.totals.patches, report.late), (1, 0));
    assert!(report.totals.mend > 0 && report.totals.patch > 0, "{:?}", report.totals);
    assert!(4 * report.totals.download < frames, "{:?}, {frames} by frames", report.totals);
}

#[test]
fn what_a_patch_has_made_is_remembered_and_mended_as_well() {
    let slots = Slots::new();
    let first = slots.update(2, "a", "b");
    assert_eq!((first.totals.patches, first.totals.mend), (1, 0));
    assert!(slots.state().lists(&slots.slot("b")).is_none(), "the lists were never fetched");
    slots.mount("b", &PLACES);
    let second = slots.update(3, "b", "c");
    assert_eq!((second.totals.patches, second.late), (1, 0));
    assert!(second.totals.mend > 0, "{:?}", second.totals);
}

#[test]
fn of_several_seeds_that_patches_start_from_the_nearest_is_taken() {
    let slots = Slots::new();
    fs::write(slots.slot("old"), &slots.images[0]).expect("written");
    fs::write(slots.slot("newer"), &slots.images[1]).expect("written");
    let source = slots.store.source();
    let seeds = ["old", "newer"].map(|slot| slots.seed(slot));
    let report = run(&source, Job { seeds: seeds.into(), ..slots.job(&source, 3, "old", "b") });
    assert_eq!((report.totals.patches, &report.totals.seeds[..1]), (1, &[0][..]));
}

#[test]
fn an_index_beside_a_seed_tells_what_it_was() {
    let slots = Slots::new();
    slots.mount("a", &PLACES);
    let source = slots.store.source();
    let image = KnownImage::of_index_at(&slots.store.path().join("image@1.cidx"));
    let part = SeedPart { image, ..seed(&slots.slot("a"), None) };
    let report = run(&source, Job { seeds: vec![part], state: None, ..slots.job(&source, 2, "a", "b") });
    assert_is(&slots.slot("b"), &slots.images[1]);
    assert!(report.totals.mend > 0 && report.totals.patches == 1, "{:?}", report.totals);
}

#[test]
fn blocks_that_no_patch_needs_are_left_as_they_are() {
    let slots = Slots::new();
    slots.install(2);
    // The target has all blocks from here on that patches would copy from there.
    fs::write(slots.slot("b"), &slots.images[2]).expect("written");
    slots.mount("b", &[4 * M + 5]);
    slots.mount("a", &[14 * M + 5]);
    let source = slots.store.source();
    let job = job(&source, "image@3.cidx", &slots.slot("b"), Existing::Update);
    let report = run(&source, Job { seeds: vec![slots.seed("a")], state: Some(slots.state()), ..job });
    assert_is(&slots.slot("b"), &slots.images[2]);
    assert_eq!((report.totals.patches, report.totals.mend), (1, 0), "{:?}", report.totals);
}

#[test]
fn a_single_partition_that_was_mounted_is_mended_and_patched_where_it_lies() {
    let slots = Slots::new();
    slots.mount("a", &PLACES);
    let frames = slots.by_frames(2, "a");
    let source = slots.store.source();
    let job = job(&source, "image@2.cidx", &slots.slot("a"), Existing::Update);
    let report = run(&source, Job { state: Some(slots.state()), ..job });
    assert_is(&slots.slot("a"), &slots.images[1]);
    assert!(report.totals.mend > 0 && report.totals.patches == 1, "{:?}", report.totals);
    assert!(2 * report.totals.download < frames, "{:?}, {frames} by frames", report.totals);
    // And again, from what that has left.
    slots.mount("a", &PLACES);
    let again = crate::tries::job(&source, "image@3.cidx", &slots.slot("a"), Existing::Update);
    let report = run(&source, Job { state: Some(slots.state()), ..again });
    assert_is(&slots.slot("a"), &slots.images[2]);
    assert!(report.totals.mend > 0 && report.totals.patches == 1, "{:?}", report.totals);
}

#[test]
fn what_mends_can_be_pulled_ahead() {
    let slots = Slots::new();
    slots.mount("a", &PLACES);
    let source = slots.store.source();
    let pulled = slots.job(&source, 2, "a", "b").pull().expect("pulled");
    assert!(pulled.totals.mend > 0);
    assert_eq!(pulled.totals.download + pulled.index.bytes, source.bytes());
}

#[test]
fn whatever_was_remembered_falsely_or_is_gone_from_the_store_costs_no_more_than_download() {
    let slots = Slots::new();
    let mut numbers = Numbers::new();
    println!("{}", numbers.how_to_repeat());
    slots.mount("a", &PLACES);
    let remembered: Vec<PathBuf> = fs::read_dir(slots.device.path().join("state"))
        .expect("a directory")
        .map(|entry| entry.expect("readable").path())
        .collect();
    assert_eq!(remembered.len(), 2, "the chunks and the image: {remembered:?}");
    let indexes: Vec<PathBuf> = vec![slots.store.path().join("image@1.cidx")];
    for path in remembered.iter().chain(&indexes).chain(&slots.objects("patches")) {
        let right = fs::read(path).expect("there");
        for _ in 0..6 {
            let mut wrong = right.clone();
            let at = numbers.below(wrong.len());
            wrong[at] ^= 1 << numbers.below(8);
            wrong.truncate(if numbers.below(3) == 0 { numbers.below(right.len()) } else { right.len() });
            fs::write(path, &wrong).expect("written");
            slots.update_anew();
        }
        fs::remove_file(path).expect("removed");
        slots.update_anew();
        fs::write(path, &right).expect("written");
    }
}
