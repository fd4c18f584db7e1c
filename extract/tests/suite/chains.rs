//! Ways of several patches: from any release to any later one, whatever is missing on the way.

use std::path::PathBuf;

use chunk_extract::{Destination, Existing, Job, Limits, Options, State};
use chunk_index::{Digest, PatchRef};
use chunk_testing::Disk;
use tempfile::TempDir;

use crate::counting::Counting;
use crate::images::{self, Numbers, noise};
use crate::store::Store;
use crate::tries::{Stream, job, run, seed};
use crate::watching::Watching;

const M: usize = 1 << 20;

/// A line of releases, each patched as the ruler says, and a device.
struct Line {
    store: Store,
    images: Vec<Vec<u8>>,
    device: TempDir,
}

impl Line {
    fn new(images: Vec<Vec<u8>>) -> Self {
        let store = Store::new();
        for image in &images {
            store.make_patched("image", image);
        }
        Self { store, images, device: tempfile::tempdir().expect("a temporary directory") }
    }

    /// Releases of 3 MiB, each with a page of its own where the one before has another, and some bytes more.
    fn of(releases: usize) -> Self {
        let mut image = noise(1, 3 * M);
        let images = (0..releases).map(|release| {
            image[64 * 1024 * (release % 40)..][..8192].copy_from_slice(&noise(100 + release as u64, 8192));
            image.splice(2 * M..2 * M, noise(1000 + release as u64, 100));
            image.clone()
        });
        Self::new(images.collect())
    }

    fn path(&self, release: usize) -> PathBuf {
        let path = self.device.path().join(release.to_string());
        std::fs::write(&path, &self.images[release]).expect("written");
        path
    }

    /// A job that makes release `to`, counted from 0, into `stream` from release `from`.
    fn job<'a>(&self, source: &'a Counting, from: usize, to: usize, stream: &Stream) -> Job<'a> {
        let object = format!("image@{}.cidx", to + 1);
        let job = job(source, &*object, &self.device.path().join("new"), Existing::Keep);
        let destination = Destination::Stream(Box::new(stream.clone()));
        Job { seeds: vec![seed(&self.path(from), None)], destination, ..job }
    }

    /// Makes release `to` from release `from`, and returns how many patches that took.
    fn update(&self, from: usize, to: usize) -> u64 {
        let (source, stream) = (self.store.source(), Stream::default());
        let report = run(&source, self.job(&source, from, to, &stream));
        assert!(stream.bytes() == self.images[to], "from {from} to {to}");
        assert_eq!(report.totals.download + report.index.bytes + report.late, source.bytes());
        report.totals.patches
    }

    /// The patches of the cheapest way from one release to another.
    fn way(&self, from: usize, to: usize) -> Vec<PatchRef> {
        let index = self.store.index(&format!("image@{}", to + 1));
        let ways = index.locator().ways();
        let base: Digest = *blake3::hash(&self.images[from]).as_bytes();
        let starts = (0..ways.patches().len()).filter(|first| ways.patches()[*first].base == base);
        let ways = starts.map(|first| ways.from(first).copied().collect::<Vec<_>>());
        ways.min_by_key(|way| way.iter().map(|patch| patch.len).sum::<u64>()).unwrap_or_default()
    }

    fn file(&self, patch: &PatchRef) -> PathBuf {
        self.store.path().join(chunk_store::Key::Patch(patch.name).path())
    }
}

#[test]
fn any_release_leads_to_any_later_one_by_patches() {
    let line = Line::of(9);
    for to in 1..9 {
        for from in 0..to {
            assert_eq!(line.update(from, to), line.way(from, to).len() as u64, "from {from} to {to}");
        }
    }
    assert_eq!((line.way(0, 7).len(), line.way(0, 8).len()), (3, 1));
}

#[test]
fn of_patches_between_only_what_the_image_needs_is_fetched() {
    // What the second release changes, three groups of it, is gone in the third.
    let (plain, much) = (noise(1, 2 * M), noise(2, 40 * M));
    let (mut changed, mut other) = (much.clone(), plain.clone());
    changed.iter_mut().step_by(2000).for_each(|byte| *byte ^= 1);
    for part in other.chunks_mut(128 << 10) {
        part[..64 << 10].iter_mut().step_by(200).for_each(|byte| *byte ^= 1);
    }
    let line = Line::new(vec![
        noise(3, M),
        [&plain[..M], &much, &plain[M..]].concat(),
        [&plain[..M], &changed, &plain[M..]].concat(),
        [&other[..M], b"little", &plain[M..]].concat(),
    ]);
    let way = line.way(1, 3);
    assert_eq!(way.len(), 2, "release 4 has no patch from release 2");
    let sizes: u64 = way.iter().map(|patch| patch.len).sum();
    let (source, stream) = (line.store.source(), Stream::default());
    let report = run(&source, line.job(&source, 1, 3, &stream));
    assert!(stream.bytes() == line.images[3]);
    assert_eq!(report.totals.patches, 2);
    // Only the ends of it are like what is new at the place where it was.
    assert!(3 * report.totals.download < 2 * sizes + 100_000, "{sizes} bytes, {:?}", report.totals);
}

#[test]
fn what_patches_between_make_is_kept_in_a_file_if_it_is_much_and_if_it_may_be() {
    // No chunk of one release is in the next.
    let first = noise(1, 5 * M);
    let mut second = first.clone();
    second.iter_mut().step_by(200).for_each(|byte| *byte ^= 1);
    let mut third = second.clone();
    third.iter_mut().skip(99).step_by(200).for_each(|byte| *byte ^= 1);
    let line = Line::new(vec![noise(2, M), first, second, third]);
    assert_eq!(line.update(1, 3), 2);
    let (source, stream) = (line.store.source(), Stream::default());
    let planned = line.job(&source, 1, 3, &stream).plan().expect("a plan");
    assert!(planned.totals.scratch > 4 * M as u64, "{:?}", planned.totals);
    let limits = Limits { scratch: planned.totals.scratch - 1, ..Limits::default() };
    let options = Options { limits, ..Options::default() };
    let report = run(&source, Job { options, ..line.job(&source, 1, 3, &stream) });
    assert!(stream.bytes() == line.images[3]);
    assert_eq!((report.totals.patches, report.totals.scratch), (0, 0));
    // The same where there is no room for it, which is known before a patch is fetched.
    let Some(disk) = Disk::new(4 << 20) else { return };
    let (stream, watching) = (Stream::default(), Watching::default());
    let job = || Job {
        state: Some(State::open(&disk.root().join("state")).expect("made")),
        observer: &watching,
        ..line.job(&source, 1, 3, &stream)
    };
    let told = job().plan().expect("a plan");
    assert_eq!((told.totals.patches, told.demand.scratch_disk), (0, 0));
    let report = run(&source, job());
    assert!(stream.bytes() == line.images[3]);
    assert_eq!(report.totals.patches, 0);
    assert!(report.late < 100_000, "heads of patches: {}", report.late);
    let said = watching.notices();
    assert!(said.iter().any(|said| said.contains("bytes in") && said.contains("may use")), "{said:?}");
    // And where there is room, a plan tells how much it will be, and where.
    assert_eq!(planned.demand.scratch_disk, planned.totals.scratch);
    assert!(planned.scratch.is_dir());
}

#[test]
fn a_patch_that_is_missing_or_damaged_on_the_way_only_costs_bytes() {
    let line = Line::of(8);
    let way = line.way(0, 7);
    assert!(way.len() == 3, "{way:?}");
    let mut numbers = Numbers::new();
    for patch in &way {
        let right = std::fs::read(line.file(patch)).expect("there");
        std::fs::remove_file(line.file(patch)).expect("removed");
        // The last release has one patch only; before it there are other ways.
        assert_eq!(line.update(0, 7) == 0, Some(patch) == way.last());
        for _ in 0..12 {
            let mut wrong = right.clone();
            let at = numbers.below(wrong.len());
            wrong[at] ^= 1 << numbers.below(8);
            std::fs::write(line.file(patch), &wrong).expect("written");
            line.update(0, 7);
        }
        std::fs::write(line.file(patch), &right[..right.len() / 2]).expect("written");
        line.update(0, 7);
        std::fs::write(line.file(patch), &right).expect("written");
    }
    assert_eq!(line.update(0, 7), way.len() as u64);
}

#[test]
fn fifty_releases_with_any_of_them_missing_lead_to_the_last() {
    let line = Line::of(50);
    let mut numbers = Numbers::new();
    println!("{}", numbers.how_to_repeat());
    // The list has room for ways from all but the first.
    assert_eq!(line.update(0, 49), 0);
    for from in [1, 17, 46] {
        assert!((1..=13).contains(&line.update(from, 49)));
    }
    for _ in 0..20 {
        let from = 1 + numbers.below(48);
        let way = line.way(from, 49);
        let gone = numbers.one_of(&way);
        let (path, kept) = (line.file(&gone), line.device.path().join("kept"));
        std::fs::rename(&path, &kept).expect("moved");
        line.update(from, 49);
        std::fs::rename(&kept, &path).expect("moved back");
    }
}

#[test]
fn random_lines_lead_to_every_release() {
    let mut numbers = Numbers::new();
    println!("{}", numbers.how_to_repeat());
    for _ in 0..6 {
        let mut releases = vec![images::any(&mut numbers)];
        while releases.len() < 5 {
            let last = &releases[releases.len() - 1];
            let next = images::changed(&mut numbers, last);
            // Nobody publishes the same twice.
            releases.extend((next != *last).then_some(next));
        }
        let line = Line::new(releases);
        for to in 1..5 {
            for from in 0..to {
                line.update(from, to);
            }
        }
    }
}
