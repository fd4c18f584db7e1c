//! A whole extraction, as a program that uses this crate sees it: any image, from any seeds, to any target.
//!
//! Images are small and blocks are 1 MiB, so most have one to seven of them. Random tests print the number from
//! which they can be repeated: `CHUNK_TEST_SEED=…`.

#![expect(clippy::disallowed_methods, reason = "images and damage are plain files, written once")]

mod again;
mod chains;
mod counting;
mod damage;
mod devices;
mod files;
mod gaps;
mod giants;
mod hints;
mod images;
mod model;
mod nearly;
mod objects;
mod partitions;
mod patched;
mod permutations;
mod refusals;
mod rivals;
mod scattered;
mod seeds;
mod served;
mod staged;
mod state;
mod store;
mod tries;
mod unsteady;
mod watching;
