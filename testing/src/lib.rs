//! What goes wrong, on purpose: for the tests of the other crates.
//!
//! [`Faulty`] is a store that fails at a chosen operation; [`Disk`] is a file system that can be filled up and
//! lose its power; [`LoopDevice`] is a block device, [`SwapArea`] what the kernel makes of one, and [`Mounted`] the file system on one; [`WriteLog`] is a
//! device whose power can be cut afterwards, at any write, and [`BadDisk`] one with bad sectors. All but the first
//! need root and the kernel's help. Where that is missing they say so and are none, unless [`REQUIRED`] is set in
//! the environment: then they panic. [`Numbers`] are for tests that leave something to chance, [`scratch`] is a
//! place for disks.
//!
//! [`http`] is a web server that does what web servers do.

mod bad_sectors;
mod disk;
mod export;
mod faulty;
pub mod http;
mod numbers;
mod system;
mod write_log;

pub use bad_sectors::{BadDisk, BadSector};
pub use disk::{Disk, FileSystem, LoopDevice, Mounted, PowerCut, SwapArea};
pub use faulty::{Fault, Faulty};
pub use numbers::Numbers;
pub use system::{REQUIRED, scratch};
pub use write_log::{Cut, Requests, WriteLog};
