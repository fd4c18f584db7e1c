//! The worked example of FORMAT.md: `data/example.hex`, with a remark for each field.

use std::num::NonZeroU64;

use chunk_chunker::image::Blocks;
use chunk_chunker::{Name, Params, cut, is_zero};
use chunk_index::{
    Annotations, Block, Description, FrameRef, Index, Location, Locator, PackRef, ShortName, TreeBuilder,
};

use crate::sample::word;

const TEXT: &[u8] = b"hello, chunk!\n";

/// Three zero chunks and a last chunk of text.
fn image() -> Vec<u8> {
    [&vec![0; 3 * 65536], TEXT].concat()
}

/// The only pack: one raw frame that holds the text (FORMAT 5).
fn pack() -> Vec<u8> {
    let mut table = Vec::new();
    for field in [1, 1, 14, 14 * 2 + 1, 1] {
        table.extend(u32::to_le_bytes(field));
    }
    table.extend(Name::of(TEXT).as_bytes());
    table.extend(14_u32.to_le_bytes());
    let header = b"chunkpak\x01\0\0\0\0\0\0\0";
    let table_at = u64::try_from(header.len() + TEXT.len()).unwrap().to_le_bytes();
    [&header[..], TEXT, &table, &table_at, blake3::hash(&table).as_bytes(), b"chunkend"].concat()
}

/// The bytes of the example: two digits each, up to a `#`.
fn example() -> Vec<u8> {
    let text = include_str!("../data/example.hex");
    let digits = text.lines().filter_map(|line| line.split('#').next()).flat_map(str::split_whitespace);
    digits.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// The index as this crate writes it.
fn written() -> Vec<u8> {
    let image = image();
    let params = Params::new(2048, 8192, 65536, 2).unwrap();
    let frame = FrameRef { offset: 16, stored_len: 14, plain_len: 14, raw: true };
    let there = Location { pack: 0, frame, first: 0 };
    let mut builder = TreeBuilder::new(params);
    let mut leaves = Vec::new();
    let mut rest = &image[..];
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(cut(params, rest));
        let len = u32::try_from(chunk.len()).unwrap();
        let (short, location) = if is_zero(chunk) {
            (ShortName::ZERO, None)
        } else {
            (ShortName::of(&Name::of(chunk)), Some(there))
        };
        builder.push(short, len, 1, location, &mut leaves).unwrap();
        rest = after;
    }
    let pack = PackRef { name: *blake3::hash(&pack()).as_bytes(), len: u32::try_from(pack().len()).unwrap() };
    let mut annotations = Annotations::default();
    annotations.set(word("arch"), "any").unwrap();
    let description = Description {
        line: word("demo"),
        label: word("1"),
        release: NonZeroU64::MIN,
        annotations,
        blake3: *blake3::hash(&image).as_bytes(),
        sha256: None,
    };
    let blocks = [Blocks::of_len(196_622).hash(0, &image)];
    let locator = Locator::new(vec![pack]).unwrap();
    let front = builder.finish(description, &locator, &blocks, &mut leaves).unwrap();
    [front.bytes, leaves].concat()
}

#[test]
fn the_example_is_what_the_builder_writes() {
    let written = written();
    let hex: Vec<String> = written.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(example(), written, "written: {}", hex.join(" "));
}

#[test]
fn the_parts_of_the_example_start_where_their_titles_say() {
    let mut at = 0;
    let mut titles = 0;
    for line in include_str!("../data/example.hex").lines() {
        let (bytes, remark) = line.split_once('#').unwrap_or((line, ""));
        if let Some(Ok(title)) = remark.split_whitespace().next().map(str::parse::<usize>)
            && bytes.is_empty()
        {
            assert_eq!(title, at, "{line}");
            titles += 1;
        }
        at += bytes.split_whitespace().count();
    }
    assert_eq!(titles, 10);
}

#[test]
fn the_example_says_what_its_remarks_say() {
    let bytes = example();
    let index = Index::decode(&bytes).unwrap();
    let entries: Vec<_> = index.entries().map(|placed| (placed.image, placed.entry.repeats)).collect();
    assert_eq!(entries, [(0..196_608, 2), (196_608..196_622, 0)]);
    assert_eq!(index.entries().nth(1).unwrap().entry.short, ShortName::of(&Name::of(TEXT)));
    let Some((0, Block::Hash(hash))) = index.blocks().next() else { panic!("the only block is not silent") };
    assert_eq!(hash.as_bytes(), &index.record().description().blake3);
}
