//! Lies in the lists and maps of branches and of the top.

use chunk_index::{DecodeErrorKind, Index};

use super::forge::{Edit, Leaf, Run, runs};
use super::{limit, many, refusal, sum};

#[test]
fn a_branch_that_goes_on_too_long_is_refused() {
    let mut forge = many();
    let moved = forge.branches[1].remove(0);
    forge.branches[0].push(moved);
    assert_eq!(refusal(&forge), DecodeErrorKind::NodeEndsLate);
    let mut forge = many();
    forge.branches = vec![forge.branches.concat()];
    assert_eq!(refusal(&forge), DecodeErrorKind::NodeEndsLate);
}

#[test]
fn a_branch_that_ends_too_early_is_refused() {
    let mut forge = many();
    let moved = forge.branches[0].pop().unwrap();
    forge.branches[1].insert(0, moved);
    assert_eq!(refusal(&forge), DecodeErrorKind::NodeEndsEarly);
}

#[test]
fn a_branch_without_leaves_is_refused() {
    let mut forge = many();
    forge.branches.insert(1, Vec::new());
    assert_eq!(refusal(&forge), DecodeErrorKind::Zero { of: "number of leaves" });
}

#[test]
fn totals_of_a_branch_that_its_leaves_do_not_have_are_refused() {
    let mut forge = many();
    let stated = forge.branches[1][3].entries;
    forge.branches[1][3].entries += 1;
    forge.branches[1][4].entries -= 1;
    assert_eq!(refusal(&forge), sum("entries", stated + 1, stated));
    let mut forge = many();
    let stated = forge.branches[1][3].image_len;
    forge.branches[1][3].image_len -= 1;
    forge.branches[1][4].image_len += 1;
    assert_eq!(refusal(&forge), sum("image bytes", stated - 1, stated));
}

#[test]
fn totals_of_the_top_that_a_branch_does_not_have_are_refused() {
    let mut forge = many();
    forge.edit_branch_list = |list| {
        let first_leaf = usize::from(list[0]) * 32 + 1;
        list[first_leaf] += 1;
    };
    let entries: u64 = forge.branches[1].iter().map(|leaf| leaf.entries).sum();
    assert_eq!(refusal(&forge), sum("entries", entries, entries + 1));
}

#[test]
fn totals_beyond_64_bits_are_refused() {
    let mut forge = many();
    for leaf in &mut forge.branches[1][..2] {
        leaf.entries += 1 << 63;
        leaf.image_len += 1 << 63;
    }
    // The parents' sums wrap to what they were, so only an addition that does not wrap notices.
    let entries: u64 = many().branches[1].iter().map(|leaf| leaf.entries).sum();
    assert_eq!(refusal(&forge), sum("entries", entries, u64::MAX));
    for leaf in &mut forge.branches[1][..2] {
        leaf.entries -= 1 << 63;
    }
    assert!(matches!(refusal(&forge), DecodeErrorKind::Sum { of: "image bytes", .. }));
}

#[test]
fn a_count_of_children_is_not_believed() {
    let mut forge = many();
    forge.edit_top_list = |list| {
        list.splice(..1, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    };
    assert!(matches!(refusal(&forge), DecodeErrorKind::Truncated { .. }));
    forge.edit_top_list = |list| {
        list.splice(..1, [0x80, 0x80, 0x80, 0x80, 0x80, 0x20]);
    };
    assert!(matches!(refusal(&forge), DecodeErrorKind::Truncated { .. }));
    let mut forge = many();
    forge.edit_branch_list = |list| list[0] += 1;
    assert!(matches!(refusal(&forge), DecodeErrorKind::Truncated { .. }));
    forge.edit_branch_list = |list| list[0] -= 1;
    assert!(matches!(refusal(&forge), DecodeErrorKind::Surplus { .. } | DecodeErrorKind::VarintTooLong));
}

#[test]
fn a_varint_that_could_be_shorter_is_refused() {
    let mut forge = many();
    forge.edit_branch_list = |list| {
        list[0] |= 0x80;
        list.insert(1, 0);
    };
    assert_eq!(refusal(&forge), DecodeErrorKind::VarintNotShortest);
    let mut forge = many();
    forge.edit_top_map = |map| {
        // The offset of the first branch has two bytes.
        map[1] |= 0x80;
        map.insert(2, 0);
    };
    assert_eq!(refusal(&forge), DecodeErrorKind::VarintNotShortest);
}

#[test]
fn a_varint_of_more_than_64_bits_is_refused() {
    let mut forge = many();
    forge.edit_branch_map = |map| {
        map.splice(..2, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]);
    };
    assert_eq!(refusal(&forge), DecodeErrorKind::VarintTooLong);
    forge.edit_branch_map = |map| {
        map.splice(..2, [0x80; 10]);
    };
    assert_eq!(refusal(&forge), DecodeErrorKind::VarintTooLong);
}

#[test]
fn nodes_that_overlap_or_leave_a_gap_are_refused() {
    let mut forge = many();
    forge.edit_top_map = |map| map[0] ^= 1;
    assert!(matches!(refusal(&forge), DecodeErrorKind::Misplaced { .. }));
    let edits: [Edit; 3] = [|map| map[0] ^= 1, |map| map[1] += 1, |map| map[1] -= 1];
    for edit in edits {
        let mut forge = many();
        forge.edit_branch_map = edit;
        assert!(matches!(refusal(&forge), DecodeErrorKind::Misplaced { .. }));
    }
}

#[test]
fn a_node_behind_the_end_of_the_file_is_refused() {
    let mut forge = many();
    forge.edit_branch_map = |map| {
        map.splice(..2, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    };
    assert!(matches!(refusal(&forge), DecodeErrorKind::Misplaced { found: u64::MAX, .. }));
}

#[test]
fn a_node_longer_than_any_node_is_refused() {
    let mut forge = many();
    forge.branches[1][2].map.resize(1 << 15, 0);
    assert_eq!(refusal(&forge), limit("length of a map", 1 << 15, (1 << 15) + 4));
    let mut forge = many();
    forge.branches[1][2].list.resize((1 << 15) + 1, 0);
    assert_eq!(refusal(&forge), limit("length of a list", 1 << 15, (1 << 15) + 1));
}

#[test]
fn a_leaf_that_its_branch_does_not_state_is_refused() {
    let mut file = many().file();
    let index = Index::decode(file.clone()).unwrap();
    let leaf = index.leaves().nth(20).unwrap();
    file[usize::try_from(leaf.list().end).unwrap() - 1] ^= 1;
    assert_eq!(super::refusal_of(&file), DecodeErrorKind::Digest);
}

#[test]
fn the_longest_leaf_is_not_too_long() {
    // 256 entries, each with the longest length, many repeats and a run of its own.
    let lines: Vec<_> = (0..256).map(|number| (number * 64 + 1, 1024, 1 << 28)).collect();
    let run = |number: u64| Run {
        count: 1,
        at: Some((1, (1 << 20) - 4096 + number)),
        stored_len: 3000,
        plain_len: (4 << 20) - number,
        raw: false,
        first: (4 << 20) - 2000 - number,
    };
    let leaf = Leaf::of(&lines, runs(&(0..256).map(run).collect::<Vec<_>>()));
    assert!(leaf.list.len() < 1 << 15 && leaf.map.len() < 1 << 15);
    let mut forge = many().with_leaves(vec![leaf]);
    forge.record.chunks = 256 * ((1 << 28) + 1);
    let blocks = forge.record.image_len.div_ceil(1 << 20);
    assert!(blocks > 1 << 20, "so its hashes are left out here, and missed last of all");
    assert!(matches!(refusal(&forge), DecodeErrorKind::Sum { of: "blocks", .. }));
}
