//! Which of its two instruction sets a section of 32-bit ARM is in.
//!
//! A section hardly ever mixes them: a compiler is told one for a whole program, and tables of stubs are apart. What
//! is taken for the wrong set holds no addresses that anybody finds, and costs what it costs without a map.

/// Whether `code` is in the set of four bytes: most of its instructions are done always, and say so in their highest
/// four bits, which in Thumb are as good as any.
pub(super) fn is_a32(code: &[u8]) -> bool {
    let words = code.chunks_exact(4);
    let count = words.len();
    let always = words.filter(|word| word[3] >> 4 == 0xe).count();
    2 * always > count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_both_sets_is_told_apart() {
        let a32 = b"\x79\xbe\xff\xeb\x00\x00\x54\xe3\x32\x00\x00\x1a\x5d\x20\xa0\xe3\x00\x10\xe0\xe1";
        let thumb = b"\x73\xb9\x62\x4a\x5d\x4b\x7a\x44\xd3\x58\x1a\x68\x07\x9b\x5a\x40\x12\xf0\x88\xfe";
        assert!(is_a32(a32));
        assert!(!is_a32(thumb));
        assert!(!is_a32(&[]));
    }
}
