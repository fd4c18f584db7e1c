//! Images to test with: the same on every machine, each part as disk images have them.

/// Numbers that look random and never change (`SplitMix64`).
#[derive(Clone, Debug)]
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `limit` − 1.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Bytes that do not compress: their frames are stored raw.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut numbers = Numbers::from_seed(seed);
    let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| numbers.next().to_le_bytes()).collect();
    bytes.truncate(len);
    bytes
}

/// Bytes that compress well, though no part repeats another: their frames are zstd's.
pub(crate) fn prose(seed: u64, len: usize) -> Vec<u8> {
    const WORDS: [&str; 8] = ["boot ", "image ", "of ", "every ", "device ", "is ", "new ", "again "];
    let mut numbers = Numbers::from_seed(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        let word = usize::try_from(numbers.below(8)).expect("less than 8");
        bytes.extend_from_slice(WORDS[word].as_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// An image with all that matters: raw and compressed frames, blocks that are silent, an odd length.
pub(crate) fn disk(seed: u64) -> Vec<u8> {
    let parts =
        [noise(seed, 1_300_000), prose(seed, 1_000_000), vec![0; 2_400_000], noise(seed + 1, 700_777)];
    parts.concat()
}

/// The next version of an image: ten bytes overwritten in the first part, a kilobyte inserted in the last.
pub(crate) fn next_version(image: &[u8]) -> Vec<u8> {
    let mut next = image.to_vec();
    next[600_000..600_010].copy_from_slice(b"overwrites");
    let at = image.len() - 300_000;
    next.splice(at..at, noise(0xdead, 1000));
    next
}
