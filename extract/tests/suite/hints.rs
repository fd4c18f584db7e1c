//! Seeds, and what is said of them, are hints: however wrong they are, they cost no more than to go without.

use std::fs;
use std::path::{Path, PathBuf};

use chunk_extract::{Existing, Job, Report, Seed, SeedPart, StoreSeed};
use chunk_fetch::DirectorySource;
use chunk_index::LeafList;
use tempfile::TempDir;

use crate::images::{Numbers, noise};
use crate::store::Store;
use crate::tries::{assert_is, job, run, seed};

const M: usize = 1 << 20;
/// A frame of these stores, as it is stored.
const FRAME: u64 = (32 << 10) + 100;
/// What a hint may cost in vain: a frame, and the part of the index around a map that nobody thought to need.
const IN_VAIN: u64 = FRAME + (64 << 10);

/// Two versions that have much in common, each also in a store on the device.
struct Scene {
    store: Store,
    local: Store,
    old: Vec<u8>,
    new: Vec<u8>,
    device: TempDir,
}

impl Scene {
    fn new(with_patches: bool) -> Self {
        let old = noise(1, 6 * M);
        let mut new = old.clone();
        new[M..2 * M].iter_mut().step_by(5000).for_each(|byte| *byte ^= 1);
        new[4 * M..4 * M + 300_000].copy_from_slice(&noise(2, 300_000));
        new.splice(5 * M..5 * M, noise(3, 5000));
        let (store, local) = (Store::new(), Store::new());
        store.make("image", &old);
        if with_patches {
            store.make_patched("image", &new);
        } else {
            store.make("image", &new);
        }
        local.make("old", &old);
        local.make("new", &new);
        Self { store, local, old, new, device: tempfile::tempdir().expect("a temporary directory") }
    }

    fn path(&self) -> PathBuf {
        self.device.path().join("seed")
    }

    /// A file of these bytes of which `lists` are said.
    fn file(&self, bytes: &[u8], lists: Vec<LeafList>) -> SeedPart {
        fs::write(self.path(), bytes).expect("written");
        seed(&self.path(), Some(lists))
    }

    /// Version `name` in the store on the device.
    fn local(&self, name: &str) -> SeedPart {
        let source = Box::new(DirectorySource::new(self.local.path()));
        Seed::store("local".into(), StoreSeed::new(self.local.index(name), source)).into()
    }

    /// The packs of the store on the device, in the order of their names.
    fn packs(&self) -> Vec<PathBuf> {
        let packs = fs::read_dir(self.local.path().join("packs")).expect("there are packs");
        let mut packs: Vec<_> = packs.map(|pack| pack.expect("readable").path()).collect();
        packs.sort();
        packs
    }

    /// Makes the new version with `seeds`; returns bytes and requests with the report.
    fn make(&self, by_name: bool, seeds: Vec<SeedPart>) -> (u64, u64, Report) {
        let (source, target) = (self.store.source(), self.device.path().join("target"));
        let plain = if by_name {
            job(&source, "image.cidx", &target, Existing::Keep)
        } else {
            job(&source, self.store.index("image"), &target, Existing::Keep)
        };
        let report = run(&source, Job { seeds, ..plain });
        assert_is(&target, &self.new);
        fs::remove_file(target).expect("it was made");
        (source.bytes(), source.requests(), report)
    }

    /// Fails the test if `seed` costs more than to go without.
    #[track_caller]
    fn costs_no_more(&self, what: &str, make_seed: &mut dyn FnMut() -> SeedPart) {
        for by_name in [false, true] {
            let (bytes, requests, _) = self.make(by_name, Vec::new());
            // Less may be fetched in more requests if it lies scattered, whoever has told of that.
            let (_, scattered, _) = self.make(by_name, vec![SeedPart { lists: None, ..make_seed() }]);
            let (with, with_requests, report) = self.make(by_name, vec![make_seed()]);
            let told = format!("{with} bytes in {with_requests} requests, without {bytes} in {requests}");
            assert!(with <= bytes + IN_VAIN, "{what}: {told}: {report:?}");
            let most = 2 * requests.max(scattered) + 8;
            assert!(with_requests <= most, "{what}: {told}, scanned {scattered}: {report:?}");
        }
    }
}

/// Flips about one byte in `rate`.
fn flipped(numbers: &mut Numbers, bytes: &[u8], rate: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    for _ in 0..(bytes.len() / rate).max(1) {
        let at = numbers.below(bytes.len());
        flipped[at] ^= 1 << numbers.below(8);
    }
    flipped
}

fn damage(numbers: &mut Numbers, pack: &Path) -> &'static str {
    let bytes = fs::read(pack).expect("a pack");
    match numbers.below(4) {
        0 => fs::remove_file(pack).map(|()| "a pack is missing"),
        1 => fs::write(pack, &bytes[..numbers.below(bytes.len())]).map(|()| "a pack is cut short"),
        2 => {
            let rate = numbers.one_of(&[1000, 50_000, 10_000_000]);
            fs::write(pack, flipped(numbers, &bytes, rate)).map(|()| "a pack has wrong bytes")
        }
        _ => fs::write(pack, vec![0; bytes.len()]).map(|()| "a pack is zeros"),
    }
    .expect("damaged")
}

#[test]
fn a_file_of_which_whatever_wrong_is_said_costs_no_more_than_to_go_without() {
    let scene = Scene::new(false);
    let mut numbers = Numbers::new();
    println!("{}", numbers.how_to_repeat());
    let lists = |name| scene.local.lists(name);
    for _ in 0..3 {
        scene.costs_no_more("an index of the other version", &mut || scene.file(&scene.old, lists("new")));
        scene.costs_no_more("noise", &mut || scene.file(&noise(9, scene.new.len()), lists("new")));
        let len = numbers.below(scene.new.len());
        scene.costs_no_more("a file that is cut short", &mut || scene.file(&scene.new[..len], lists("new")));
        let mut shuffled = lists("new");
        numbers.shuffle(&mut shuffled);
        scene.costs_no_more("a list in another order", &mut || scene.file(&scene.new, shuffled.clone()));
        for rate in [300, 10_000, 100_000, 500_000, 3_000_000] {
            let bytes = flipped(&mut numbers, &scene.new, rate);
            scene.costs_no_more(&format!("a wrong byte in {rate}"), &mut || scene.file(&bytes, lists("new")));
            let bytes = flipped(&mut numbers, &scene.old, rate);
            scene.costs_no_more(&format!("one in {rate} of the old"), &mut || {
                scene.file(&bytes, lists("old"))
            });
        }
    }
}

#[test]
fn a_store_on_the_device_that_is_damaged_however_costs_no_more_than_to_go_without() {
    let mut numbers = Numbers::new();
    println!("{}", numbers.how_to_repeat());
    for round in 0..10 {
        let scene = Scene::new(round % 2 == 1);
        let packs = scene.packs();
        for _ in 0..numbers.one_of(&[1, 2, packs.len()]) {
            let pack = &packs[numbers.below(packs.len())];
            let what = if pack.exists() { damage(&mut numbers, pack) } else { "a pack is missing" };
            for name in ["old", "new"] {
                scene.costs_no_more(&format!("round {round}, {what}"), &mut || scene.local(name));
            }
        }
    }
}

#[test]
fn of_a_store_on_the_device_that_lacks_a_pack_the_others_are_used() {
    let scene = Scene::new(false);
    let packs = scene.packs();
    assert!(packs.len() > 4);
    fs::remove_file(&packs[0]).expect("removed");
    let (_, _, report) = scene.make(false, vec![scene.local("new")]);
    assert_eq!(report.late, 0, "what is missing is found before the plan: {report:?}");
    assert!(report.totals.seeds[0] >= 4 * M as u64, "{report:?}");
}

#[test]
fn a_seed_that_is_wrong_all_over_after_the_plan_is_fetched_as_if_it_had_not_been_there() {
    let scene = Scene::new(false);
    let (bytes, requests, _) = scene.make(false, Vec::new());
    let wrong = flipped(&mut Numbers::new(), &scene.new, 2000);
    let seed = scene.file(&scene.new, scene.local.lists("new"));
    let observer =
        crate::watching::Watching::at_the_plan(|| fs::write(scene.path(), &wrong).expect("written"));
    let (source, target) = (scene.store.source(), scene.device.path().join("target"));
    let plain = job(&source, scene.store.index("image"), &target, Existing::Keep);
    let report = run(&source, Job { seeds: vec![seed], observer: &observer, ..plain });
    assert_is(&target, &scene.new);
    assert_eq!(report.totals.download, 0, "nothing was to be fetched");
    let told = format!("{} in {}, without {bytes} in {requests}", source.bytes(), source.requests());
    assert!(source.bytes() <= bytes + IN_VAIN, "{told}");
    assert!(source.requests() <= 4 * requests, "{told}");
    println!("{told}");
}
