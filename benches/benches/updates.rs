//! What the steps of an update take one by one: reading an index, planning from seeds that are known and that are
//! not, unpacking frames, putting an image together, and making a patch.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Write};
use std::path::PathBuf;

use chunk_extract::{Destination, Job, Options, Seed, SeedPart, Silent, Version, Window, index_lists_at};
use chunk_fetch::DirectorySource;
use chunk_index::{Annotations, Index};
use chunk_patch::{Effort, encode};
use chunk_publisher::{DEFAULT_PATCH_LEVEL, Options as Publishing, Publisher, Source, Wish};
use chunk_store::{Compressor, Decoder, Directory, Frame};
use chunk_testing::Numbers;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use tempfile::TempDir;

/// Far more than caches hold.
const IMAGE: usize = 32 << 20;
/// Each so many bytes the next version has another page.
const APART: usize = 256 << 10;
const PAGE: usize = 4096;
/// Bytes of a frame.
const FRAME: usize = 512 << 10;

/// Two versions in a store, and a file that holds the first.
struct Update {
    root: TempDir,
    first: Vec<u8>,
    second: Vec<u8>,
}

impl Update {
    fn new() -> Self {
        let first = text(1, IMAGE);
        let mut second = first.clone();
        for (page, seed) in second.chunks_mut(APART).zip(100..) {
            page[..PAGE].copy_from_slice(&text(seed, PAGE));
        }
        let update = Self { root: tempfile::tempdir().expect("a temporary directory"), first, second };
        let mut seed = File::create(update.seed()).expect("made");
        seed.write_all(&update.first).expect("written");
        for image in [&update.first, &update.second] {
            update.publish(image);
        }
        update
    }

    fn store(&self) -> PathBuf {
        self.root.path().join("store")
    }

    fn seed(&self) -> PathBuf {
        self.root.path().join("seed")
    }

    fn index(&self, version: u32) -> PathBuf {
        self.store().join(format!("image@{version}.cidx"))
    }

    fn publish(&self, image: &[u8]) {
        std::fs::create_dir_all(self.store()).expect("made");
        let directory = Directory::open_for_writing(&self.store()).expect("a store");
        let options = Publishing { patches: None, ..Publishing::for_directory(&directory) };
        let name = "image".parse().expect("a word");
        let wish = Wish { name, label: None, release: None, annotations: Annotations::default() };
        let source = Source::stream(io::Cursor::new(image.to_vec()));
        let mut publisher = Publisher::new(&directory, options).expect("a publisher");
        publisher.make(source, &wish, &()).expect("published");
    }

    fn known(&self) -> SeedPart {
        SeedPart { lists: Some(index_lists_at(&self.index(1)).expect("an index")), ..self.unknown() }
    }

    fn unknown(&self) -> SeedPart {
        let window = Window::open(&self.seed(), None).expect("a file");
        Seed::window("seed".to_owned(), window).into()
    }
}

/// The second version to nowhere, from the first.
fn job(source: &DirectorySource, seed: SeedPart) -> Job<'_> {
    Job {
        source,
        version: Version::Object("image@2.cidx".to_owned()),
        seeds: vec![seed],
        own_lists: None,
        state: None,
        destination: Destination::Stream(Box::new(io::sink())),
        options: Options::default(),
        observer: &Silent,
    }
}

fn updating(criterion: &mut Criterion) {
    let update = Update::new();
    let source = DirectorySource::new(&update.store());
    let file = std::fs::read(update.index(2)).expect("an index");
    let mut group = criterion.benchmark_group("an update of 32 MiB");
    group.throughput(Throughput::Bytes(IMAGE as u64)).sample_size(20);
    group.bench_function("read its index", |bencher| {
        bencher.iter_batched(
            || file.clone(),
            |file| Index::decode(file).expect("an index"),
            BatchSize::LargeInput,
        );
    });
    for (what, seed) in [("known", Update::known as fn(&Update) -> SeedPart), ("scanned", Update::unknown)] {
        group.bench_function(format!("plan, seed {what}"), |bencher| {
            bencher.iter_batched(
                || job(&source, seed(&update)),
                |job| job.plan().expect("a plan"),
                BatchSize::PerIteration,
            );
        });
        group.bench_function(format!("plan and put together, seed {what}"), |bencher| {
            bencher.iter_batched(
                || job(&source, seed(&update)),
                |job| job.run().expect("a version"),
                BatchSize::PerIteration,
            );
        });
    }
    frames(&mut group, &update.first);
    group.finish();
    patches(criterion, &update);
}

/// As a publisher packs and a device unpacks them.
fn frames(group: &mut BenchmarkGroup<'_, WallTime>, image: &[u8]) {
    let mut compressor = Compressor::new(chunk_publisher::DEFAULT_LEVEL).expect("a compressor");
    group.bench_function("pack frames", |bencher| {
        bencher.iter(|| {
            image
                .chunks(FRAME)
                .map(|plain| compressor.compress(plain.to_vec()).expect("packed").0.len())
                .sum::<usize>()
        });
    });
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a frame is short");
    let packed: Vec<(Frame, Vec<u8>)> = image
        .chunks(FRAME)
        .map(|plain| {
            let (stored, raw) = compressor.compress(plain.to_vec()).expect("packed");
            (Frame { offset: 0, stored_len: len(&stored), plain_len: len(plain), raw }, stored)
        })
        .collect();
    let (mut decoder, mut plain) = (Decoder::new().expect("a decoder"), Vec::new());
    group.bench_function("unpack frames", |bencher| {
        bencher.iter(|| {
            for (frame, stored) in &packed {
                decoder.decode(frame, black_box(stored), &mut plain).expect("unpacked");
            }
        });
    });
}

/// One group, at the default level.
fn patches(criterion: &mut Criterion, update: &Update) {
    const GROUP: usize = 4 << 20;
    let mut group = criterion.benchmark_group("a patch of 4 MiB");
    group.throughput(Throughput::Bytes(GROUP as u64)).sample_size(10);
    let (base, target) = (&update.first[..GROUP], &update.second[..GROUP]);
    group.bench_function("make it", |bencher| {
        bencher.iter(|| {
            encode(black_box(base), target, Effort::new(DEFAULT_PATCH_LEVEL)).expect("a patch").len()
        });
    });
    group.finish();
}

/// Bytes that compress to about a third: words out of few.
fn text(seed: u64, len: usize) -> Vec<u8> {
    let mut numbers = Numbers::from_seed(seed);
    let words: Vec<Vec<u8>> =
        (0..4096).zip((2..9).cycle()).map(|(word, len)| Numbers::from_seed(word).bytes(len)).collect();
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&words[usize::try_from(numbers.below(4096)).expect("it is small")]);
    }
    bytes.truncate(len);
    bytes
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    updating(&mut criterion);
    criterion.final_summary();
}
