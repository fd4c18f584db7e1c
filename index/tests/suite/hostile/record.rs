//! Lies in the record.

use chunk_chunker::ParamsError;
use chunk_index::{Annotations, BuildError, DecodeErrorKind, Index, TextError, TreeBuilder};

use super::forge::{Fields, Forge};
use super::{limit, many, refusal, sum};
use crate::sample::{description, locator, params, word};

/// Why the sample is refused with a record changed like this.
fn refusal_with(change: impl Fn(&mut Fields)) -> DecodeErrorKind {
    let mut forge = many();
    change(&mut forge.record);
    refusal(&forge)
}

#[test]
fn a_record_is_what_bincode_derives_from_the_table_of_the_format() {
    // `Fields` is that table; `Forge::open` decodes it and `Forge::file` encodes it.
    let forge = many();
    assert_eq!(&forge.record.magic, b"chunkver");
    assert_eq!((forge.record.format, forge.record.cutter, forge.record.release), (1, 1, 7));
    assert_eq!((&forge.record.line[..], &forge.record.label[..]), ("image.ext4", "2.1+rc1"));
    assert_eq!(forge.record.annotations[0], ("arch".to_owned(), "riscv64".to_owned()));
    assert_eq!((forge.record.min, forge.record.avg, forge.record.max), (64, 256, 1024));
    assert_eq!((forge.record.blake3, forge.record.sha256), ([0xb3; 32], Some([0x25; 32])));
}

#[test]
fn the_id_is_the_hash_of_the_record() {
    let file = many().file();
    let end = 48 + usize::try_from(u32::from_le_bytes(*file[12..].first_chunk().unwrap())).unwrap();
    let id = Index::decode(&file[..]).unwrap().id();
    assert_eq!(id.as_bytes(), blake3::hash(&file[48..end]).as_bytes());
    assert_eq!(id.to_string(), blake3::hash(&file[48..end]).to_string());
}

#[test]
fn a_record_of_another_kind_is_refused() {
    assert_eq!(refusal_with(|record| record.magic[0] = b'C'), DecodeErrorKind::Magic);
    assert_eq!(refusal_with(|record| record.format = 2), DecodeErrorKind::Version { found: 2 });
    assert_eq!(refusal_with(|record| record.cutter = 2), DecodeErrorKind::Cutter { found: 2 });
}

#[test]
fn unknown_features_matter_only_if_required() {
    let bits = 1 << 63 | 1;
    assert_eq!(refusal_with(|record| record.required = bits), DecodeErrorKind::UnknownFeatures { bits });
    let mut forge = many();
    forge.record.optional = bits;
    let file = forge.file();
    let index = Index::decode(&file).unwrap();
    assert_eq!(index.record().optional_features(), bits);
    assert_eq!(index.record().id(), index.id(), "the id covers bits that mean nothing yet");
    assert_ne!(index.id(), Index::decode(many().file()).unwrap().id());
}

#[test]
fn a_required_feature_is_named_even_if_it_changes_all_that_follows() {
    let mut forge = many();
    forge.record.required = 4;
    forge.edit_record = |bytes| bytes.truncate(26);
    assert_eq!(refusal(&forge), DecodeErrorKind::UnknownFeatures { bits: 4 });
}

#[test]
fn texts_out_of_form_are_refused() {
    use DecodeErrorKind::Text;
    use TextError::{Character, Empty, Start, TooLong};

    assert_eq!(refusal_with(|record| record.line.clear()), Text(Empty));
    assert_eq!(refusal_with(|record| record.line = ".x".into()), Text(Start { found: '.' }));
    assert_eq!(refusal_with(|record| record.label = "-x".into()), Text(Start { found: '-' }));
    for found in ['/', '@', ' ', 'é', '\0', '\n', '%', '~'] {
        let text = format!("a{found}b");
        assert_eq!(refusal_with(|record| record.line.clone_from(&text)), Text(Character { found }));
        assert_eq!(refusal_with(|record| record.label.clone_from(&text)), Text(Character { found }));
        assert_eq!(
            refusal_with(|record| record.annotations[1].0.clone_from(&text)),
            Text(Character { found })
        );
    }
    let long = "x".repeat(129);
    assert_eq!(
        refusal_with(|record| record.label.clone_from(&long)),
        Text(TooLong { limit: 128, found: 129 })
    );
    assert_eq!(word(&long[1..]).as_str().len(), 128);
    for found in ['\n', '\u{7f}', '\u{85}'] {
        let change = |record: &mut Fields| record.annotations[1].1 = format!("a{found}");
        assert_eq!(refusal_with(change), Text(Character { found }));
    }
    let change = |record: &mut Fields| record.annotations[1].1 = "é".repeat(2049);
    assert_eq!(refusal_with(change), Text(TooLong { limit: 4096, found: 4098 }));
}

#[test]
fn a_text_that_is_not_utf8_is_refused() {
    let mut forge = many();
    forge.edit_record = |bytes| bytes[34] = 0xff;
    assert_eq!(refusal(&forge), DecodeErrorKind::NotUtf8);
}

#[test]
fn a_length_of_text_is_not_believed() {
    let mut forge = many();
    forge.edit_record = |bytes| bytes[26..34].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    assert!(matches!(refusal(&forge), DecodeErrorKind::Truncated { .. }));
    forge.edit_record = |bytes| bytes[26..34].fill(0xff);
    assert!(matches!(refusal(&forge), DecodeErrorKind::Truncated { .. }));
    forge.edit_record = |bytes| bytes[27] = 0x10;
    assert!(matches!(refusal(&forge), DecodeErrorKind::Truncated { .. }));
}

#[test]
fn a_release_counts_from_one() {
    let of = "number of the release";
    assert_eq!(refusal_with(|record| record.release = 0), DecodeErrorKind::Zero { of });
}

#[test]
fn annotations_ascend_and_are_few() {
    assert_eq!(refusal_with(|record| record.annotations.swap(0, 1)), DecodeErrorKind::AnnotationOrder);
    let twice = |record: &mut Fields| record.annotations[1].0 = "arch".into();
    assert_eq!(refusal_with(twice), DecodeErrorKind::AnnotationOrder);
    let fill = |count: usize| {
        move |record: &mut Fields| {
            record.annotations = (0..count).map(|key| (format!("k{key:03}"), String::new())).collect();
        }
    };
    assert_eq!(refusal_with(fill(257)), limit("number of annotations", 256, 257));
    let mut forge = many();
    fill(256)(&mut forge.record);
    assert_eq!(Index::decode(forge.file()).unwrap().record().description().annotations.iter().len(), 256);
}

#[test]
fn a_count_of_annotations_is_not_believed() {
    // Behind magic, format and features, the line "image.ext4", the label "2.1+rc1" and the release.
    const COUNT: usize = 26 + 18 + 15 + 8;
    let mut forge = many();
    forge.edit_record = |bytes| {
        assert_eq!(bytes[COUNT..][..8], 2_u64.to_le_bytes());
        bytes[COUNT..][..8].fill(0xff);
    };
    assert_eq!(refusal(&forge), limit("number of annotations", 256, u64::MAX));
}

#[test]
fn an_option_that_is_neither_there_nor_not_is_refused() {
    let mut forge = many();
    // The option is followed by 32 bytes, 14 of cutting, 48 of tree and 40 of blocks.
    forge.edit_record = |bytes| {
        let tag = bytes.len() - 40 - 48 - 14 - 32 - 1;
        assert_eq!(bytes[tag], 1);
        bytes[tag] = 2;
    };
    assert_eq!(refusal(&forge), DecodeErrorKind::OptionTag);
    let mut forge = many();
    forge.record.sha256 = None;
    assert_eq!(Index::decode(forge.file()).unwrap().record().description().sha256, None);
}

#[test]
fn parameters_that_no_cutter_has_are_refused() {
    let odd = DecodeErrorKind::Params(ParamsError::Odd { min: 65, max: 1024 });
    assert_eq!(refusal_with(|record| record.min = 65), odd);
    let level = DecodeErrorKind::Params(ParamsError::LevelTooHigh { actual: 4 });
    assert_eq!(refusal_with(|record| record.level = 4), level);
}

#[test]
fn totals_above_what_an_image_can_have_are_refused() {
    let long = (1 << 48) + 1;
    assert_eq!(refusal_with(|record| record.image_len = long), limit("length of the image", 1 << 48, long));
    let len = many().record.image_len;
    for found in [len + 1, u64::MAX] {
        assert_eq!(refusal_with(|record| record.entries = found), limit("number of entries", len, found));
        assert_eq!(refusal_with(|record| record.chunks = found), limit("number of chunks", len, found));
        let blocks = len.div_ceil(1 << 20);
        assert_eq!(
            refusal_with(|record| record.blocks = found),
            limit("number of block hashes", blocks, found)
        );
    }
}

#[test]
fn totals_that_the_leaves_do_not_have_are_refused() {
    let Fields { entries, chunks, image_len, .. } = many().record;
    assert_eq!(refusal_with(|record| record.entries += 1), sum("entries", entries + 1, entries));
    assert_eq!(refusal_with(|record| record.image_len -= 1), sum("image bytes", image_len - 1, image_len));
    assert_eq!(refusal_with(|record| record.chunks += 1), sum("chunks", chunks + 1, chunks));
}

#[test]
fn block_hashes_that_the_leaves_do_not_call_for_are_refused() {
    let found = many().record.blocks;
    let mut forge = many();
    forge.record.blocks += 1;
    forge.blocks.push([0; 32]);
    assert_eq!(refusal(&forge), sum("blocks", found + 1, found));
    let mut forge = many();
    forge.record.blocks -= 1;
    forge.blocks.pop();
    assert_eq!(refusal(&forge), sum("blocks", found - 1, found));
}

#[test]
fn a_tree_or_blocks_of_another_version_are_refused() {
    let mut forge = many();
    forge.edit_record = |bytes| {
        let end = bytes.len();
        bytes[end - 1] ^= 1;
    };
    assert_eq!(refusal(&forge), DecodeErrorKind::Digest);
    forge.edit_record = |bytes| {
        let end = bytes.len();
        bytes[end - 41] ^= 1;
    };
    assert_eq!(refusal(&forge), DecodeErrorKind::Digest);
}

#[test]
fn an_index_without_leaves_has_nothing_behind_its_head() {
    let mut forge = Forge::open(&crate::sample::build(&[], 0));
    forge.edit_preamble = |bytes| bytes[32] += 1;
    let file = [forge.file(), vec![0]].concat();
    assert!(matches!(super::refusal_of(&file), DecodeErrorKind::Misplaced { .. }));
}

#[test]
fn more_annotations_than_a_record_holds_cannot_be_made() {
    let mut annotations = Annotations::default();
    for key in 0..256 {
        annotations.set(word(&format!("k{key}")), "").unwrap();
    }
    assert_eq!(annotations.set(word("one-more"), ""), Err(TextError::TooMany { limit: 256 }));
    annotations.set(word("k7"), "set again").unwrap();
    assert_eq!((annotations.value("k7"), annotations.value("one-more")), (Some("set again"), None));
    assert!(matches!(annotations.set(word("k7"), "\n"), Err(TextError::Character { found: '\n' })));
    assert!(matches!(annotations.set(word("k7"), &"x".repeat(4097)), Err(TextError::TooLong { .. })));
}

#[test]
fn a_record_too_long_to_be_read_is_not_written() {
    let mut long = description();
    for key in 0..16 {
        long.annotations.set(word(&format!("k{key}")), &"x".repeat(4096)).unwrap();
    }
    let built = TreeBuilder::new(params()).finish(long, &locator(0), &[], &mut Vec::new());
    assert!(matches!(built, Err(BuildError::RecordTooLong { limit: 65536, .. })));
}
