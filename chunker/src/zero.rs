//! Recognises zeros, the bytes that disk images hold most of.

/// Bytes looked at before the next decision: enough to use wide registers, few enough to stop early.
const STRIDE: usize = 512;

/// Whether `bytes` are all zero; true for no bytes.
pub fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(STRIDE).all(|stride| stride.iter().fold(0, |bits, byte| bits | byte) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_anywhere_is_seen() {
        for len in [1, STRIDE - 1, STRIDE, STRIDE + 1, 3 * STRIDE + 7] {
            let mut bytes = vec![0; len];
            assert!(is_zero(&bytes));
            for at in [0, len / 2, len - 1] {
                bytes[at] = 1;
                assert!(!is_zero(&bytes), "byte {at} of {len}");
                bytes[at] = 0;
            }
        }
        assert!(is_zero(&[]));
    }
}
