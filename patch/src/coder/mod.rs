//! A binary arithmetic coder and the models that tell it what to expect.
//!
//! Everything a difference patch says is said bit by bit through [`Coder`], which the writing and the reading side
//! share: each step of the format is one piece of code that, on the writing side, is handed what it is to say and,
//! on the reading side, ignores what it is handed and returns what was said. So the two cannot drift apart.

mod bit;
mod byte;
mod logistic;
mod number;
mod range;

pub(crate) use bit::Bit;
pub(crate) use byte::{Bytes, Slot};
pub(crate) use number::{Number, Signed};
pub(crate) use range::{RangeReader, RangeWriter};

/// Says or hears bits.
pub(crate) trait Coder {
    /// Says `bit`, or hears it; `chance` in 4096ths (1–4095) is how likely a one is. Returns what was said.
    fn code(&mut self, bit: bool, chance: u32) -> bool;

    /// Says or hears a number of `count` bits (1–16), all equally likely.
    fn plain(&mut self, number: u32, count: u32) -> u32;
}
