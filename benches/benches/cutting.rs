//! How fast an image is cut, in each of the ways there are, beside the crate whose cuts they are and beside the
//! hashing that follows.

use std::hint::black_box;
use std::time::Duration;

use chunk_chunker::image::{BLOCK, BlockTree, Blocks};
use chunk_chunker::{Chunks, Cutter, Name, Params, Segment, cut, parallel, scan};
use criterion::{Criterion, Throughput};
use fastcdc::v2020::{FastCDC, Normalization};

#[path = "../../chunker/tests/inputs/mod.rs"]
mod inputs;

/// Far more than caches hold.
const IMAGE: usize = 64 << 20;

fn cutting(criterion: &mut Criterion) {
    let image = inputs::random(1, IMAGE);
    for avg in [4096, 8192, 16384] {
        let params = Params::new(avg / 4, avg, 8 * avg, 2).expect("within the limits");
        let mut group = criterion.benchmark_group(format!("cut random bytes, avg {avg}"));
        group.throughput(Throughput::Bytes(IMAGE as u64));
        group.bench_function("fastcdc crate", |bencher| {
            bencher.iter(|| {
                let [min, avg, max] = [params.min(), params.avg(), params.max()].map(|size| size as usize);
                FastCDC::with_level(black_box(&image), min, avg, max, Normalization::Level2).count()
            });
        });
        group.bench_function("cut", |bencher| bencher.iter(|| one_by_one(params, black_box(&image))));
        group.bench_function("scan and select", |bencher| {
            bencher.iter(|| scan_and_select(params, black_box(&image)));
        });
        group.bench_function("stream", |bencher| bencher.iter(|| streamed(params, black_box(&image))));
        group
            .bench_function("parallel", |bencher| bencher.iter(|| parallel::cuts(params, black_box(&image))));
        group.finish();
    }
}

fn zeros(criterion: &mut Criterion) {
    let image = vec![0; IMAGE];
    let mut group = criterion.benchmark_group("cut zeros");
    group.throughput(Throughput::Bytes(IMAGE as u64));
    group.bench_function("scan and select", |bencher| {
        bencher.iter(|| scan_and_select(Params::DEFAULT, black_box(&image)));
    });
    group.finish();
}

/// What a block costs while it is in the cache of the processor that read it.
fn one_block(criterion: &mut Criterion) {
    let block = inputs::random(2, BLOCK);
    let mut group = criterion.benchmark_group("one block");
    group.throughput(Throughput::Bytes(BLOCK as u64));
    group.bench_function("scan", |bencher| bencher.iter(|| scan(Params::DEFAULT, black_box(&block))));
    group.bench_function("cut", |bencher| bencher.iter(|| one_by_one(Params::DEFAULT, black_box(&block))));
    group.finish();
}

fn hashing(criterion: &mut Criterion) {
    let image = inputs::random(1, IMAGE);
    let ends = parallel::cuts(Params::DEFAULT, &image);
    let mut group = criterion.benchmark_group("hash random bytes");
    group.throughput(Throughput::Bytes(IMAGE as u64));
    group.bench_function("name each chunk", |bencher| {
        bencher.iter(|| {
            let mut rest = black_box(&image[..]);
            let mut start = 0;
            for &end in &ends {
                let (chunk, behind) = rest.split_at(usize::try_from(end - start).expect("in memory"));
                black_box(Name::of(chunk));
                (rest, start) = (behind, end);
            }
        });
    });
    group.bench_function("hash and join each block", |bencher| {
        let blocks = Blocks::of_len(IMAGE as u64);
        bencher.iter(|| {
            let mut tree = BlockTree::new();
            for (index, bytes) in (0..).zip(black_box(&image).chunks(BLOCK)) {
                tree.push(blocks.hash(index, bytes));
            }
            tree.finish()
        });
    });
    group.finish();
}

fn one_by_one(params: Params, mut rest: &[u8]) -> usize {
    let mut chunks = 0;
    while !rest.is_empty() {
        rest = &rest[cut(params, rest)..];
        chunks += 1;
    }
    chunks
}

fn scan_and_select(params: Params, image: &[u8]) -> usize {
    let mut chunks = 0;
    let mut cutter = Cutter::new(params);
    for (offset, bytes) in (0..).step_by(BLOCK).zip(image.chunks(BLOCK)) {
        cutter.push(Segment::new(offset, bytes, Some(scan(params, bytes))));
        while cutter.next_chunk().is_some() {
            chunks += 1;
        }
        while cutter.release().is_some() {}
    }
    cutter.finish();
    chunks + std::iter::from_fn(|| cutter.next_chunk()).count()
}

fn streamed(params: Params, image: &[u8]) -> usize {
    let mut count = 0;
    let mut chunks = Chunks::new(params, image);
    while chunks.next_chunk().expect("memory does not fail").is_some() {
        count += 1;
    }
    count
}

fn main() {
    let mut criterion =
        Criterion::default().sample_size(20).measurement_time(Duration::from_secs(3)).configure_from_args();
    cutting(&mut criterion);
    zeros(&mut criterion);
    one_block(&mut criterion);
    hashing(&mut criterion);
    criterion.final_summary();
}
