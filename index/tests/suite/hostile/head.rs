//! Lies in the preamble and the locator.

use chunk_index::{DecodeErrorKind, Index, Locator, LocatorError, PackRef, PatchRef, Ways, WaysError};

use super::forge::PatchRow;
use super::{limit, many, refusal, refusal_of};

#[test]
fn a_preamble_of_another_kind_or_version_is_refused() {
    let mut forge = many();
    forge.edit_preamble = |bytes| bytes[7] = b'y';
    assert_eq!(refusal(&forge), DecodeErrorKind::Magic);
    forge.edit_preamble = |bytes| bytes[8] = 2;
    assert_eq!(refusal(&forge), DecodeErrorKind::Version { found: 2 });
    forge.edit_preamble = |bytes| bytes[9] = 1;
    assert_eq!(refusal(&forge), DecodeErrorKind::Version { found: 257 });
}

#[test]
fn a_reserved_field_in_use_is_refused() {
    let mut forge = many();
    forge.edit_preamble = |bytes| bytes[10] = 1;
    assert_eq!(refusal(&forge), DecodeErrorKind::Reserved);
    forge.edit_preamble = |bytes| bytes[31] = 1;
    assert_eq!(refusal(&forge), DecodeErrorKind::Reserved);
}

#[test]
fn lengths_above_their_limits_are_refused() {
    let mut forge = many();
    forge.edit_preamble = |bytes| bytes[12..16].copy_from_slice(&65537_u32.to_le_bytes());
    assert_eq!(refusal(&forge), limit("length of the record", 65536, 65537));
    forge.edit_preamble = |bytes| bytes[16..20].copy_from_slice(&((1_u32 << 24) + 1).to_le_bytes());
    assert_eq!(refusal(&forge), limit("length of the locator", 1 << 24, (1 << 24) + 1));
    let mut forge = many();
    forge.edit_preamble = |bytes| bytes[20..24].copy_from_slice(&((1_u32 << 26) + 1).to_le_bytes());
    assert_eq!(refusal(&forge), limit("length of the top list", 1 << 26, (1 << 26) + 1));
    let mut forge = many();
    forge.edit_preamble = |bytes| bytes[24..28].copy_from_slice(&((1_u32 << 26) + 1).to_le_bytes());
    assert_eq!(refusal(&forge), limit("length of the top map", 1 << 26, (1 << 26) + 1));
}

#[test]
fn a_head_longer_than_the_file_is_refused() {
    let mut forge = many();
    forge.edit_preamble = |bytes| bytes[23] = 3;
    assert!(matches!(refusal(&forge), DecodeErrorKind::Truncated { missing } if missing > 50_000_000));
}

#[test]
fn a_wrong_length_of_file_is_refused() {
    let mut forge = many();
    forge.edit_preamble = |bytes| bytes[32] -= 1;
    assert!(matches!(refusal(&forge), DecodeErrorKind::Surplus { surplus: 1 }));
    forge.edit_preamble = |bytes| bytes[32] += 1;
    assert!(matches!(refusal(&forge), DecodeErrorKind::Truncated { missing: 1 }));
    // With the bytes to match, the leaves do not fill the file.
    let file = [forge.file(), vec![0]].concat();
    assert!(matches!(refusal_of(&file), DecodeErrorKind::Misplaced { .. }));
}

#[test]
fn a_head_that_does_not_match_its_check_is_refused() {
    let mut file = many().file();
    file[40] ^= 1;
    assert_eq!(refusal_of(&file), DecodeErrorKind::Check);
}

#[test]
fn parts_of_the_head_that_are_not_used_up_are_refused() {
    let mut forge = many();
    forge.edit_record = |bytes| bytes.push(0);
    assert_eq!(refusal(&forge), DecodeErrorKind::Surplus { surplus: 1 });
    let mut forge = many();
    forge.edit_locator = |bytes| bytes.push(0);
    assert_eq!(refusal(&forge), DecodeErrorKind::Surplus { surplus: 1 });
    let mut forge = many();
    forge.edit_top_list = |bytes| bytes.push(0);
    assert_eq!(refusal(&forge), DecodeErrorKind::Surplus { surplus: 1 });
    let mut forge = many();
    forge.edit_top_map = |bytes| bytes.push(0);
    assert_eq!(refusal(&forge), DecodeErrorKind::Surplus { surplus: 1 });
}

#[test]
fn a_count_of_packs_is_not_believed() {
    let mut forge = many();
    for (edit, found) in [
        ((|bytes| bytes[0] = 3) as super::forge::Edit, 3),
        (|bytes| bytes[..8].copy_from_slice(&(1_u64 << 40).to_le_bytes()), 1 << 40),
        (|bytes| bytes[..8].fill(0xff), u64::MAX),
    ] {
        forge.edit_locator = edit;
        assert_eq!(refusal(&forge), limit("number of packs", 2, found));
    }
}

#[test]
fn a_pack_above_its_limit_is_refused() {
    let mut forge = many();
    forge.packs[1].1 = 64 << 20;
    Index::decode(forge.file()).unwrap();
    for found in [(64 << 20) + 1, 1 << 32, u64::MAX] {
        forge.packs[1].1 = found;
        assert_eq!(refusal(&forge), limit("length of a pack", 64 << 20, found));
    }
    let pack = PackRef { name: [0; 32], len: (64 << 20) + 1 };
    assert_eq!(Locator::new(vec![pack]), Err(LocatorError::PackTooLong { len: pack.len }));
}

#[test]
fn a_locator_above_its_limit_cannot_be_made() {
    let pack = PackRef { name: [0; 32], len: 1 };
    let most = ((1 << 24) - 16 - 48 * 81) / 40;
    Locator::new(vec![pack; most]).unwrap();
    assert!(matches!(Locator::new(vec![pack; most + 1]), Err(LocatorError::TooManyPacks { .. })));
}

fn patch(base: u8) -> PatchRow {
    // Each leads to the one before it.
    ([base; 32], 1 << 30, [0xaa; 32], 1000, base)
}

#[test]
fn patches_above_their_limits_are_refused() {
    let mut forge = many();
    forge.patches = (0..48).map(patch).collect();
    assert_eq!(Index::decode(forge.file()).unwrap().locator().ways().patches().len(), 48);
    forge.patches[3].1 = (1 << 48) + 1;
    assert_eq!(refusal(&forge), limit("length of a patch's base", 1 << 48, (1 << 48) + 1));
    forge.patches[3].1 = 0;
    forge.patches[47].3 = (1 << 40) + 1;
    assert_eq!(refusal(&forge), limit("length of a patch", 1 << 40, (1 << 40) + 1));
    forge.patches = (0..49).map(patch).collect();
    assert_eq!(refusal(&forge), limit("number of patches", 48, 49));
}

#[test]
fn a_patch_leads_on_to_one_before_it() {
    let mut forge = many();
    for next in [2, 3, 255] {
        forge.patches = vec![patch(0), patch(1)];
        forge.patches[1].4 = next;
        assert_eq!(refusal(&forge), DecodeErrorKind::PatchOrder);
    }
}

#[test]
fn no_other_ways_are_made_than_a_reader_allows() {
    let patch = |next| PatchRef { base: [1; 32], base_len: 1 << 48, name: [0; 32], len: 1 << 40, next };
    let ways = Ways::new(vec![patch(None); 48]).unwrap();
    assert_eq!(ways.patches().len(), 48);
    assert_eq!(Ways::new(vec![patch(None); 49]), Err(WaysError::TooMany { limit: 48 }));
    let long = PatchRef { len: (1 << 40) + 1, ..patch(None) };
    assert!(matches!(Ways::new(vec![long]), Err(WaysError::TooLong { .. })));
    assert_eq!(Ways::new(vec![patch(None), patch(Some(1))]), Err(WaysError::Order));
}

#[test]
fn a_way_goes_on_with_what_each_patch_leads_to() {
    let patch = |base, next| PatchRef { base: [base; 32], base_len: 1, name: [0; 32], len: 1, next };
    let ways = [patch(0, None), patch(1, Some(0)), patch(2, None), patch(3, Some(1))];
    let ways = Ways::new(ways.to_vec()).unwrap();
    let bases = |first| ways.from(first).map(|patch| patch.base[0]).collect::<Vec<_>>();
    assert_eq!([bases(0), bases(2), bases(3), bases(4)], [vec![0], vec![2], vec![3, 1, 0], vec![]]);
}
