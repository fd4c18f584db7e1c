//! Cuts an image into content-defined chunks and names them.

mod cut;
mod cutter;
pub mod gear;
mod hex;
pub mod image;
mod name;
mod params;
mod scan;
mod search;
mod zero;

pub use cut::cut;
pub use cutter::{Cutter, Segment};
pub use hex::HexError;
pub use name::Name;
pub use params::{Params, ParamsError};
pub use scan::{Candidates, scan};
pub use zero::is_zero;
