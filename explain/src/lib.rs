//! Says why bytes of an image are needed: whose they are, and what a build that keeps things in order would save.
//!
//! [`explain`] reads two images, the one that is there and the one that is wanted, as ext4, squashfs, tar, or disks with
//! partitions of these, and attributes the bytes that are said to be new to files and metadata. It compares files
//! of the same name, and finds those that were only moved, packed anew, or touched.
//!
//! Images are read through [`ReadAt`], a few parts at a time. What they claim is bounded: by their length the work, by
//! fixed limits the memory; what lies beyond is left out, and the answer says so. No image makes it panic.

#![forbid(unsafe_code)]

mod content;
mod cost;
mod disk;
mod ext4;
mod layout;
mod names;
mod read;
mod recognise;
mod savings;
mod squashfs;
mod tar;
mod unfold;
mod verdict;

use std::fmt;
use std::io;
use std::ops::Range;

use content::{Failed, Opened};
use layout::{Metadata, Owner};
use read::{Cached, Volume};
use verdict::Judge;

pub use read::{FileImage, ReadAt};
pub use savings::{Advice, Saving};
pub use unfold::Format;
pub use verdict::Why;

/// Why bytes are needed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// What the wanted image was read as; nothing if it could not be.
    pub kinds: Vec<String>,
    /// What the wanted image seems to be if it could not be read.
    pub other_kind: Option<&'static str>,
    /// What the image that is there was read as.
    pub old_kinds: Vec<String>,
    /// What could not be read in either.
    pub gaps: Vec<String>,
    /// Who owns the new bytes, most first. Together they own all of them.
    pub parts: Vec<Part>,
    /// What another build would save, most first.
    pub savings: Vec<Saving>,
}

/// Somebody who owns new bytes.
#[derive(Debug)]
#[non_exhaustive]
pub struct Part {
    /// Path of a file, or the name of a kind of metadata.
    pub name: String,
    /// Length, if it is a file.
    pub len: Option<u64>,
    /// Its bytes of the image that are new.
    pub new_bytes: u64,
    /// Why they are.
    pub why: Why,
}

/// An image could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExplainError {
    /// The one that is there.
    Old(io::Error),
    /// The one that is wanted.
    New(io::Error),
}

impl fmt::Display for ExplainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Old(_) => "the image that is there cannot be read",
            Self::New(_) => "the wanted image cannot be read",
        })
    }
}

impl std::error::Error for ExplainError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Old(error) | Self::New(error) => Some(error),
        }
    }
}

impl From<Failed> for ExplainError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::A(error) => Self::Old(error),
            Failed::B(error) => Self::New(error),
        }
    }
}

/// Explains why `regions` of the image `new`, in order and disjoint, are needed where `old` is there.
pub fn explain(
    old: &mut dyn ReadAt,
    new: &mut dyn ReadAt,
    regions: &[Range<u64>],
) -> Result<Explanation, ExplainError> {
    let mut image = Cached::new(new);
    let layout = recognise::layout(&mut image).map_err(ExplainError::New)?;
    if layout.kinds.is_empty() {
        let len = image.len();
        let other_kind = recognise::name(&mut Volume::new(&mut image, 0..len)).map_err(ExplainError::New)?;
        return Ok(unnamed(other_kind, regions));
    }
    let b = Opened::new(image, layout);
    let mut image = Cached::new(old);
    let layout = recognise::layout(&mut image).map_err(ExplainError::Old)?;
    let a = Opened::new(image, layout);
    let gaps = a.layout.gaps.iter().map(|gap| format!("old image: {gap}"));
    let gaps = b.layout.gaps.iter().cloned().chain(gaps).collect();
    let (kinds, old_kinds) = (b.layout.kinds.clone(), a.layout.kinds.clone());
    let mut judge = Judge::new(a, b, regions);
    let mut parts = judge.parts()?;
    let savings = savings::of(&parts);
    parts.sort_by(|one, other| {
        let (one, other) = (&one.part, &other.part);
        other.new_bytes.cmp(&one.new_bytes).then_with(|| one.name.cmp(&other.name))
    });
    let parts = parts.into_iter().map(|judged| judged.part).collect();
    Ok(Explanation { kinds, other_kind: None, old_kinds, gaps, parts, savings })
}

/// An explanation without names: each region is a part.
fn unnamed(other_kind: Option<&'static str>, regions: &[Range<u64>]) -> Explanation {
    let mut parts: Vec<_> = regions
        .iter()
        .map(|region| Part {
            name: format!("{} +{}", region.start, region.end - region.start),
            len: None,
            new_bytes: region.end - region.start,
            why: Why::Unknown,
        })
        .collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.new_bytes));
    let savings = savings::of_unread(other_kind, &parts);
    Explanation { kinds: Vec::new(), other_kind, old_kinds: Vec::new(), gaps: Vec::new(), parts, savings }
}

/// A part, and what is known of its owner.
struct Judged {
    owner: Owner,
    part: Part,
}

impl Judged {
    fn is(&self, metadata: Metadata) -> bool {
        self.owner == Owner::Metadata(metadata)
    }
}
