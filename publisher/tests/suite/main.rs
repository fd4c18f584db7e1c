//! All tests of the crate, as one program: they share their stores and images.

#![expect(clippy::unwrap_used, reason = "whatever fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "tests put files in place that no writer of ours would")]

mod auditing;
mod copying;
mod determinism;
mod faults;
mod images;
#[path = "../../../chunker/tests/inputs/mod.rs"]
mod inputs;
mod labels;
mod listing;
mod lost;
mod mending;
mod model;
mod patching;
#[path = "../../../chunker/tests/reference/mod.rs"]
mod reference;
mod repetition;
mod rivals;
mod sources;
mod store;
mod system;
