//! The power fails while a raw device is updated that is its own seed, and its only one.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use chunk_extract::State;
use chunk_testing::{LoopDevice, Mounted, Numbers, WriteLog, scratch};
use tempfile::TempDir;

use crate::cuts::{Crash, Cuts};
use crate::store::{BLOCK, Made, SAVED, Store, To};

/// Bytes of the images, all of whose blocks are written by most updates here.
const LEN: u64 = 32 << 20;
/// Bytes of the file system beside them that holds the state directory.
const STATE_LEN: u64 = 24 << 20;
/// Bytes that may be on their way to the disk at a time: what is written between two flushes, and a block.
const UNCONFIRMED: u64 = (8 << 20) + BLOCK;
/// What else a cut may cost: the chunks at the edges of what is lost, and the frames around them.
const EDGES: u64 = 2 << 20;

/// An update of a device, on a disk that also has room for a file system with a state directory.
struct Update {
    store: Store,
    files: TempDir,
    old: Vec<u8>,
    /// The store of the older version, if there is a state directory that remembers it.
    installed: Option<Store>,
}

/// The two parts of a disk, in use.
struct Parts {
    target: LoopDevice,
    state: Option<(Mounted, LoopDevice)>,
}

impl Parts {
    fn path(&self) -> &Path {
        self.target.path()
    }

    fn state(&self) -> Option<&Path> {
        self.state.as_ref().map(|(mounted, _)| mounted.root())
    }

    fn to(&self) -> To<'_> {
        To { state: self.state(), ..To::update(self.path()) }
    }

    fn release(self) {
        if let Some((mounted, _device)) = self.state {
            mounted.unmount().expect("no file is open");
        }
    }
}

impl Update {
    /// From `old` to `new`. None where there are no devices.
    fn new(old: &[u8], new: Vec<u8>, has_state: bool) -> Option<Self> {
        Self::with(old, Store::of(new), has_state)
    }

    /// From `old` to the image of `store`.
    fn with(old: &[u8], store: Store, has_state: bool) -> Option<Self> {
        let files = scratch().expect("a temporary directory");
        let installed = has_state.then(|| Store::of(old.to_vec()));
        let update = Self { store, files, old: old.to_vec(), installed };
        let (base, root) = (update.base(), update.files.path().join("state"));
        fs::write(&base, old).expect("the base can be written");
        fs::create_dir(root).expect("a directory can be made");
        if has_state {
            let file = fs::File::options().write(true).open(&base).expect("it was written");
            file.set_len(LEN + STATE_LEN).expect("it can grow");
            let device = LoopDevice::attach_part(&base, LEN..LEN + STATE_LEN)?;
            Mounted::format(device.path()).expect("a file system can be made");
        }
        Some(update)
    }

    fn base(&self) -> std::path::PathBuf {
        self.files.path().join("base")
    }

    /// Uses the parts that `part` gives.
    fn parts(&self, part: impl Fn(std::ops::Range<u64>) -> Option<LoopDevice>) -> Option<Parts> {
        let target = part(0..LEN)?;
        let state = self.installed.as_ref().map(|_| {
            let device = part(LEN..LEN + STATE_LEN).expect("there was one device");
            let root = self.files.path().join("state");
            (Mounted::mount(device.path(), &root).expect("a file system that can be mounted"), device)
        });
        Some(Parts { target, state })
    }

    /// Runs the update, and runs it again after each of many power cuts.
    fn test(&self, seed: u64, flushes: usize, torn: usize, allowed: impl Fn(&Crash<'_>, &Made) -> u64) {
        let Some(log) = WriteLog::start(&self.base()) else { return };
        let parts = self.parts(|part| log.device(part)).expect("there is a log of one");
        if let (Some(installed), Some(state)) = (&self.installed, parts.state()) {
            remember(state, parts.path(), &installed.index());
        }
        let first = self.store.extract(&parts.to()).expect("the update succeeds");
        let claimed = log.confirmed().expect("a log");
        let known_as = parts.path().to_owned();
        parts.release();
        let requests = log.finish().expect("a log");
        let (mut most, mut disks) = ((0, 0), 0);
        let sector = if self.installed.is_some() { 4096 } else { 512 };
        Cuts::new(&requests, claimed, sector, seed).each(flushes, torn, |crash| {
            let again = self.after(crash, &known_as);
            let allowed = allowed(crash, &first);
            assert!(
                again.downloaded <= allowed,
                "{}: {} bytes fetched, {allowed} allowed",
                crash.name,
                again.downloaded
            );
            disks += 1;
            let most = if crash.is_quiet { &mut most.0 } else { &mut most.1 };
            *most = again.downloaded.max(*most);
        });
        println!(
            "first run: {} bytes; on {disks} disks of {} requests at most {}, with requests under way {}",
            first.downloaded,
            requests.count(),
            most.0,
            most.1
        );
    }

    /// Updates the device again after a power cut.
    fn after(&self, crash: &Crash<'_>, known_as: &Path) -> Made {
        let parts = self.parts(|part| LoopDevice::attach_part(crash.disk, part)).expect("there was a device");
        if let Some(state) = parts.state() {
            rename_device(state, known_as, parts.path());
        }
        let disk = fs::read(crash.disk).expect("a disk");
        let held = &disk[..in_memory(LEN)];
        let holds = held == self.store.image();
        assert!(holds || !crash.claimed, "{}: success was claimed too early", crash.name);
        let right = self.store.plan(&parts.to()).totals.write == 0;
        assert_eq!(right, holds, "{}: what is told of the target", crash.name);
        if let (Some(installed), Some(state)) = (&self.installed, parts.state()) {
            match State::open(state).expect("a state directory").lists(parts.path()) {
                Some(lists) if lists == self.store.lists() => {
                    assert!(holds, "{}: more is remembered than there is", crash.name);
                }
                Some(lists) => {
                    assert!(lists == installed.lists(), "{}: an unknown version", crash.name);
                    assert!(held == self.old, "{}: more is remembered than is left", crash.name);
                }
                None => assert!(!crash.claimed, "{}: nothing is remembered", crash.name),
            }
        }
        let again = self.store.extract(&parts.to()).unwrap_or_else(|error| panic!("{}: {error}", crash.name));
        if let Some(state) = parts.state() {
            let left: Vec<OsString> = names(state).collect();
            let is_memory =
                |name: &OsString| [".cidx", ".image"].iter().any(|end| name.to_string_lossy().ends_with(end));
            assert!(left.iter().all(is_memory), "{}: something is left over in {left:?}", crash.name);
            assert!(!left.is_empty(), "{}: nothing is remembered", crash.name);
        }
        parts.release();
        let made = fs::read(crash.disk).expect("a disk");
        assert!(made[..in_memory(LEN)] == *self.store.image(), "{}: another image", crash.name);
        again
    }
}

/// Names in a state directory; `lost+found` belongs to the file system.
fn names(state: &Path) -> impl Iterator<Item = OsString> {
    let entries = fs::read_dir(state).expect("a directory");
    entries.map(|entry| entry.expect("it can be listed").file_name()).filter(|name| name != "lost+found")
}

/// Lets a state directory remember that the version of `index` is on `device`.
fn remember(state: &Path, device: &Path, index: &[u8]) {
    let name = device.to_str().expect("plain").trim_start_matches('/').replace('/', "%2f");
    let mut file = fs::File::create(state.join(name + ".cidx")).expect("a directory");
    file.write_all(index).and_then(|()| file.sync_all()).expect("there is room");
    let found = State::open(state).expect("a state directory").lists(device);
    assert!(found.is_some(), "it is remembered");
}

/// After a restart the device would have its old name; a loop device has the next that is free.
fn rename_device(state: &Path, from: &Path, to: &Path) {
    let [from, to] = [from, to].map(|path| path.file_name().expect("a device").to_str().expect("plain"));
    for name in names(state) {
        let name = name.to_str().expect("plain").to_owned();
        let renamed = name.replace(&format!("{from}."), &format!("{to}."));
        fs::rename(state.join(&name), state.join(renamed)).expect("it can be renamed");
    }
}

fn in_memory(len: u64) -> usize {
    usize::try_from(len).expect("a test's image is in memory")
}

fn noise(seed: u64) -> Vec<u8> {
    Numbers::from_seed(seed).bytes(in_memory(LEN))
}

/// The image with something new in its first block, so that everything behind that moves.
fn moved(old: &[u8]) -> Vec<u8> {
    let insert = Numbers::from_seed(99).bytes(300_000);
    let mut new = [&old[..500_000], &insert, &old[500_000..]].concat();
    new.truncate(old.len());
    new
}

/// The image with its parts in another order: blocks wait for each other in circles.
fn rotated(old: &[u8]) -> Vec<u8> {
    let mut new = old.to_vec();
    new.rotate_left(3_300_000);
    new
}

#[test]
fn an_older_version_on_a_device_becomes_the_image_whenever_the_power_fails() {
    let old = noise(1);
    let mut new = old.clone();
    for (number, at) in (0..).zip((0..new.len()).step_by(3_000_000)) {
        let end = new.len().min(at + 200_000);
        new[at..end].copy_from_slice(&Numbers::from_seed(100 + number).bytes(end - at));
    }
    let Some(update) = Update::new(&old, new, false) else { return };
    // Nothing moves, so nothing that was there can be lost.
    update.test(0x01d, usize::MAX, 5, |_, first| first.downloaded + EDGES);
}

#[test]
fn a_device_whose_bytes_all_move_loses_no_more_than_was_on_its_way() {
    let old = noise(2);
    let Some(update) = Update::new(&old, moved(&old), false) else { return };
    update.test(0x02d, usize::MAX, 2, |crash, first| {
        let saved = first.report.totals.saved;
        assert!(saved <= SAVED);
        first.downloaded + saved + EDGES + if crash.is_quiet { 0 } else { UNCONFIRMED }
    });
}

#[test]
fn with_a_state_directory_not_even_what_was_held_in_memory_is_lost() {
    let old = noise(3);
    for new in [moved(&old), rotated(&old)] {
        let Some(update) = Update::new(&old, new, true) else { return };
        update.test(0x03d, 7, 1, |crash, first| {
            first.downloaded + EDGES + if crash.is_quiet { 0 } else { UNCONFIRMED }
        });
    }
}

#[test]
fn blocks_that_wait_for_each_other_in_circles_survive_power_cuts_without_a_state_directory() {
    let old = noise(4);
    let Some(update) = Update::new(&old, rotated(&old), false) else { return };
    update.test(0x04d, usize::MAX, 2, |crash, first| {
        let saved = first.report.totals.saved;
        assert!(saved <= SAVED);
        first.downloaded + saved + EDGES + if crash.is_quiet { 0 } else { UNCONFIRMED }
    });
}

#[test]
fn a_device_whose_old_bytes_are_patched_where_they_lie_loses_nothing_with_a_state_directory() {
    let old = noise(5);
    let mut new = moved(&old);
    new[8 << 20..13 << 20].iter_mut().step_by(700).for_each(|byte| *byte ^= 1);
    let Some(update) = Update::with(&old, Store::patched(&old, new), true) else { return };
    update.test(0x05d, 7, 1, |crash, first| {
        assert!(first.report.totals.patched > 5 << 20, "{:?}", first.report.totals);
        first.downloaded + EDGES + if crash.is_quiet { 0 } else { UNCONFIRMED }
    });
}
