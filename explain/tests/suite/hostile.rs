//! Images that somebody damaged, or made to do damage.

use std::cell::Cell;
use std::sync::OnceLock;

use chunk_explain::{ReadAt, explain};
use proptest::prelude::*;

use crate::images::{Image, Tree};

/// Images of all formats, made once.
fn originals() -> &'static [Image] {
    static ORIGINALS: OnceLock<Vec<Image>> = OnceLock::new();
    ORIGINALS.get_or_init(|| {
        let tree = Tree::new();
        let images = [
            tree.ext4(&["-b", "1024"]),
            tree.ext4(&["-t", "ext2"]),
            tree.squashfs(&["-comp", "zstd"]),
            tree.squashfs(&["-noI", "-noD", "-noF"]),
            tree.tar("pax"),
            tree.tar("gnu"),
        ];
        images.into_iter().flatten().collect()
    })
}

/// Explains an image; every byte has an owner whatever it says.
fn check(old: &Image, new: &mut Image) {
    let len = new.0.len() as u64;
    let whole = new.whole();
    let told = explain(&mut old.clone(), new, &whole).expect("images in memory do not fail");
    assert_eq!(told.parts.iter().map(|part| part.new_bytes).sum::<u64>(), len);
}

/// Places where formats keep what matters, as shares of an image: mostly in its first part or at its end.
fn place() -> impl Strategy<Value = (bool, u64)> {
    (any::<bool>(), prop_oneof![0..0x200_u64, 0..0x1000_u64, 0..0x4_0000_u64, any::<u64>()])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_do_no_harm(
        number in any::<prop::sample::Index>(),
        flips in prop::collection::vec((place(), any::<u8>()), 1..40),
    ) {
        let originals = originals();
        if originals.is_empty() {
            return Ok(());
        }
        let original = number.get(originals);
        let mut image = original.clone();
        let len = image.0.len();
        for ((from_end, at), byte) in flips {
            let at = usize::try_from(at % len as u64).expect("it is in memory");
            let at = if from_end { len - 1 - at } else { at };
            // Beside the magic, so that it is still read as what it was.
            image.0[at] = byte;
        }
        check(original, &mut image);
    }

    #[test]
    fn images_cut_short_do_no_harm(number in any::<prop::sample::Index>(), left in any::<prop::sample::Index>()) {
        let originals = originals();
        if originals.is_empty() {
            return Ok(());
        }
        let original = number.get(originals);
        let mut image = original.clone();
        image.0.truncate(left.index(image.0.len()));
        check(original, &mut image);
    }
}

#[test]
fn every_byte_of_the_first_block_may_be_anything() {
    for original in originals() {
        for at in (0..96).chain(1024..1024 + 0x180).chain(2048..2048 + 64) {
            for byte in [0, 0xff] {
                let mut image = original.clone();
                image.0.truncate(1 << 17);
                image.0[at] = byte;
                check(&Image(Vec::new()), &mut image);
            }
        }
    }
}

/// An image that counts what is read of it.
struct Counted<'c> {
    image: Image,
    read: &'c Cell<u64>,
}

impl ReadAt for Counted<'_> {
    fn len(&self) -> u64 {
        self.image.len()
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.read.set(self.read.get() + buffer.len() as u64);
        self.image.read_at(offset, buffer)
    }
}

#[test]
fn an_extent_tree_that_leads_to_itself_ends() {
    let Some(mut image) = Tree::new().ext4(&["-b", "1024"]) else { return };
    // The root directory's inode is the second of the table, whose place the first group descriptor tells.
    let word = |bytes: &[u8]| u32::from_le_bytes(*bytes.first_chunk().expect("four bytes"));
    let table = word(&image.0[2048 + 8..]) as usize * 1024;
    let size = usize::from(image.0[1024 + 0x58]) | usize::from(image.0[1024 + 0x59]) << 8;
    let block = 9000_usize;
    let node = |depth: u8, entries: u16| {
        let mut node = vec![0x0a, 0xf3];
        node.extend(entries.to_le_bytes());
        node.extend(entries.to_le_bytes());
        node.extend([depth, 0, 0, 0, 0, 0]);
        for _ in 0..entries {
            node.extend([0; 4]);
            node.extend(u32::try_from(block).expect("small").to_le_bytes());
            node.extend([0; 4]);
        }
        node
    };
    let leaf = node(4, 80);
    image.0[block * 1024..][..leaf.len()].copy_from_slice(&leaf);
    let root = node(5, 4);
    image.0[table + size + 0x28..][..root.len()].copy_from_slice(&root);
    let read = Cell::new(0);
    let len = image.0.len() as u64;
    let mut counted = Counted { image, read: &read };
    let whole = counted.image.whole();
    let told = explain(&mut Image(Vec::new()), &mut counted, &whole).expect("it is in memory");
    assert!(told.gaps.iter().any(|gap| gap.contains("extent")), "{:?}", told.gaps);
    assert!(read.get() < 4 * len, "{} bytes read of {len}", read.get());
}

#[test]
fn an_image_that_cannot_be_read_is_an_error_of_its_own() {
    struct Broken;
    impl ReadAt for Broken {
        fn len(&self) -> u64 {
            1 << 20
        }

        fn read_at(&mut self, _: u64, _: &mut [u8]) -> std::io::Result<()> {
            Err(std::io::Error::other("a bad sector"))
        }
    }
    let Some(image) = Tree::new().tar("gnu") else { return };
    let old = explain(&mut Broken, &mut image.clone(), &[]).expect_err("it cannot be read");
    assert!(matches!(old, chunk_explain::ExplainError::Old(_)), "{old:?}");
    let new = explain(&mut image.clone(), &mut Broken, &[]).expect_err("it cannot be read");
    assert!(matches!(new, chunk_explain::ExplainError::New(_)), "{new:?}");
}
