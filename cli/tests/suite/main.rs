//! The `chunk` command as its users meet it: exit codes, what is printed where, and what is left on the disk.
//!
//! Each test works in a directory of its own and runs the binary that cargo built. What the crates below
//! promise is tested there; here it is tested only if a user would see it break.

#![expect(clippy::disallowed_methods, reason = "images and damage are plain files, written once")]

mod cat;
mod damage;
mod diff;
mod disk;
mod explain;
mod extract;
mod extract_events;
mod extract_machine;
mod extract_seeds;
mod fingerprint;
mod generate;
mod help;
mod hostile;
mod image;
mod info;
mod interruption;
mod link;
mod link_loss;
mod list;
mod lookup;
mod make;
mod memory;
mod naming;
mod network;
mod oracle;
mod patch;
mod readme;
mod sandbox;
mod servers;
mod streams;
mod system;
mod tutorials;
mod verify;
mod verify_target;
