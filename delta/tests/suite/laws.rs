//! For any two images: the patch makes one of the other, and knows the hash of each block before.

use chunk_delta::Stream;
use chunk_patch::Effort;
use proptest::prelude::*;

use super::images::{apply, hashes, noise, open, patch};

/// An edit of an image.
#[derive(Clone, Debug)]
enum Edit {
    Insert { at: usize, len: usize, zero: bool },
    Remove { at: usize, len: usize },
    Move { from: usize, to: usize, len: usize },
    Swap { one: usize, other: usize, len: usize },
    Rot { at: usize, every: usize, count: usize },
}

const LEN: usize = 5 << 20;

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = || 0..LEN;
    let len = || prop_oneof![1..200_usize, 1000..60_000_usize, 100_000..2_000_000_usize];
    let edit = prop_oneof![
        (at(), len(), any::<bool>()).prop_map(|(at, len, zero)| Edit::Insert { at, len, zero }),
        (at(), len()).prop_map(|(at, len)| Edit::Remove { at, len }),
        (at(), at(), len()).prop_map(|(from, to, len)| Edit::Move { from, to, len }),
        (at(), at(), len()).prop_map(|(one, other, len)| Edit::Swap { one, other, len }),
        (at(), 1..9000_usize, 1..200_usize).prop_map(|(at, every, count)| Edit::Rot { at, every, count }),
    ];
    prop::collection::vec(edit, 0..8)
}

fn edit(image: &mut Vec<u8>, edit: &Edit, seed: u64) {
    let within = |image: &Vec<u8>, at: usize, len: usize| {
        let start = at.min(image.len());
        start..(start + len).min(image.len())
    };
    match *edit {
        Edit::Insert { at, len, zero } => {
            let at = at.min(image.len());
            let bytes = if zero { vec![0; len] } else { noise(seed, len) };
            image.splice(at..at, bytes);
        }
        Edit::Remove { at, len } => drop(image.drain(within(image, at, len))),
        Edit::Move { from, to, len } => {
            let moved: Vec<u8> = image.drain(within(image, from, len)).collect();
            let to = to.min(image.len());
            image.splice(to..to, moved);
        }
        Edit::Swap { one, other, len } => {
            for offset in 0..len {
                let (one, other) = (one + offset, other + offset);
                if one.max(other) < image.len() {
                    image.swap(one, other);
                }
            }
        }
        Edit::Rot { at, every, count } => {
            image.iter_mut().skip(at).step_by(every).take(count).for_each(|byte| *byte ^= 0x40);
        }
    }
}

/// Text, noise and zeros by turns.
fn base() -> Vec<u8> {
    let mut image = noise(1, LEN / 2);
    image.extend(vec![0; LEN / 5]);
    let words: Vec<_> = noise(2, LEN / 3).iter().flat_map(|byte| format!("{byte} ").into_bytes()).collect();
    image.extend(&words[..LEN - image.len()]);
    image
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn an_edited_image_is_rebuilt_from_the_one_before(edits in edits(), one_block in any::<bool>()) {
        let mut old = base();
        old.truncate(if one_block { 700_000 } else { LEN });
        let mut new = old.clone();
        (3..).zip(&edits).for_each(|(seed, this)| edit(&mut new, this, seed));
        for (base, target) in [(&old, &new), (&new, &old)] {
            let file = patch(base, target, Effort::new(1));
            let opened = open(&file).expect("a patch");
            let hashes = hashes(target);
            prop_assert_eq!(opened.blocks(&super::images::hashes(base)), Some(hashes));
            prop_assert!(apply(&opened, &file, base).as_deref() == Some(target.as_slice()));
        }
    }
}

#[test]
fn the_same_image_again_costs_next_to_nothing() {
    let image = base();
    let file = patch(&image, &image, Effort::default());
    assert!(file.len() < 160, "{}", file.len());
    let opened = open(&file).expect("a patch");
    assert_eq!(apply(&opened, &file, &image), Some(image));
}

#[test]
fn empty_images_have_patches_too() {
    let image = noise(9, 3000);
    for (base, target) in [(&[][..], &image[..]), (&image[..], &[][..]), (&[][..], &[][..])] {
        let file = patch(base, target, Effort::default());
        let opened = open(&file).expect("a patch");
        assert_eq!(opened.blocks(&hashes(base)), Some(hashes(target)));
        assert_eq!(apply(&opened, &file, base).as_deref(), Some(target));
    }
}

#[test]
fn a_changed_byte_costs_little_wherever_it_lies() {
    let old = base();
    for at in [0, 1_000_000, LEN - 1] {
        let mut new = old.clone();
        new[at] ^= 1;
        let file = patch(&old, &new, Effort::default());
        assert!(file.len() < 400, "{} at {at}", file.len());
    }
}

#[test]
fn a_file_that_moved_lies_in_the_plain_stream() {
    let old = base();
    let mut new = old.clone();
    edit(&mut new, &Edit::Move { from: 100_000, to: 2_000_000, len: 500_000 }, 0);
    let file = patch(&old, &new, Effort::default());
    assert!(file.len() < 5 * 32 + 1500, "{}", file.len());
    assert!(open(&file).expect("a patch").groups().iter().all(|group| group.stream == Stream::Plain));
}
