//! Numbers that look random and can be had again.

/// A sequence of numbers that its seed decides: `SplitMix64`.
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// The environment variable that replaces the seed of a test, to try other numbers or the same ones again.
    pub const SEED: &'static str = "CHUNK_TEST_SEED";

    /// The numbers of `seed`.
    pub fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed that the environment asks for, or `usual`.
    pub fn seed_or(usual: u64) -> u64 {
        std::env::var(Self::SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or(usual)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `limit` − 1.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.draw() % limit
    }

    /// Bytes that do not compress and hold nothing twice.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| self.draw().to_le_bytes()).collect();
        bytes.truncate(len);
        bytes
    }
}
