//! Explanations of images that the tools of their formats made.

#![expect(clippy::disallowed_methods, reason = "trees of files are plain files, written once")]

mod formats;
mod hostile;
mod images;
mod reasons;
