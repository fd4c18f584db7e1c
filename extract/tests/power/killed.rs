//! The process is killed at any moment, again and again: each run goes on where the one before was.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use chunk_extract::Existing;
use chunk_testing::Numbers;

use crate::store::{BLOCK, SAVED, Store, To, extract_and_log};

/// Bytes of the image.
const LEN: usize = (10 << 20) + 777;
/// How often each kind of target is killed.
const KILLS: u32 = 70;
/// What a kill may cost beyond what was held in memory: a block that was half written, and frames around it.
const EDGES: u64 = 2 * BLOCK;

/// The longest request of a victim.
const LONGEST: u64 = 16 << 10;
/// What a kill may cost while patches are fetched and decoded: requests under way, and the head of a patch.
const IN_FLIGHT: u64 = 4 * LONGEST + (16 << 10);

/// Names the directory in which a process that is to be killed works.
const VICTIM: &str = "CHUNK_TEST_VICTIM";

/// Where a victim and its killer meet.
struct Place {
    root: PathBuf,
    existing: Existing,
    has_state: bool,
}

impl Place {
    fn target(&self) -> PathBuf {
        self.root.join("target/image")
    }

    fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// Calls `what` with where the image is to go.
    fn with<T>(&self, what: impl FnOnce(&To<'_>) -> T) -> T {
        let (target, state) = (self.target(), self.state());
        let state = self.has_state.then_some(state.as_path());
        what(&To { existing: self.existing, state, longest: LONGEST, ..To::update(&target) })
    }

    fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Bytes that victims have been given since this was asked last.
    fn spent(&self) -> u64 {
        let log = fs::read(self.log()).unwrap_or_default();
        fs::remove_file(self.log()).unwrap_or_default();
        let (lens, _) = log.as_chunks::<8>();
        lens.iter().map(|len| u64::from_le_bytes(*len)).sum()
    }

    /// Whether what patches have made is put aside.
    fn is_staged(&self) -> bool {
        names(&self.state()).iter().any(|name| name.ends_with(".staged"))
    }
}

/// Runs until it is killed, in a process of its own that is this test once more.
fn victim(root: &Path, existing: Existing, has_state: bool) {
    let place = Place { root: root.to_owned(), existing, has_state };
    let store = fs::read_to_string(root.join("store")).expect("the killer wrote it");
    let log =
        File::options().append(true).create(true).open(place.log()).expect("the directory can be written");
    let made = place.with(|to| extract_and_log(Path::new(&store), to, Some(log)));
    made.expect("nothing but a signal stops it");
}

/// Kills runs that make the image of `store` of `old`, `KILLS` of them; checks what each leaves. `lost` bytes may be needed again
/// after a kill.
fn kill_all(
    usual_seed: u64,
    old: Option<&[u8]>,
    store: impl FnOnce() -> Store,
    existing: Existing,
    has_state: bool,
    lost: u64,
) {
    if let Some(root) = env::var_os(VICTIM) {
        return victim(Path::new(&root), existing, has_state);
    }
    let seed = Numbers::seed_or(usual_seed);
    let mut numbers = Numbers::from_seed(seed);
    let files = tempfile::tempdir().expect("a temporary directory");
    let place = Place { root: files.path().to_owned(), existing, has_state };
    let store = store();
    let path = store.path().to_str().expect("plain");
    fs::write(place.root.join("store"), path).expect("the directory can be written");
    for directory in ["target", "state"] {
        fs::create_dir(place.root.join(directory)).expect("a directory can be made");
    }
    let start_anew = || match old {
        Some(old) => fs::write(place.target(), old).expect("there is room"),
        None => fs::remove_file(place.target()).unwrap_or_default(),
    };
    let is_patched =
        fs::read_dir(store.path().join("patches")).is_ok_and(|mut patches| patches.next().is_some());
    start_anew();
    let first = place.with(|to| store.plan(to)).totals.download;
    let started = Instant::now();
    assert!(run(&place, None), "nobody kills it");
    let full = u64::try_from(started.elapsed().as_micros()).expect("a short time");

    let clean = place.spent();

    let (mut kills, mut rounds, mut most) = (0, 0, clean);
    while kills < KILLS {
        start_anew();
        rounds += 1;
        let mut needed = first;
        let mut allowed = clean;
        for patience in 0.. {
            // Until a run is faster than its killer, who waits longer from time to time, so that every round ends.
            let time = Duration::from_micros(numbers.below(full) + patience * full / 16);
            if run(&place, Some(time)) {
                break;
            }
            kills += 1;
            allowed += if place.is_staged() { lost } else { IN_FLIGHT };
            let now = place.with(|to| store.plan(to)).totals.download;
            assert!(now <= needed + lost, "kill {kills}: {now} bytes to fetch after {needed}, seed {seed}");
            assert!(now <= first + lost, "kill {kills}: {now} bytes to fetch, at first {first}, seed {seed}");
            needed = now;
            for name in names(&place.root.join("target")) {
                assert!(
                    ["image", "image.part"].contains(&name.as_str()),
                    "kill {kills}: {name}, seed {seed}"
                );
            }
            if existing != Existing::Update && place.target().exists() {
                let left = fs::read(place.target()).expect("a file");
                let is_whole = left == store.image() || old.is_some_and(|old| left == old);
                assert!(is_whole, "kill {kills}: half an image has its name, seed {seed}");
            }
        }
        assert!(fs::read(place.target()).expect("a file") == store.image(), "round {rounds}, seed {seed}");
        let spent = place.spent();
        assert!(
            !is_patched || spent <= allowed,
            "{spent} bytes for {clean}, {allowed} allowed, round {rounds}, seed {seed}"
        );
        most = most.max(spent);
        assert_eq!(names(&place.root.join("target")), ["image"], "round {rounds}, seed {seed}");
        let left = names(&place.state());
        let is_memory = |name: &String| [".cidx", ".image"].iter().any(|end| name.ends_with(end));
        assert!(left.iter().all(is_memory), "round {rounds}: {left:?} in the state, seed {seed}");
        assert_eq!(!left.is_empty(), has_state, "round {rounds}: {left:?} in the state, seed {seed}");
    }
    println!("{kills} kills in {rounds} rounds, {first} bytes to fetch at first, {full} us for a whole run");
    println!("{clean} bytes without a kill, {most} in the dearest round");
}

/// Runs a victim for `time`, or to its end. Returns whether it came to its end.
fn run(place: &Place, time: Option<Duration>) -> bool {
    let done = place.root.join("done");
    fs::remove_file(&done).unwrap_or_default();
    let this = thread::current().name().expect("a test has a name").to_owned();
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args([&this, "--exact", "--test-threads=1"]).env(VICTIM, &place.root);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program can be started");
    if let Some(time) = time {
        thread::sleep(time);
        // SIGKILL; it may have ended by itself.
        child.kill().unwrap_or_default();
    }
    let status = child.wait().expect("it can be waited for");
    assert!(status.success() || status.code().is_none(), "the victim failed by itself: {status}");
    status.success()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let names = entries.map(|entry| entry.expect("it can be listed").file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().expect("plain")).collect();
    names.sort_unstable();
    names
}

/// An old image and a new one whose parts are the old one's in another order, with something new between.
fn versions(seed: u64) -> (Vec<u8>, Vec<u8>) {
    let mut numbers = Numbers::from_seed(seed);
    let old = numbers.bytes(LEN);
    let mut new = old.clone();
    new.rotate_left(2_500_000);
    let new = [&numbers.bytes(150_000), &new[..]].concat();
    (old, new)
}

#[test]
fn a_new_file_grows_from_kill_to_kill_and_has_its_name_only_when_complete() {
    let (_, new) = versions(1);
    kill_all(0x01b, None, || Store::of(new), Existing::Keep, false, 0);
}

#[test]
fn a_file_that_is_its_own_seed_becomes_the_image_after_any_number_of_kills() {
    let (old, new) = versions(2);
    kill_all(0x02b, Some(&old), || Store::of(new), Existing::Update, false, SAVED + EDGES);
}

#[test]
fn with_a_state_directory_kills_lose_nothing_of_what_was_saved_and_leave_nothing_there() {
    let (old, new) = versions(3);
    kill_all(0x03b, Some(&old), || Store::of(new), Existing::Update, true, EDGES);
}

#[test]
fn of_a_patch_in_place_a_kill_costs_what_was_under_way_and_later_no_more_than_frames_of_the_block_at_hand() {
    let (old, mut new) = versions(4);
    // What has moved is changed all over, so that frames would have to bring it.
    new[3 << 20..7 << 20].iter_mut().step_by(500).for_each(|byte| *byte ^= 1);
    kill_all(0x04b, Some(&old), || Store::patched(&old, new), Existing::Update, true, EDGES);
}
