//! Cuts an image into content-defined chunks and names them.

mod cut;
pub mod gear;
mod params;
mod search;

pub use cut::cut;
pub use params::{Params, ParamsError};
