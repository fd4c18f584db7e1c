//! What can go wrong between asking and having.

use std::fmt;
use std::io;
use std::ops::Range;

/// A range that could not be had.
#[derive(Debug)]
pub struct FetchError {
    /// Where the object was looked for, without credentials.
    pub location: String,
    /// The bytes wanted.
    pub range: Range<u64>,
    /// What happened.
    pub kind: FetchErrorKind,
}

/// What happened to a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchErrorKind {
    /// There is no such object.
    Missing,
    /// The object ends before the range does.
    Short,
    /// Reading failed.
    Io(io::Error),
}

impl FetchError {
    /// Whether asking again, unchanged, may help.
    pub fn is_transient(&self) -> bool {
        match &self.kind {
            FetchErrorKind::Missing | FetchErrorKind::Short => false,
            FetchErrorKind::Io(error) => error.kind() == io::ErrorKind::Interrupted,
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.range;
        match self.kind {
            FetchErrorKind::Missing => write!(f, "{} is missing", self.location),
            FetchErrorKind::Short => write!(f, "{} ends before byte {end}", self.location),
            FetchErrorKind::Io(_) => write!(f, "bytes {start} to {end} of {} cannot be read", self.location),
        }
    }
}

impl std::error::Error for FetchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            FetchErrorKind::Io(cause) => Some(cause),
            _ => None,
        }
    }
}
