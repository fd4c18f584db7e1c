//! Compressors: the memory that they take is known before they are used.

use chunk_store::Compressor;

#[path = "../../chunker/tests/inputs/mod.rs"]
mod inputs;

/// Text-like bytes: they keep zstd's tables busy, which noise does not.
fn letters(seed: u64, len: usize) -> Vec<u8> {
    inputs::random(seed, len).into_iter().map(|byte| b'a' + byte % 7).collect()
}

#[test]
fn a_sized_compressor_takes_no_more_memory_for_any_frame_up_to_its_length() {
    let longest = 300_000;
    for level in -7..=22 {
        let mut compressor = Compressor::sized(level, longest).unwrap();
        let taken = compressor.memory();
        for (seed, len) in (0..).zip([1, 16 << 10, 100_000, 128 << 10, 200_000, 256 << 10, 300_000, 5000]) {
            compressor.compress(letters(seed, len)).unwrap();
            assert!(compressor.memory() <= taken, "level {level}, {len} bytes");
        }
    }
}

#[test]
fn a_compressor_for_longer_frames_takes_more_memory() {
    let taken = |longest| Compressor::sized(19, longest).unwrap().memory();
    assert!(taken(64 << 10) < taken(512 << 10) && taken(512 << 10) < taken(2 << 20));
}
