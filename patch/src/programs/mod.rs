//! Finds programs in base and target, and tells which became which.
//!
//! Only a writer looks for programs; what it finds, it writes down as a layout.

mod elf;
mod pair;

pub(crate) use elf::{Program, find};
pub(crate) use pair::{Pairing, layouts};
