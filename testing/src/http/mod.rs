//! A web server that misbehaves on purpose, byte by byte.
//!
//! A [`Server`] answers each request with the [`Reply`] that a function makes of it: an honest one by
//! [`Reply::object`], or one that is wrong, late, torn or too long. It keeps what it was asked. An [`Nginx`] is a
//! server as others run it, a [`Relay`] a long way to one.

mod certificate;
mod nginx;
mod relay;
mod reply;
mod server;

pub use certificate::Certificate;
pub use nginx::{Answered, Nginx};
pub use relay::Relay;
pub use reply::{End, Reply};
pub use server::{Asked, Server};
