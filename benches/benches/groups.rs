//! How fast a group is decoded: with its addresses mapped, and as zstd does it without.
//!
//! The group leads from the file `CHUNK_BENCH_BASE` to the file `CHUNK_BENCH_TARGET`, or, without them, for each
//! machine from one small program to another.

#![expect(clippy::unwrap_used, reason = "the functions of a test's module are no tests to the lint")]

use std::hint::black_box;

use chunk_patch::{Decoder, Effort, Limits, encode};
use criterion::{Criterion, Throughput};

#[path = "../../patch/tests/program/mod.rs"]
mod program;

/// Functions of the small program.
const FUNCTIONS: usize = 3000;

fn decoding(criterion: &mut Criterion) {
    let cases = files().map_or_else(linked, |(base, target)| vec![("files".to_owned(), base, target)]);
    for (name, base, target) in cases {
        let mut group = criterion.benchmark_group(format!("decode a group of {name}"));
        group.throughput(Throughput::Bytes(target.len() as u64)).sample_size(10);
        for (what, level) in [("zstd", 1), ("addresses mapped", 19)] {
            let patch = encode(&base, &target, Effort::new(level)).expect("a patch is made");
            let what = format!("{what}, {} bytes to {}", patch.len(), target.len());
            let mut out = vec![0; target.len()];
            group.bench_function(what, |bencher| {
                bencher.iter(|| decode(black_box(&patch), &base, &mut out));
            });
            assert!(out == target, "the patch gives another target");
        }
        group.finish();
    }
}

/// The files that the environment names.
fn files() -> Option<(Vec<u8>, Vec<u8>)> {
    let read = |name| std::env::var_os(name).map(|path| std::fs::read(path).expect("a readable file"));
    read("CHUNK_BENCH_BASE").zip(read("CHUNK_BENCH_TARGET"))
}

/// For each machine a program, and the same with its functions in another order.
fn linked() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let functions = program::functions(FUNCTIONS, 1);
    let order: Vec<usize> = (0..FUNCTIONS).collect();
    let moved: Vec<usize> = (FUNCTIONS / 3..FUNCTIONS).chain(0..FUNCTIONS / 3).collect();
    let x86 = |name: &str, link: fn(&[program::Function], &[usize]) -> Vec<u8>| {
        (name.to_owned(), link(&functions, &order), link(&functions, &moved))
    };
    let x86 = [x86("x86-64", program::link), x86("x86-64 with landing pads", program::link_with_pads)];
    let other = |set| {
        let link = |order| program::link_for(set, &functions, order);
        (format!("{set:?}"), link(&order), link(&moved))
    };
    x86.into_iter().chain(program::Set::ALL.map(other)).collect()
}

fn decode(patch: &[u8], base: &[u8], out: &mut [u8]) {
    let mut decoder = Decoder::new(patch, base, out.len() as u64, &Limits::default()).expect("a patch opens");
    let mut made = 0;
    while made < out.len() {
        let count = decoder.read(&mut out[made..]).expect("a patch decodes");
        assert!(count > 0, "the patch ends early");
        made += count;
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    decoding(&mut criterion);
    criterion.final_summary();
}
