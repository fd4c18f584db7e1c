//! Any image from any seeds to any target: always exact, and never dearer than reported.

use std::fs;
use std::path::{Path, PathBuf};

use chunk_chunker::Params;
use chunk_extract::{
    Destination, Directory, Existing, Job, Limits, Options, Report, Seed, Silent, State, StoreSeed, Verify,
    Version,
};
use chunk_fetch::DirectorySource;
use chunk_index::LeafList;
use tempfile::TempDir;

use crate::counting::Counting;
use crate::images::{self, Numbers, noise};
use crate::store::Store;
use crate::tries::{Stream, assert_is, leave_part, part_of, run, seed};

/// Pairs of an old and a new image.
const PAIRS: usize = 30;
/// Extractions of each new image.
const RUNS: usize = 6;

/// An image to make, one that it comes from, and a store that has both.
struct Pair {
    old: Vec<u8>,
    new: Vec<u8>,
    store: Store,
}

impl Pair {
    fn any(numbers: &mut Numbers) -> Self {
        let params = numbers.one_of(&[(64, 256, 1024, 0), (256, 1024, 8192, 1), (1024, 4096, 32768, 2)]);
        let (min, avg, max, level) = params;
        let params = Params::new(min, avg, max, level).expect("within the limits");
        let store = Store::with(params, numbers.one_of(&[1 << 10, 32 << 10, 512 << 10]).max(max));
        let old = images::any(numbers);
        let new = if numbers.one_in(4) { images::any(numbers) } else { images::changed(numbers, &old) };
        store.make("old", &old);
        store.make("new", &new);
        Self { old, new, store }
    }

    /// Bytes that a device might hold.
    fn bytes(&self, numbers: &mut Numbers) -> Vec<u8> {
        match numbers.below(8) {
            0 => images::any(numbers),
            1 => images::changed(numbers, &self.new),
            2 => images::changed(numbers, &self.old),
            3 => images::shuffled(numbers, &self.new),
            4 => self.new[..numbers.below(self.new.len() + 1)].to_vec(),
            5 => [self.new.clone(), noise(3, numbers.below(300_000))].concat(),
            _ => self.old.clone(),
        }
    }

    /// What somebody might say of the chunks of `bytes`, and whether it is right.
    fn lists(&self, numbers: &mut Numbers, bytes: &[u8]) -> (Option<Vec<LeafList>>, bool) {
        let name = numbers.one_of(&["old", "new"]);
        let is_right = bytes == if name == "old" { &self.old } else { &self.new };
        if numbers.one_in(2) { (None, true) } else { (Some(self.store.lists(name)), is_right) }
    }
}

/// What a seed is made of, so that it can be opened more than once.
enum Material {
    File(PathBuf, Option<Vec<LeafList>>),
    Directory(PathBuf),
    Store(&'static str),
}

/// Everything about one extraction but its index.
struct Case<'p> {
    pair: &'p Pair,
    directory: TempDir,
    source: Counting,
    seeds: Vec<Material>,
    own_lists: Option<Vec<LeafList>>,
    /// Where to; none is a stream.
    existing: Option<Existing>,
    stream: Stream,
    /// Whether no word about a seed is wrong.
    is_honest: bool,
    by_object: bool,
    with_state: bool,
    options: Options,
}

impl<'p> Case<'p> {
    fn any(numbers: &mut Numbers, pair: &'p Pair) -> Self {
        let options = Options {
            threads: 1 + numbers.below(4),
            connections: 1 + numbers.below(4),
            limits: Limits {
                frames: numbers.one_of(&[0, 1000, 100_000, 16 << 20]),
                saved: numbers.one_of(&[0, 4000, 1 << 20, 16 << 20]),
                gap: Some(numbers.one_of(&[0, 100, 16 << 10])),
                longest: numbers.one_of(&[1, 10_000, 4 << 20]),
                scratch: 1 << 30,
                ..Limits::default()
            },
            verify: numbers.one_of(&[Verify::Off, Verify::Off, Verify::Write, Verify::ReadBack]),
            ignore_target: numbers.one_in(6),
            ..Options::default()
        };
        let mut case = Self {
            pair,
            directory: tempfile::tempdir().expect("a temporary directory"),
            source: pair.store.source(),
            seeds: Vec::new(),
            own_lists: None,
            existing: None,
            stream: Stream::default(),
            is_honest: true,
            by_object: numbers.one_in(2),
            with_state: numbers.one_in(3),
            options,
        };
        for number in 0..numbers.below(4) {
            let seed = case.any_seed(numbers, number);
            case.seeds.push(seed);
        }
        case.choose_target(numbers);
        case
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    fn target(&self) -> PathBuf {
        self.path("target")
    }

    fn any_seed(&mut self, numbers: &mut Numbers, number: usize) -> Material {
        let path = self.path(format!("seed{number}"));
        let bytes = self.pair.bytes(numbers);
        match numbers.below(6) {
            0 => {
                fs::create_dir(&path).expect("a directory");
                for (number, part) in bytes.chunks(300_000).enumerate() {
                    fs::write(path.join(number.to_string()), part).expect("written");
                }
                Material::Directory(path)
            }
            1 => Material::Store("old"),
            _ => {
                fs::write(&path, &bytes).expect("written");
                let (lists, is_right) = self.pair.lists(numbers, &bytes);
                self.is_honest &= is_right;
                Material::File(path, lists)
            }
        }
    }

    fn choose_target(&mut self, numbers: &mut Numbers) {
        let kind = numbers.below(8);
        self.existing = match kind {
            0 => None,
            1 | 2 => Some(Existing::Keep),
            3 => Some(Existing::Replace),
            _ => Some(Existing::Update),
        };
        if kind > 2 {
            let bytes = self.pair.bytes(numbers);
            fs::write(self.target(), &bytes).expect("written");
            if kind > 3 {
                let (lists, is_right) = self.pair.lists(numbers, &bytes);
                self.own_lists = lists;
                self.is_honest &= is_right;
            }
        }
        if kind == 2 || kind == 3 {
            leave_part(&self.target(), &self.pair.bytes(numbers));
        }
    }

    fn job(&self) -> Job<'_> {
        let store = self.pair.store.path();
        let open = |material: &Material| match material {
            Material::File(path, lists) => seed(path, lists.clone()),
            Material::Directory(path) => {
                let directory = Directory::open(path).expect("a directory");
                Seed::directory("directory".into(), directory).into()
            }
            Material::Store(name) => {
                let source = Box::new(DirectorySource::new(store));
                let seed = StoreSeed::new(self.pair.store.index(name), source);
                Seed::store("store".into(), seed).into()
            }
        };
        let state = self.with_state.then(|| State::open(&self.path("state")).expect("a directory"));
        let destination = match self.existing {
            Some(existing) => Destination::Path { path: self.target(), existing },
            None => Destination::Stream(Box::new(self.stream.clone())),
        };
        let version = if self.by_object {
            Version::Object("new.cidx".into())
        } else {
            Version::Index(self.pair.store.index("new"))
        };
        Job {
            source: &self.source,
            version,
            seeds: self.seeds.iter().map(open).collect(),
            own_lists: self.own_lists.clone(),
            state,
            destination,
            options: self.options.clone(),
            observer: &Silent,
        }
    }

    /// Plans, does it, looks at the result, and does it again.
    fn check(mut self) {
        let new = &self.pair.new;
        let planned = self.job().plan().unwrap_or_else(|error| panic!("{error}: {error:?}"));
        let report = run(&self.source, self.job());
        assert_eq!(report.totals, planned.totals, "what was planned is what was done");
        self.assert_adds_up(&report);
        if self.is_honest {
            assert_eq!(report.late, 0, "no seed has changed: {report:?}");
        }
        if self.existing.is_none() {
            assert!(self.stream.bytes() == *new, "the stream differs from the image");
            return;
        }
        assert_is(&self.target(), new);
        assert!(!part_of(&self.target()).exists(), "nothing is left beside the image");
        self.existing = Some(Existing::Update);
        self.options.ignore_target = false;
        self.own_lists = None;
        let packs = self.source.pack_requests();
        let again = run(&self.source, self.job());
        assert_eq!((again.written, again.totals.write), (0, 0), "the image is there already: {again:?}");
        assert_eq!(self.source.pack_requests(), packs, "nothing is missing");
        assert_is(&self.target(), new);
    }

    /// Every byte of the image comes from one place.
    fn assert_adds_up(&self, report: &Report) {
        let totals = &report.totals;
        let seeds: u64 = totals.seeds.iter().sum();
        assert_eq!(totals.image, self.pair.new.len() as u64);
        assert_eq!(
            totals.kept + totals.zero + seeds + totals.repeated + totals.missing,
            totals.image,
            "{totals:?}"
        );
        assert_eq!(totals.kept + totals.write, totals.image);
        assert!(totals.saved <= self.options.limits.saved, "{totals:?}");
    }
}

#[test]
fn any_image_is_made_from_any_seeds_at_any_target_for_what_was_planned() {
    let mut numbers = Numbers::new();
    println!("{}", numbers.how_to_repeat());
    for number in 0..PAIRS {
        let pair = Pair::any(&mut numbers);
        for round in 0..RUNS {
            println!("pair {number}, run {round}");
            Case::any(&mut numbers, &pair).check();
        }
    }
}
