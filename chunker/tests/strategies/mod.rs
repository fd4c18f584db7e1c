//! Parameters and images for property tests.

use chunk_chunker::Params;
use proptest::prelude::*;

use crate::inputs::random;

/// Any that are allowed, mostly small, so that an image of the size tried has many chunks.
pub(crate) fn any_params() -> impl Strategy<Value = Params> {
    let log2 = prop_oneof![4 => 8..=11_u32, 1 => 12..=20_u32];
    (log2, 0..=3_u8, any::<u32>(), any::<u32>()).prop_map(|(log2, level, min, max)| {
        let avg = 1 << log2;
        let (lowest, highest) = (avg.max(1024), 1 << 20);
        let min = 64 + min % (avg - 63);
        let max = lowest + max % (8 * avg).min(highest - lowest + 1);
        Params::new(min & !1, avg, max & !1, level).expect("chosen within the limits")
    })
}

/// Random bytes of an alphabet so small that windows repeat, in runs so long that windows fill up.
pub(crate) fn any_image() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0), Just(9), Just(57), Just(241), any::<u8>()];
    let run = prop_oneof![
        (byte, 1..3000_usize).prop_map(|(byte, len)| vec![byte; len]),
        (any::<u64>(), 1..30_000_usize).prop_map(|(seed, len)| random(seed, len)),
    ];
    prop::collection::vec(run, 0..20).prop_map(|runs| runs.concat())
}
