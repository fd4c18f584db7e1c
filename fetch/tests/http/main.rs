//! The network client against servers that misbehave, and against a real one.
//!
//! What servers do here, real ones have been seen to do. Each test says what comes of it: the bytes or the kind of
//! error, what was asked, and, where patience is at stake, in which time.
#![cfg(feature = "http")]

mod answers;
mod fixture;
mod identity;
mod mirrors;
mod network;
mod nginx;
mod redirects;
mod schedules;
#[cfg(feature = "tls")]
mod tls;
mod whole;
