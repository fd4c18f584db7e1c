//! Lies in the lists of leaves.

use chunk_index::{DecodeErrorKind, Index};

use super::forge::{Forge, Leaf, Line, Run, runs, varint, varints};
use super::{limit, many, refusal, sum};

/// Three entries, 130 bytes, the second repeated.
const LINES: [Line; 3] = [(1, 10, 0), (2, 20, 4), (3, 20, 0)];

/// An index of these leaves. Its chunks are those of [`LINES`].
fn of(leaves: Vec<Leaf>) -> Forge {
    let mut forge = many().with_leaves(leaves);
    forge.blocks.truncate(1);
    forge.record.blocks = 1;
    forge.record.chunks = 7;
    forge
}

/// Why a leaf of [`LINES`] is refused with this list instead of its own.
fn refusal_of_list(list: Vec<u8>) -> DecodeErrorKind {
    refusal(&of(vec![Leaf { list, ..Leaf::in_one_run(&LINES) }]))
}

/// Short names and lengths of [`LINES`].
fn chunks() -> Vec<u8> {
    let shorts = [1, 2, 3].map(|low| [low, 0, 0, 0, 0, 0]).concat();
    [vec![3], shorts, vec![10, 20, 20]].concat()
}

#[test]
fn the_leaf_that_the_tests_here_change_is_right() {
    let leaf = Leaf::in_one_run(&LINES);
    assert_eq!(leaf.list, [chunks(), vec![1, 1, 3]].concat());
    Index::decode(of(vec![leaf]).file()).unwrap();
}

#[test]
fn a_leaf_without_entries_is_refused() {
    let of = "number of entries";
    assert_eq!(refusal_of_list(vec![0, 0]), DecodeErrorKind::Zero { of });
}

#[test]
fn a_leaf_above_256_entries_is_refused() {
    let lines: Vec<Line> = (0..257).map(|number| (number * 64 + 1, 1, 0)).collect();
    let refused = refusal(&of(vec![Leaf::in_one_run(&lines)]));
    assert_eq!(refused, limit("number of entries", 256, 257));
    let huge = [varint(u64::MAX), vec![0; 99]].concat();
    assert_eq!(refusal_of_list(huge), limit("number of entries", 256, u64::MAX));
}

#[test]
fn a_leaf_that_goes_on_after_its_end_is_refused() {
    let mut lines: Vec<Line> = (0..17).map(|number| (number * 64 + 1, 1, 0)).collect();
    lines[14].0 = 32;
    Index::decode(of_chunks(&lines, 17).file()).unwrap();
    lines[15].0 = 64;
    assert_eq!(refusal(&of_chunks(&lines, 17)), DecodeErrorKind::NodeEndsLate);
    lines.pop();
    Index::decode(of_chunks(&lines, 16).file()).unwrap();
}

fn of_chunks(lines: &[Line], chunks: u64) -> Forge {
    let mut forge = of(vec![Leaf::in_one_run(lines)]);
    forge.record.chunks = chunks;
    forge
}

#[test]
fn a_zero_chunk_ends_a_leaf_as_its_short_name_says() {
    let mut lines: Vec<Line> = (0..17).map(|number| (number * 64 + 1, 1, 0)).collect();
    lines[15] = (0, 1, 0);
    assert_eq!(refusal(&of_chunks(&lines, 17)), DecodeErrorKind::NodeEndsLate);
}

#[test]
fn a_leaf_that_ends_too_early_is_refused() {
    let first = Leaf::in_one_run(&LINES);
    let second = Leaf::in_one_run(&[(9, 9, 0)]);
    assert_eq!(refusal(&of(vec![first, second])), DecodeErrorKind::NodeEndsEarly);
}

#[test]
fn a_chunk_of_no_or_too_many_bytes_is_refused() {
    let mut lines = LINES;
    lines[1].1 = 0;
    let refused = refusal(&of(vec![Leaf::in_one_run(&lines)]));
    assert_eq!(refused, DecodeErrorKind::Zero { of: "length of a chunk" });
    lines[1].1 = 1025;
    let refused = refusal(&of(vec![Leaf::in_one_run(&lines)]));
    assert_eq!(refused, limit("length of a chunk", 1024, 1025));
}

#[test]
fn an_entry_that_should_have_been_a_repeat_is_refused() {
    let lines = [(1, 10, 0), (0, 20, 1), (0, 20, 2), (3, 20, 0)];
    assert_eq!(refusal(&of(vec![Leaf::in_one_run(&lines)])), DecodeErrorKind::UnmergedRepeat);
    // Equal in all but their place: their names differ, whatever the short ones say.
    let lines = [(1, 10, 0), (2, 20, 1), (2, 20, 2), (3, 20, 0)];
    Index::decode(of(vec![Leaf::in_one_run(&lines)]).file()).unwrap();
    // Equal short names with different lengths are different chunks.
    let lines = [(1, 10, 0), (2, 20, 3), (2, 21, 0), (3, 20, 0)];
    Index::decode(of(vec![Leaf::in_one_run(&lines)]).file()).unwrap();
}

#[test]
fn a_repeat_across_two_leaves_is_refused() {
    let mut lines: Vec<Line> = (0..16).map(|number| (number * 64 + 1, 1, 0)).collect();
    lines[15].0 = 32;
    let again = Leaf::of(&[(32, 1, 0)], runs(&[Run { first: 15, ..Run::default() }]));
    let mut forge = of(vec![Leaf::in_one_run(&lines), again]);
    assert_eq!(refusal(&forge), DecodeErrorKind::UnmergedRepeat);
    forge = of(vec![Leaf::in_one_run(&lines), Leaf::in_one_run(&[(32, 2, 0)])]);
    forge.record.chunks = 17;
    Index::decode(forge.file()).unwrap();
}

#[test]
fn repeats_behind_the_last_entry_are_refused() {
    for skipped in [3, u64::MAX] {
        let list = [chunks(), varints(&[1, skipped, 0])].concat();
        assert_eq!(refusal_of_list(list), DecodeErrorKind::RepeatOutsideLeaf);
    }
    // Two that skip to the same end.
    let list = [chunks(), vec![2, 2, 0, 0, 0]].concat();
    assert_eq!(refusal_of_list(list), DecodeErrorKind::RepeatOutsideLeaf);
}

#[test]
fn a_count_of_repeats_is_not_believed() {
    let list = [chunks(), varint(u64::MAX), vec![0; 8]].concat();
    assert_eq!(refusal_of_list(list), DecodeErrorKind::RepeatOutsideLeaf);
    let list = [chunks(), vec![2, 1, 3]].concat();
    assert_eq!(refusal_of_list(list), DecodeErrorKind::Truncated { missing: 1 });
}

#[test]
fn repeats_beyond_64_bits_are_refused() {
    let list = [chunks(), varints(&[1, 1, u64::MAX])].concat();
    assert_eq!(refusal_of_list(list), DecodeErrorKind::VarintTooLong);
    // One less fits, but neither the chunks nor the bytes can be counted.
    let list = [chunks(), varints(&[1, 1, u64::MAX - 1])].concat();
    assert_eq!(refusal_of_list(list), sum("image bytes", 130, u64::MAX));
    // 2^62 times 20 bytes wrap to 0.
    let list = [chunks(), varints(&[1, 1, (1 << 62) - 2])].concat();
    assert_eq!(refusal_of_list(list), sum("image bytes", 130, u64::MAX));
}

#[test]
fn a_sum_of_entries_that_wraps_is_refused() {
    // 2^64 − 120, 250 and 1 bytes wrap to the 131 that are stated.
    let repeats = (u64::MAX - 119) / 8 - 1;
    let lines = [(1, 8, repeats), (2, 250, 0), (3, 1, 0)];
    let leaf = Leaf { image_len: 131, ..Leaf::in_one_run(&lines) };
    assert_eq!((repeats + 1) * 8, 120_u64.wrapping_neg());
    assert_eq!(refusal(&of(vec![leaf])), sum("image bytes", 131, u64::MAX));
}

#[test]
fn totals_that_the_entries_do_not_have_are_refused() {
    let leaf = Leaf { entries: 4, ..Leaf::in_one_run(&LINES) };
    assert_eq!(refusal(&of(vec![leaf])), sum("entries", 4, 3));
    let leaf = Leaf { image_len: 131, ..Leaf::in_one_run(&LINES) };
    assert_eq!(refusal(&of(vec![leaf])), sum("image bytes", 131, 130));
    let mut forge = of(vec![Leaf::in_one_run(&LINES)]);
    forge.record.chunks = 8;
    assert_eq!(refusal(&forge), sum("chunks", 8, 7));
}

#[test]
fn a_list_with_bytes_missing_or_left_over_is_refused() {
    let list = Leaf::in_one_run(&LINES).list;
    for end in 0..list.len() {
        assert!(matches!(refusal_of_list(list[..end].to_vec()), DecodeErrorKind::Truncated { .. }));
    }
    assert_eq!(refusal_of_list([list, vec![0]].concat()), DecodeErrorKind::Surplus { surplus: 1 });
}

#[test]
fn a_length_in_a_longer_form_is_refused() {
    let mut list = Leaf::in_one_run(&LINES).list;
    list[19] |= 0x80;
    list.insert(20, 0);
    assert_eq!(refusal_of_list(list), DecodeErrorKind::VarintNotShortest);
}
