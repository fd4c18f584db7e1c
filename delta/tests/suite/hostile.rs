//! Files that are no patches, or lie.

use chunk_delta::{Patch, PatchError};
use chunk_patch::Effort;

use super::images::{apply, hashes, noise, open, patch};

fn pair() -> (Vec<u8>, Vec<u8>) {
    let old = noise(1, 3 << 20);
    let mut new = old.clone();
    new.drain(1_600_000..1_650_000);
    new.splice(1_300_000..1_300_000, noise(2, 70_000));
    new[2_500_000] ^= 1;
    (old, new)
}

fn head_len(file: &[u8]) -> usize {
    usize::try_from(Patch::head_len(file).expect("a header")).expect("short")
}

#[test]
fn every_head_that_is_cut_short_is_refused() {
    let (old, new) = pair();
    let file = patch(&old, &new, Effort::new(1));
    for len in 0..head_len(&file) {
        let told = Patch::decode(&file[..len], file.len() as u64, 1 << 22);
        assert!(matches!(told, Err(PatchError::Incomplete { .. })), "{len}: {told:?}");
        assert!(open(&file[..len]).is_err());
    }
}

#[test]
fn every_changed_byte_of_a_head_is_refused() {
    let (old, new) = pair();
    let mut file = patch(&old, &new, Effort::new(1));
    for at in 0..head_len(&file) {
        for bit in [1, 0x80] {
            file[at] ^= bit;
            assert!(open(&file).is_err(), "byte {at}");
            file[at] ^= bit;
        }
    }
}

/// Makes the check of a head right again.
fn sign(file: &mut [u8]) {
    let Ok(len) = Patch::head_len(file) else { return };
    let Some(head) = usize::try_from(len).ok().and_then(|len| file.get(..len)) else { return };
    let check = *blake3::Hasher::new().update(&head[..112]).update(&head[120..]).finalize().as_bytes();
    file[112..120].copy_from_slice(&check[..8]);
}

#[test]
fn a_head_that_lies_with_a_right_check_leads_to_no_other_image() {
    let (old, new) = pair();
    let file = patch(&old, &new, Effort::new(1));
    let (old_hashes, new_hashes) = (hashes(&old), hashes(&new));
    let mut opened = 0;
    for at in 0..head_len(&file) {
        for flip in [1, 0x55, 0xff] {
            let mut lie = file.clone();
            lie[at] ^= flip;
            sign(&mut lie);
            let Ok(patch) = open(&lie) else { continue };
            opened += 1;
            // Whoever knows the target's hash is told its blocks or nothing; what is rebuilt is anything.
            if let Some(blocks) = patch.blocks(&old_hashes) {
                assert_eq!(blocks, new_hashes, "byte {at}");
            }
            let _ = apply(&patch, &lie, &old);
        }
    }
    assert!(opened > 0, "some lies can only be found by hashing");
}

#[test]
fn another_base_is_told_by_the_hashes() {
    let (old, new) = pair();
    let file = patch(&old, &new, Effort::new(1));
    let patch = open(&file).expect("a patch");
    let mut other = old.clone();
    other[17] ^= 1;
    assert_eq!(patch.blocks(&hashes(&other)), None);
    assert_eq!(patch.blocks(&[]), None, "a base without blocks");
    // Nobody would ask for it now, and what comes out is another image.
    assert!(apply(&patch, &file, &other).is_none_or(|made| made != new));
}

#[test]
fn more_script_than_allowed_is_refused_before_it_is_read() {
    let (old, new) = pair();
    let file = patch(&old, &new, Effort::new(1));
    let told = Patch::decode(&file, file.len() as u64, 10);
    assert!(matches!(told, Err(PatchError::Limit { limit: 10, .. })), "{told:?}");
    assert!(Patch::decode(&file, file.len() as u64 - 1, 1 << 22).is_err());
    assert!(Patch::decode(&file, file.len() as u64 + 1, 1 << 22).is_err());
}
