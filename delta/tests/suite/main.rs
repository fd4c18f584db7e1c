//! Patches as a whole: what is built leads to the target, and nothing else is accepted.

mod hostile;
mod images;
mod laws;
