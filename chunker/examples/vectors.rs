//! Prints `tests/vectors.json`, with the cuts of the reference and the hashes of the plain blake3 crate:
//! nothing that the file is there to test.
//!
//! ```shell
//! cargo run -p chunk-chunker --example vectors > chunker/tests/vectors.json
//! ```

use std::io::{self, Write};

use blake3::hazmat::HasherExt;
use chunk_chunker::Params;

#[path = "../tests/inputs/mod.rs"]
mod inputs;
#[path = "../tests/reference/mod.rs"]
mod reference;
#[path = "../tests/vectors/mod.rs"]
mod vectors;

use vectors::{Case, Part, image};

const ABOUT: [&str; 7] = [
    "Cuts, names and block hashes of FORMAT.md, sections 1 to 3.",
    "input: parts, one after the other. random: the first len bytes of SplitMix64 seeded with seed, each word little-endian.",
    "constant: len times the byte. cycle: the first period bytes of random, repeated up to len bytes.",
    "input_len, input_blake3: to be checked first.",
    "block_hashes: of the blocks of 2^20 bytes, in order.",
    "cuts: where the chunks end, from the start of the input.",
    "names_blake3: BLAKE3 of the names of all chunks, 32 bytes each, in order.",
];

fn main() -> io::Result<()> {
    let random = |seed, len| Part::Random { seed, len };
    let zeros = |len| Part::Constant { byte: 0, len };
    let usual = (2048, 8192, 65536, 2);
    let small = (64, 256, 1024, 0);
    let cases = vec![
        case("nothing", usual, vec![]),
        case("one byte", usual, vec![random(1, 1)]),
        case("as long as the smallest chunk", usual, vec![random(1, 2048)]),
        case("longer than the smallest chunk by one", usual, vec![random(1, 2049)]),
        case("an odd number of bytes below the average", usual, vec![random(2, 8191)]),
        case("one block", usual, vec![random(3, 1 << 20)]),
        case("one block and a byte", usual, vec![random(3, (1 << 20) + 1)]),
        case("random", usual, vec![random(4, 3_000_001)]),
        case("random, level 0", (2048, 8192, 65536, 0), vec![random(4, 1_000_000)]),
        case("random, level 3", (2048, 8192, 65536, 3), vec![random(4, 1_000_000)]),
        case("random, larger chunks", (16384, 65536, 262_144, 1), vec![random(5, 3_000_001)]),
        case("random, smallest parameters", small, vec![random(6, 30_001)]),
        case("random, masks that are not nested", (64, 256, 1024, 3), vec![random(6, 30_001)]),
        case("random, min, avg and max alike", (1024, 1024, 1024, 1), vec![random(7, 10_000)]),
        case("zeros", usual, vec![zeros((5 << 20) + 3)]),
        case("zeros, cut where their window is not full", small, vec![zeros(10_000)]),
        case(
            "zeros between random bytes",
            usual,
            vec![random(8, 99_999), zeros(2_000_000), random(9, 99_999)],
        ),
        case("cycle", usual, vec![Part::Cycle { seed: 10, period: 5000, len: 500_000 }]),
        case(
            "a cut at every byte after min",
            (64, 512, 4096, 0),
            vec![Part::Constant { byte: 57, len: 10_001 }],
        ),
    ];
    // A line for each case, so that a difference shows which.
    let lines = cases.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?.join(",\n");
    let about = serde_json::to_string_pretty(&ABOUT)?;
    writeln!(io::stdout(), "{{\"about\": {about},\n\"cases\": [\n{lines}\n]}}")
}

fn case(name: &str, (min, avg, max, level): (u32, u32, u32, u8), input: Vec<Part>) -> Case {
    let params = Params::new(min, avg, max, level).expect("chosen within the limits");
    let image = image(&input);
    let cuts = reference::cuts(params, &image);
    Case {
        name: name.to_owned(),
        min,
        avg,
        max,
        level,
        input,
        input_len: image.len(),
        input_blake3: blake3::hash(&image).to_string(),
        block_hashes: block_hashes(&image),
        names_blake3: names_blake3(&image, &cuts),
        cuts,
    }
}

fn block_hashes(image: &[u8]) -> Vec<String> {
    const BLOCK: usize = 1 << 20;
    if image.len() <= BLOCK {
        return image.chunks(BLOCK).map(|block| blake3::hash(block).to_string()).collect();
    }
    let offsets = (0..).step_by(BLOCK);
    let hashes = offsets.zip(image.chunks(BLOCK)).map(|(offset, block)| {
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(offset).update(block);
        blake3::Hash::from_bytes(hasher.finalize_non_root()).to_string()
    });
    hashes.collect()
}

fn names_blake3(image: &[u8], cuts: &[u64]) -> String {
    let mut all = blake3::Hasher::new();
    let mut start = 0;
    for &end in cuts {
        let end = usize::try_from(end).expect("the image is in memory");
        all.update(blake3::hash(&image[start..end]).as_bytes());
        start = end;
    }
    all.finalize().to_string()
}
