//! The cuts, names and block hashes of `vectors.json` stay what they are.
//!
//! Cuts that move make every client fetch everything once more: a difference here is a change of the format.
//! `cargo run -p chunk-chunker --example vectors` prints the file anew.

use chunk_chunker::image::{BLOCK, BlockTree, Blocks};
use chunk_chunker::{Name, Params, parallel};
use serde::Deserialize;

mod inputs;
mod vectors;

use vectors::{Case, image};

/// The whole file, but for its remarks.
#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

fn cases() -> Vec<Case> {
    let vectors: Vectors =
        serde_json::from_str(include_str!("vectors.json")).expect("the file is well-formed");
    assert!(vectors.cases.len() > 10);
    vectors.cases
}

/// The image of a case, checked to be the one that the rest of the case is about.
fn input(case: &Case) -> Vec<u8> {
    let image = image(&case.input);
    assert_eq!(image.len(), case.input_len, "input of {}", case.name);
    assert_eq!(Name::of(&image).to_string(), case.input_blake3, "input of {}", case.name);
    image
}

#[test]
fn the_cuts_and_names_are_as_frozen() {
    for case in cases() {
        let image = input(&case);
        let params = Params::new(case.min, case.avg, case.max, case.level).expect("within the limits");
        let cuts = parallel::cuts(params, &image);
        assert_eq!(cuts, case.cuts, "{}", case.name);
        let mut names = Vec::new();
        let mut rest = &image[..];
        let mut start = 0;
        for end in cuts {
            let (chunk, behind) = rest.split_at(usize::try_from(end - start).expect("a chunk is in memory"));
            names.push(Name::of(chunk));
            (rest, start) = (behind, end);
        }
        let all = Name::of_parts(names.iter().map(|name| &name.as_bytes()[..]));
        assert_eq!(all.to_string(), case.names_blake3, "{}", case.name);
    }
}

#[test]
fn the_block_hashes_are_as_frozen_and_join_to_the_hash_of_the_image() {
    for case in cases() {
        let image = input(&case);
        let blocks = Blocks::of_len(image.len() as u64);
        let mut tree = BlockTree::new();
        let mut texts = Vec::new();
        for (index, bytes) in (0..).zip(image.chunks(BLOCK)) {
            let hash = blocks.hash(index, bytes);
            texts.push(Name::from_bytes(*hash.as_bytes()).to_string());
            tree.push(hash);
        }
        assert_eq!(texts, case.block_hashes, "{}", case.name);
        assert_eq!(Name::from_bytes(tree.finish()).to_string(), case.input_blake3, "{}", case.name);
    }
}
