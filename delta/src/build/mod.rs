//! Making a patch: what of the target lies in the base, and which base bytes are most like the rest.
//!
//! ```text
//! chunks of base and target ─ align ─ parts ─┬─ programs ─┬─ sections ─ gather ─ groups ─ encode
//!                                            └─ absorb ───┘
//! ```

mod align;
mod error;
mod gather;
mod parts;
mod plan;
mod programs;
mod sections;

pub use error::BuildError;
pub use plan::{Plan, Side, Spec};
