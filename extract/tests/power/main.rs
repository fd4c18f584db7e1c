//! What is left of a target when the power fails, the process is killed or the medium does not do its duty.
//!
//! Power cuts are made afterwards: a run writes to a device whose requests are logged, and from the log come the
//! images that the disk may hold if the power had failed then or then. From each of them the next run must make
//! exactly the image, and download little. What is left to chance starts from a seed that failures name;
//! `CHUNK_TEST_SEED` replaces it.

#![expect(clippy::disallowed_methods, reason = "images and damage are plain files, written once")]
#![expect(
    clippy::print_stdout,
    reason = "what a cut or kill costs, for whoever runs a test with --nocapture"
)]

mod bad_sectors;
mod cuts;
mod device;
mod file;
mod killed;
mod store;
