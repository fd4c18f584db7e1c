//! Finds equal bytes by a table of every fourth place: in a fraction of the time that sorting takes, and what is
//! shorter than a line of text is not found.

use super::approximate::agreement;

/// Bytes that must be equal at least.
const LEN: usize = 20;

/// Places that are remembered are this far apart.
const STEP: usize = 4;

/// The last place for each hash, or none.
#[derive(Debug)]
pub(super) struct Sampled<'a> {
    text: &'a [u8],
    places: Vec<u32>,
    bits: u32,
}

const NONE: u32 = u32::MAX;

impl<'a> Sampled<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        let bits = (text.len() / STEP + 1).next_power_of_two().ilog2().clamp(10, 22);
        let mut sampled = Self { text, places: vec![NONE; 1 << bits], bits };
        for (place, window) in (0..).zip(text.windows(LEN)).step_by(STEP) {
            let slot = sampled.slot(window);
            sampled.places[slot] = place;
        }
        sampled
    }

    /// A place where the start of `sought` is, if one is known, and for how long they agree.
    pub(super) fn longest(&self, sought: &[u8]) -> Option<(usize, usize)> {
        let place = self.places[self.slot(sought.get(..LEN)?)] as usize;
        let len = agreement(self.text.get(place..)?, sought);
        (len >= LEN).then_some((place, len))
    }

    fn slot(&self, window: &[u8]) -> usize {
        let part = |at: usize| window[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let mixed = part(0).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ part(8).rotate_left(29) ^ part(LEN - 8);
        let hash = mixed.wrapping_mul(0xd6e8_feb8_6659_fd93) >> (u64::BITS - self.bits);
        usize::try_from(hash).expect("a hash of 22 bits")
    }
}
