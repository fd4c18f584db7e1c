//! All tests of the crate, as one program: they share their samples and forgeries.

#![expect(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod client;
mod example;
mod grouping;
mod hostile;
mod laws;
mod random;
mod sample;
