//! What a device remembers, and what a run that was cut short has saved.

use std::fs;
use std::path::{Path, PathBuf};

use chunk_extract::{Existing, Report, State};
use tempfile::TempDir;

use crate::images::{blocks, noise};
use crate::store::Store;
use crate::tries::{assert_is, job, run};
use crate::watching::Watching;

struct Device {
    directory: TempDir,
}

impl Device {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    fn target(&self) -> PathBuf {
        self.directory.path().join("target")
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// What is in the state directory.
    fn remembered(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.state()).expect("a directory");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
        paths.sort();
        paths
    }

    fn journal(&self) -> PathBuf {
        let name = self.target().to_str().expect("ASCII").trim_start_matches('/').replace('/', "%2f");
        self.state().join(name + ".journal")
    }

    fn install(&self, store: &Store, name: &str, existing: Existing) -> (Report, Watching<'static>) {
        let watching = Watching::default();
        let source = store.source();
        let mut job = job(&source, store.index(name), &self.target(), existing);
        job.state = Some(State::open(&self.state()).expect("a directory"));
        job.observer = &watching;
        let report = run(&source, job);
        (report, watching)
    }
}

fn versions() -> (Store, Vec<u8>, Vec<u8>) {
    let store = Store::new();
    let old = blocks(0..4);
    let new = [&old[..1 << 20], &noise(50, 3000), &old[1 << 20..]].concat();
    store.make("old", &old);
    store.make("new", &new);
    (store, old, new)
}

#[test]
fn the_second_update_needs_no_scan() {
    let (store, _, new) = versions();
    for existing in [Existing::Update, Existing::Replace] {
        let device = Device::new();
        device.install(&store, "old", Existing::Keep);
        assert_eq!(device.remembered().len(), 2, "its chunks, and which image it is");
        let (report, watching) = device.install(&store, "new", existing);
        assert_eq!((watching.scanned(), watching.notices()), (0, Vec::new()));
        assert!(report.totals.missing < 3000 + 4 * 8192, "{report:?}");
        assert_is(&device.target(), &new);
        assert_eq!(device.remembered().len(), 2, "and nothing else is left");
    }
}

#[test]
fn what_is_remembered_wrongly_costs_a_scan() {
    let (store, old, new) = versions();
    let device = Device::new();
    device.install(&store, "old", Existing::Keep);
    // Somebody else has moved everything.
    fs::write(device.target(), [noise(1, 777), old].concat()).expect("written");
    let (report, watching) = device.install(&store, "new", Existing::Update);
    assert!(watching.scanned() > 0);
    assert_eq!(report.late, 0);
    assert!(report.totals.missing < 3000 + 6 * 8192, "{report:?}");
    assert_is(&device.target(), &new);
}

#[test]
fn what_is_remembered_in_pieces_is_forgotten() {
    let (store, _, new) = versions();
    let device = Device::new();
    device.install(&store, "old", Existing::Keep);
    let path = device.remembered().remove(0);
    let whole = fs::read(&path).expect("remembered");
    for bytes in [&whole[..whole.len() / 2], b"", &noise(1, 5000)] {
        fs::write(&path, bytes).expect("written");
        device.install(&store, "new", Existing::Update);
        assert_is(&device.target(), &new);
        assert_eq!(fs::read(&path).expect("remembered"), store.index("new").into_bytes());
        device.install(&store, "old", Existing::Update);
    }
}

#[test]
fn nothing_is_remembered_of_a_target_that_is_being_changed() {
    let (store, ..) = versions();
    let device = Device::new();
    device.install(&store, "old", Existing::Keep);
    let watching = Watching::stopping_at(1);
    let source = store.source();
    let mut job = job(&source, store.index("new"), &device.target(), Existing::Update);
    job.state = Some(State::open(&device.state()).expect("a directory"));
    job.observer = &watching;
    job.run().expect_err("it was cancelled");
    let is_index = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "cidx");
    assert_eq!(device.remembered().iter().filter(|path| is_index(path)).count(), 0);
}

/// What an earlier run has saved is there until this one is done, however often the medium is waited for.
#[test]
fn a_journal_is_a_seed_until_the_image_is_done_and_then_removed() {
    let store = Store::new();
    let old = blocks(0..14);
    // Everything moves, and the last block is what the earlier run had saved of the first.
    let new = [blocks([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]), noise(99, 1 << 20)].concat();
    store.make("new", &new);
    let device = Device::new();
    fs::write(device.target(), &old).expect("written");
    fs::create_dir(device.state()).expect("a directory");
    fs::write(device.journal(), noise(99, 1 << 20)).expect("written");
    let (report, _) = device.install(&store, "new", Existing::Update);
    assert_is(&device.target(), &new);
    assert_eq!(report.late, 0, "the journal was there when it was needed");
    assert!(report.totals.missing < 4 * 8192, "{report:?}");
    assert!(!device.journal().exists());

    // The same if nothing has to be moved or written.
    fs::write(device.journal(), noise(99, 1 << 20)).expect("written");
    let (report, _) = device.install(&store, "new", Existing::Update);
    assert_eq!(report.written, 0);
    assert!(!device.journal().exists());
    assert_ne!(device.remembered(), Vec::<&Path>::new());
}

/// A device whose power fails at every update: each run saves what it moves, and none comes to its end.
#[test]
fn a_journal_stays_within_its_bound_however_often_runs_are_cut_short() {
    /// Bytes that may be saved at a time; the journal may have four times as many.
    const SAVED: u64 = 2 << 20;
    let store = Store::new();
    let names = ["even", "odd"];
    // Halves of blocks change places all over the image, back and forth.
    let halves = |numbers: &mut dyn Iterator<Item = u64>| -> Vec<u8> {
        numbers.flat_map(|number| noise(number, 1 << 19)).collect()
    };
    let images = [halves(&mut (0..40)), halves(&mut (0..40).map(|number| (number * 17 + 9) % 40))];
    for (name, image) in names.iter().zip(&images) {
        store.make(name, image);
    }
    let device = Device::new();
    fs::write(device.target(), &images[0]).expect("written");
    let mut longest = 0;
    let run_to = |stop: Option<u64>, name: &str| {
        let source = store.source();
        let watching = stop.map_or_else(Watching::default, Watching::stopping_at);
        let mut job = job(&source, store.index(name), &device.target(), Existing::Update);
        job.state = Some(State::open(&device.state()).expect("a directory"));
        job.options.limits.saved = SAVED;
        job.observer = &watching;
        job.run()
    };
    for crash in 0..50_u64 {
        // Every now and then the other image is wanted, before the first one was there.
        let name = names[usize::try_from(1 + crash / 7).expect("small") % 2];
        if run_to(Some(1 + crash * 977 % (6 << 20)), name).is_ok() {
            continue;
        }
        let len = fs::metadata(device.journal()).map_or(0, |of| of.len());
        longest = longest.max(len);
        assert!(len <= 4 * SAVED, "{len} bytes after {crash} crashes");
        let left = device.remembered();
        assert!(left.len() <= 2, "the journal and which image it was, and nothing else is left: {left:?}");
    }
    println!("at most {longest} bytes");
    assert!(longest > 0, "something was saved");
    let report = run_to(None, "odd").expect("it comes to its end at last");
    assert_is(&device.target(), &images[1]);
    // What a crash costs is what was written since the medium was waited for last, and the journal has the rest.
    assert!(report.totals.missing + report.late < 8 << 20, "{report:?}");
    assert!(!device.journal().exists());
}
