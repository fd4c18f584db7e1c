//! What the measuring programs share.

pub mod answers;
pub mod group;
pub mod measure;
pub mod same;
