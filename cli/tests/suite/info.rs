//! `chunk info`: what a version is.

use std::collections::BTreeSet;

use serde_json::json;

use crate::image;
use crate::oracle;
use crate::sandbox::{Sandbox, keys, number};

/// A store with one version whose image is zeros, a run of equal chunks and different ones.
fn published() -> (Sandbox, Vec<u8>) {
    let sandbox = Sandbox::new();
    // The same byte everywhere gives no cut, so this is a run of equal chunks of the maximum length.
    let image = [image::disk(1), vec![0xff; 1 << 20], image::noise(9, 10_000)].concat();
    sandbox.write("a.img", &image);
    sandbox.chunk("make --sha256 --arch x86_64 a.img").succeeds();
    (sandbox, image)
}

#[test]
fn the_chunks_are_those_of_the_image() {
    let (sandbox, image) = published();
    let info = sandbox.chunk("info --json store/a.img.cidx").succeeds().json();
    let chunks = oracle::chunks(&image);
    let lens: Vec<u64> = chunks.iter().map(|chunk| chunk.image.end - chunk.image.start).collect();
    let zeros: u64 = chunks.iter().zip(&lens).filter(|(chunk, _)| chunk.is_zero).map(|(_, len)| len).sum();
    let distinct: BTreeSet<_> =
        chunks.iter().filter(|chunk| !chunk.is_zero).map(|chunk| chunk.name).collect();
    let repeats = chunks.windows(2).filter(|pair| pair[0].name == pair[1].name).count();
    assert!(repeats > 10 && distinct.len() > 50, "the image is worth the test");
    assert_eq!(
        info["chunks"],
        json!({
            "total": chunks.len(),
            "entries": chunks.len() - repeats,
            "distinct": distinct.len(),
            "zero": chunks.iter().filter(|chunk| chunk.is_zero).count(),
            "zero_bytes": zeros,
            "least_bytes": lens.iter().min(),
            "mean_bytes": image.len() / chunks.len(),
            "most_bytes": lens.iter().max(),
        })
    );
}

#[test]
fn the_parts_of_index_and_packs_add_up_to_the_files() {
    let (sandbox, _) = published();
    let info = sandbox.chunk("info --json store/a.img.cidx").succeeds().json();
    let parts = &info["index"];
    assert_eq!(keys(parts), ["block_hashes", "branches", "bytes", "head", "leaves"]);
    assert_eq!(number(parts, "bytes"), sandbox.read("store/a.img.cidx").len() as u64);
    let sum: u64 =
        ["block_hashes", "branches", "head", "leaves"].iter().map(|part| number(parts, part)).sum();
    assert_eq!(sum, number(parts, "bytes"));
    let packs = oracle::packs(&sandbox.path("store"));
    let frames: Vec<_> = packs.values().flat_map(|pack| &pack.frames).collect();
    assert!(frames.iter().any(|frame| frame.is_raw) && !frames.iter().all(|frame| frame.is_raw));
    let frame_bytes: u64 = frames.iter().map(|frame| frame.file.end - frame.file.start).sum();
    assert_eq!(number(&info, "packs"), 1);
    assert_eq!(
        number(&info, "pack_bytes"),
        sandbox.read(format!("store/packs/{}", packs.keys().next().expect("there is one"))).len() as u64
    );
    assert_eq!((number(&info, "frames"), number(&info, "frame_bytes")), (frames.len() as u64, frame_bytes));
}

#[test]
fn the_hashes_are_those_of_image_and_record() {
    let (sandbox, image) = published();
    let info = sandbox.chunk("info --json store/a.img.cidx").succeeds().json();
    assert_eq!(info["blake3"], blake3::hash(&image).to_string());
    let index = sandbox.read("store/a.img.cidx");
    let record_len = u32::from_le_bytes(index[12..16].try_into().expect("four bytes"));
    let record = &index[48..][..usize::try_from(record_len).expect("it fits")];
    assert_eq!(info["id"], blake3::hash(record).to_string(), "the id is the hash of the record");
}

#[test]
fn the_text_says_what_the_json_says() {
    let (sandbox, image) = published();
    let info = sandbox.chunk("info --json store/a.img.cidx").succeeds().json();
    let run = sandbox.chunk("info store/a.img.cidx").succeeds();
    let lines: Vec<_> = run.text().lines().collect();
    let titles: Vec<_> = lines.iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(
        titles,
        [
            "version",
            "id",
            "image",
            "blake3",
            "sha256",
            "annotation",
            "cut",
            "chunks",
            "zeros",
            "stored",
            "index"
        ]
    );
    let text = |key: &str| info[key].as_str().expect("a text");
    assert_eq!(lines[0], "version      a.img@1, release 1");
    assert_eq!(lines[1], format!("id           {}", text("id")));
    assert_eq!(lines[2], format!("image        {} bytes (6.45 MB)", image.len()));
    assert_eq!(lines[3], format!("blake3       {}", text("blake3")));
    assert_eq!(lines[4], format!("sha256       {}", text("sha256")));
    assert_eq!(lines[5], "annotation   arch=x86_64");
}
