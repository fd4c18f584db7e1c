//! The constants are those of FORMAT, appendix A.

use chunk_chunker::gear::{GEAR, MASKS, WINDOW};
use md5::{Digest, Md5};

#[test]
fn the_table_holds_the_md5_of_each_byte_repeated_64_times() {
    for (byte, word) in (0..=u8::MAX).zip(GEAR) {
        let digest = Md5::digest([byte; 64]);
        let expected = digest.iter().take(8).fold(0, |word, &byte| word << 8 | u64::from(byte));
        assert_eq!(word, expected, "byte {byte}");
    }
}

#[test]
fn the_masks_are_those_of_the_fastcdc_crate() {
    assert_eq!(MASKS, fastcdc::v2020::MASKS);
}

#[test]
fn a_mask_looks_at_the_whole_window_but_not_beyond() {
    let bits = MASKS.iter().fold(0, |bits, mask| bits | mask);
    assert_eq!(u64::BITS - bits.leading_zeros(), u32::try_from(WINDOW).expect("a small number"));
}
