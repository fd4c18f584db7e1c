//! A small web server for what devices download.
//!
//! A [`Site`] says what lies where; [`Directory`] is the files of a store, [`Rebuilt`] an image that is put
//! together on demand. [`Server`] speaks HTTP: ranges, validators, cache headers, a log and counters. It is good
//! enough to try everything on one machine and to serve a network of one's own.

#![forbid(unsafe_code)]

mod answer;
mod clients;
mod connection;
mod counters;
mod directory;
mod host;
mod journal;
mod moment;
mod patient;
mod range;
mod rebuilt;
mod server;
mod site;
mod stream;
#[cfg(feature = "tls")]
mod tls;

pub use counters::Counters;
pub use directory::Directory;
pub use journal::Entry;
pub use rebuilt::Rebuilt;
pub use server::Server;
pub use site::{Lifetime, Object, Site};
#[cfg(feature = "tls")]
pub use tls::Identity;
