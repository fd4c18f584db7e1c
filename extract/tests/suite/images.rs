//! Images, and what may become of them.

use std::hash::{BuildHasher, Hasher, RandomState};

use chunk_chunker::image::BLOCK;

/// Numbers that look random and can be had again.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    seed: u64,
    sequence: chunk_testing::Numbers,
}

impl Numbers {
    /// From the seed in the environment if there is one; otherwise new ones.
    pub(crate) fn new() -> Self {
        let seed = chunk_testing::Numbers::seed_or(RandomState::new().build_hasher().finish());
        Self { seed, sequence: chunk_testing::Numbers::from_seed(seed) }
    }

    /// What to say so that a failure can be had again.
    pub(crate) fn how_to_repeat(&self) -> String {
        format!("to repeat: {}={}", chunk_testing::Numbers::SEED, self.seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.sequence.draw()
    }

    /// A number from 0 to `limit` − 1.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.sequence.below(limit as u64)).expect("less than a usize")
    }

    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[self.below(choice.len())]
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Bytes that neither compress nor repeat.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Whole blocks, each of noise of its own.
pub(crate) fn blocks(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    numbers.into_iter().flat_map(|number| noise(number, BLOCK)).collect()
}

/// Any image of at most some 6 MiB.
pub(crate) fn any(numbers: &mut Numbers) -> Vec<u8> {
    match numbers.below(14) {
        0 => Vec::new(),
        1 => vec![7],
        2 => noise(1, 100),
        3 => vec![0; numbers.below(4 * BLOCK)],
        4 => noise(2, 999).into_iter().cycle().take(numbers.below(3 * BLOCK)).collect(),
        5 => vec![0xa5; numbers.below(3 * BLOCK)],
        _ => {
            let mut image = Vec::new();
            while image.len() < 5 * BLOCK && !numbers.one_in(9) {
                image.extend(piece(numbers));
            }
            if numbers.one_in(3) {
                image.resize(image.len().next_multiple_of(BLOCK), 0);
            }
            image
        }
    }
}

/// What images are made of; of few kinds of noise, so that images have much in common.
fn piece(numbers: &mut Numbers) -> Vec<u8> {
    let len = 1 + numbers.below(BLOCK);
    match numbers.below(10) {
        0 | 1 => vec![0; 2 * len],
        2 => noise(numbers.below(3) as u64, 5000).into_iter().cycle().take(len).collect(),
        3 => vec![0xff; len / 4],
        4 => noise(numbers.next(), len),
        _ => noise(100 + numbers.below(8) as u64, BLOCK)[..len].to_vec(),
    }
}

/// Another image that has something in common with `image`.
pub(crate) fn changed(numbers: &mut Numbers, image: &[u8]) -> Vec<u8> {
    let mut changed = image.to_vec();
    for _ in 0..=numbers.below(4) {
        if changed.is_empty() {
            return noise(numbers.next(), 1 + numbers.below(BLOCK));
        }
        let at = numbers.below(changed.len());
        let end = changed.len().min(at + 1 + numbers.below(300_000));
        match numbers.below(8) {
            0 => changed[at] ^= 1,
            1 => changed[at..end].fill(0),
            2 => changed.rotate_left(at),
            3 => drop(changed.splice(at..at, noise(numbers.next(), 1 + numbers.below(9000)))),
            4 => drop(changed.splice(at..end, [])),
            5 => changed.truncate(at),
            6 => changed = shuffled(numbers, &changed),
            _ => changed[at..end].copy_from_slice(&noise(numbers.next(), end - at)),
        }
    }
    changed
}

/// The same blocks in another order.
pub(crate) fn shuffled(numbers: &mut Numbers, image: &[u8]) -> Vec<u8> {
    let mut parts: Vec<_> = image.chunks(BLOCK).collect();
    numbers.shuffle(&mut parts);
    parts.concat()
}
