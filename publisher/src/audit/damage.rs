//! What can be wrong with a store, and how it is said.

use std::fmt;
use std::io;
use std::ops::Range;

use chunk_delta::{PatchError, RebuildError};
use chunk_index::DecodeError;
use chunk_store::{FrameError, TableError};

/// Ranges of an image that are told one by one.
const TOLD: usize = 4;

/// What is wrong with a pack.
#[derive(Debug)]
#[non_exhaustive]
pub enum PackDamage {
    /// It cannot be read.
    Unreadable(io::Error),
    /// It is no pack.
    Table(TableError),
    /// Its BLAKE3 is not its name, though all that it holds is whole.
    Name,
    /// Frames or chunks are damaged.
    Frames {
        /// Offsets of the damaged frames, ascending.
        offsets: Vec<u32>,
        /// What is wrong with the first that cannot even be decoded.
        first: Option<FrameError>,
    },
}

/// What is wrong with a version.
#[derive(Debug)]
#[non_exhaustive]
pub enum VersionDamage {
    /// Its index cannot be read.
    Unreadable(io::Error),
    /// Its index is damaged.
    Index(DecodeError),
    /// Its index says that it is another version than its file's name does.
    Misnamed {
        /// What the index says.
        says: String,
    },
    /// It is the line's newest by name, but there is a higher release.
    NotNewest {
        /// Label of the highest release.
        highest: String,
    },
    /// Parts of its image cannot be rebuilt.
    Image {
        /// Which parts, in whole blocks, ascending and apart from each other.
        ranges: Vec<Range<u64>>,
    },
    /// Its blocks are as its index says, and do not join to the BLAKE3 that its record states.
    Digest,
}

/// What is wrong with a patch.
#[derive(Debug)]
#[non_exhaustive]
pub enum PatchDamage {
    /// It cannot be read.
    Unreadable(io::Error),
    /// Its bytes are not those of its name.
    Name,
    /// Its head is no patch's.
    Head(PatchError),
    /// It leads from or to another image than the index says.
    Other,
    /// The hashes that it tells are not those of the image's blocks.
    Blocks,
    /// A part of the image cannot be made.
    Rebuild {
        /// The first byte of the block.
        at: u64,
        /// Why.
        error: RebuildError,
    },
    /// What it makes is not the image.
    Wrong {
        /// The first byte of the block that differs.
        at: u64,
    },
}

impl fmt::Display for PatchDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::Name => f.write_str("is not what its name says"),
            Self::Head(error) => write!(f, "is no patch: {error}"),
            Self::Other => f.write_str("leads from or to another image than the index says"),
            Self::Blocks => f.write_str("tells hashes that are not those of the image's blocks"),
            Self::Rebuild { at, error } => write!(f, "does not make the block at byte {at}: {error}"),
            Self::Wrong { at } => write!(f, "makes another block at byte {at} than the image has"),
        }
    }
}

impl fmt::Display for PackDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::Table(error) => write!(f, "{error}"),
            Self::Name => f.write_str("holds what its table says, but is not the pack of its name"),
            Self::Frames { offsets, first } => {
                let at = offsets.first().copied().unwrap_or_default();
                let frames = if offsets.len() == 1 { "frame" } else { "frames" };
                write!(f, "{} damaged {frames}, the first at byte {at}", offsets.len())?;
                first.iter().try_for_each(|error| write!(f, ": {error}"))
            }
        }
    }
}

impl fmt::Display for VersionDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::Index(error) => write!(f, "{error}"),
            Self::Misnamed { says } => write!(f, "says that it is {says}"),
            Self::NotNewest { highest } => write!(f, "is not the newest version, {highest} is"),
            Self::Image { ranges } => {
                f.write_str("cannot give bytes ")?;
                for (number, range) in ranges.iter().take(TOLD).enumerate() {
                    let comma = if number == 0 { "" } else { ", " };
                    write!(f, "{comma}{} to {}", range.start, range.end)?;
                }
                match ranges.len().saturating_sub(TOLD) {
                    0 => f.write_str(" of the image"),
                    more => write!(f, " and {more} further ranges of the image"),
                }
            }
            Self::Digest => f.write_str("states a BLAKE3 of the image that its blocks do not have"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_ranges_are_told_and_more_are_counted() {
        let mut ranges = vec![0..10, 20..30, 40..50, 60..70];
        let text = |ranges: &Vec<_>| VersionDamage::Image { ranges: ranges.clone() }.to_string();
        assert_eq!(text(&ranges), "cannot give bytes 0 to 10, 20 to 30, 40 to 50, 60 to 70 of the image");
        ranges.push(80..90);
        assert!(text(&ranges).ends_with(", 60 to 70 and 1 further ranges of the image"));
    }
}
