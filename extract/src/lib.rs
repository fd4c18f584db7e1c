//! Rebuilds an image from what is there and what a store holds.
//!
//! [`Job`] is the whole of it in one call: it finds out what target and seeds hold, plans, fetches what is
//! missing, and writes. Nothing is printed, nothing is global; an [`Observer`] hears what goes on and may stop
//! it. [`Reader`] gives any part of an image from its store; [`Need`] tells, without fetching anything, what a
//! device that holds certain chunks would have to fetch. Bytes leave this crate only after the hash of their
//! block has been checked.

mod alias;
mod capped;
mod content;
mod demand;
mod error;
mod filesystem;
mod flushing;
mod front;
mod held;
mod image;
mod job;
mod journal;
mod known;
mod need;
mod opened;
mod parts;
mod patched;
mod places;
mod plan;
mod prepared;
mod reader;
mod recipe;
mod rehearsal;
mod run;
mod saved;
mod scratch;
mod seed;
mod settle;
mod state;
mod survey;
mod target;
mod verified;
mod work;

pub use alias::{Relation, relation};
pub use demand::Demand;
pub use error::{IndexError, ReadError};
pub use image::Image;
pub use job::{
    Expected, ExtractError, Job, Notice, Observer, Options, Phases, Progress, Report, SeedPart, Silent,
    Verify, Version, WayCost,
};
pub use known::KnownImage;
pub use need::{Have, Need, Traffic};
pub use plan::{Limits, Totals};
pub use reader::Reader;
pub use recipe::{Fetched, index_lists, index_lists_at};
pub use rehearsal::Rehearsal;
pub use scratch::Scratch;
pub use seed::{Directory, Identity, Seed, StoreSeed, Window};
pub use state::State;
pub use target::{Cleared, Destination, Existing, Refusal, Tail, TargetError};
