//! What goes wrong, on purpose: for the tests of the other crates.
//!
//! [`Faulty`] is a store that fails at a chosen operation; [`Disk`] is a file system that can be filled up and
//! lose its power; [`LoopDevice`] is a block device. The last two need root and the kernel's help. Where that is
//! missing they say so and are none, unless [`REQUIRED`] is set in the environment: then they panic.

mod disk;
mod faulty;

pub use disk::{Disk, LoopDevice, PowerCut, REQUIRED};
pub use faulty::{Fault, Faulty};
