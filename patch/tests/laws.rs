//! For any base and target: decoding a patch gives the target, in pieces of any size.

use chunk_patch::{Decoder, Effort, Limits, encode};
use proptest::prelude::*;

fn decode(patch: &[u8], base: &[u8], target_len: usize, piece: usize) -> Vec<u8> {
    let length = u64::try_from(target_len).expect("lengths fit");
    let mut decoder = Decoder::new(patch, base, length, &Limits::default()).expect("a patch opens");
    let mut target = Vec::new();
    let mut out = vec![0; piece];
    loop {
        match decoder.read(&mut out).expect("a patch decodes") {
            0 => return target,
            count => target.extend_from_slice(&out[..count]),
        }
    }
}

/// An edit of a base: what a target keeps, replaces, inserts or takes from elsewhere.
#[derive(Clone, Debug)]
enum Edit {
    Keep(usize),
    Skip(usize),
    Insert(Vec<u8>),
    Add(usize, u8),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        (1..4000_usize).prop_map(Edit::Keep),
        (1..4000_usize).prop_map(Edit::Skip),
        prop::collection::vec(any::<u8>(), 1..300).prop_map(Edit::Insert),
        (1..600_usize, any::<u8>()).prop_map(|(length, add)| Edit::Add(length, add)),
    ];
    prop::collection::vec(edit, 0..40)
}

fn apply(base: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut at = 0;
    let mut target = Vec::new();
    for edit in edits {
        let rest = &base[at.min(base.len())..];
        match edit {
            Edit::Keep(length) => {
                target.extend_from_slice(&rest[..rest.len().min(*length)]);
                at += length;
            }
            Edit::Skip(length) => at += length,
            Edit::Insert(bytes) => target.extend_from_slice(bytes),
            Edit::Add(length, add) => {
                target.extend(rest.iter().take(*length).map(|byte| byte.wrapping_add(*add)));
                at += length;
            }
        }
    }
    target
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_edited_base_is_rebuilt(
        base in prop::collection::vec(any::<u8>(), 0..40_000),
        edits in edits(),
        level in 1..22_u8,
        piece in 1..70_000_usize,
    ) {
        let target = apply(&base, &edits);
        let patch = encode(&base, &target, Effort::new(level)).expect("a patch is made");
        prop_assert_eq!(decode(&patch, &base, target.len(), piece), target);
    }

    #[test]
    fn unrelated_bytes_cost_hardly_more_than_themselves(
        base in prop::collection::vec(any::<u8>(), 0..2000),
        target in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let patch = encode(&base, &target, Effort::default()).expect("a patch is made");
        prop_assert!(patch.len() <= target.len() + 16);
        prop_assert_eq!(decode(&patch, &base, target.len(), 4096), target);
    }
}
