//! What the lookup says is where the chunk is; what it does not know is stored again, and that is all.

#![expect(clippy::unwrap_used, reason = "whatever fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "tests put files in place that no writer of ours would")]

mod damage;
mod model;
mod packs;
mod shelf;
mod spills;
