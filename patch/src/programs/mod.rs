//! Finds programs in base and target, aligns them, and tells which became which.
//!
//! Only a writer looks for programs; what it finds, it writes down as a layout.

mod align;
mod class;
mod elf;
mod pair;
mod sets;

pub(crate) use align::align;
pub(crate) use elf::find;
