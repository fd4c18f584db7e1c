//! A binary arithmetic coder and the models that tell it what to expect.
//!
//! Everything a difference patch says is said bit by bit through [`Coder`], which the writing and the reading side
//! share: each step of the format is one piece of code that, on the writing side, is handed what it is to say and,
//! on the reading side, ignores what it is handed and returns what was said. So the two cannot drift apart.

mod bit;
mod byte;
mod number;
mod range;
mod slot;

pub(crate) use bit::Bit;
pub(crate) use byte::Bytes;
pub(crate) use number::{Number, Signed};
pub(crate) use range::{RangeReader, RangeWriter};
pub(crate) use slot::Slot;

/// Says or hears bits.
pub(crate) trait Coder {
    /// Whether it hears.
    const HEARS: bool;

    /// Says `bit`, or hears it; `chance` in 4096ths (1–4095) is how likely a one is. Returns what was said.
    fn code(&mut self, bit: bool, chance: u32) -> bool;

    /// Says or hears half of a byte; `up_to` has for each value the chance, in [`CERTAIN`](byte::CERTAIN)ths, that it is
    /// that or less, ascending; what the last has does not matter, as it is certain.
    fn half(&mut self, half: u8, up_to: &[u16; byte::HALVES]) -> u8;

    /// Says or hears a number of `count` bits (1–16), all equally likely.
    fn plain(&mut self, number: u32, count: u32) -> u32;
}

/// `N` of the same on the heap.
#[expect(clippy::unnecessary_box_returns, reason = "a stack has no room for them")]
pub(crate) fn table<T: Copy + std::fmt::Debug, const N: usize>(value: T) -> Box<[T; N]> {
    vec![value; N].try_into().expect("it has as many as were asked for")
}
