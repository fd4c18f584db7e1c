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
        assert_eq!(device.remembered().len(), 1);
        let (report, watching) = device.install(&store, "new", existing);
        assert_eq!((watching.scanned(), watching.notices()), (0, Vec::new()));
        assert!(report.totals.missing < 3000 + 4 * 8192, "{report:?}");
        assert_is(&device.target(), &new);
        assert_eq!(device.remembered().len(), 1, "and nothing else is left");
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
