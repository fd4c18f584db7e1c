//! What another build of the image would save.

use crate::layout::Metadata;
use crate::{Judged, Part, Why};

/// New bytes that a build of the image could avoid.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Saving {
    /// At most as many.
    pub bytes: u64,
    /// How.
    pub advice: Advice,
}

/// What a build can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Advice {
    /// Keep files that do not change in their order.
    KeepOrder,
    /// Keep small files from being packed with others.
    PackApart,
    /// Nothing: patches carry only what changed in such chunks.
    Patch,
    /// Compress in the same way each time.
    CompressAlike,
    /// Store what is compressed as it is, or so that changes stay local.
    StorePlain,
    /// Give all files the same times in each build.
    FixTimes,
    /// Give files that stay the same inode numbers.
    KeepNumbers,
    /// Give the file system the same identity in each build.
    FixIdentity,
    /// Zero what is free.
    ZeroFree,
    /// Leave out or empty the journal.
    EmptyJournal,
    /// Publish what the image unfolds to.
    Uncompress,
}

impl Advice {
    /// A word for machines.
    pub fn code(self) -> &'static str {
        match self {
            Self::KeepOrder => "keep-order",
            Self::PackApart => "pack-apart",
            Self::Patch => "patch",
            Self::CompressAlike => "compress-alike",
            Self::StorePlain => "store-plain",
            Self::FixTimes => "fix-times",
            Self::KeepNumbers => "keep-numbers",
            Self::FixIdentity => "fix-identity",
            Self::ZeroFree => "zero-free",
            Self::EmptyJournal => "empty-journal",
            Self::Uncompress => "uncompress",
        }
    }

    /// A line for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::KeepOrder => {
                "unchanged files at another place: keep their order (sort what tar, mksquashfs or mkfs is given)"
            }
            Self::PackApart => {
                "unchanged files packed anew: keep the compressor and its options, use smaller blocks (mksquashfs -b), \
                 keep small files apart (-no-fragments)"
            }
            Self::Patch => "unchanged files beside what changed: nothing to do, patches leave them out",
            Self::CompressAlike => {
                "files compressed anew, the same inside: compress them alike (gzip -n, same level)"
            }
            Self::StorePlain => {
                "compressed files that changed: store them plain, or compressed so that changes stay local \
                 (gzip --rsyncable)"
            }
            Self::FixTimes => {
                "times of files: give them the same in each build (SOURCE_DATE_EPOCH, tar --mtime, mksquashfs -all-time)"
            }
            Self::KeepNumbers => {
                "inode numbers that shifted: let the build create new files after those that stay, not between them"
            }
            Self::FixIdentity => {
                "superblock: fix UUID, hash seed and times (mke2fs -U, -E hash_seed=, SOURCE_DATE_EPOCH)"
            }
            Self::ZeroFree => {
                "free space that is not zero: zero it (e2image -r, zerofree, fstrim of a loop device)"
            }
            Self::EmptyJournal => {
                "a journal with content: publish unmounted images (e2fsck), or without (mke2fs -O ^has_journal)"
            }
            Self::Uncompress => "the image is compressed as a whole: publish what it unfolds to",
        }
    }
}

/// What could be saved of these parts, most first.
pub(crate) fn of(parts: &[Judged]) -> Vec<Saving> {
    collect(parts.iter().filter_map(|judged| Some((judged.part.new_bytes, advice(judged)?))))
}

/// What could be saved of an image that could not be read.
pub(crate) fn of_unread(kind: Option<&str>, parts: &[Part]) -> Vec<Saving> {
    let compressed =
        kind.is_some_and(|kind| matches!(kind, "gzip" | "xz" | "zstd" | "bzip2" | "lz4" | "zip"));
    let parts = parts.iter().filter(|_| compressed);
    collect(parts.map(|part| (part.new_bytes, Advice::Uncompress)))
}

fn collect(found: impl Iterator<Item = (u64, Advice)>) -> Vec<Saving> {
    let mut savings: Vec<Saving> = Vec::new();
    for (bytes, advice) in found.filter(|(bytes, _)| *bytes > 0) {
        match savings.iter_mut().find(|saving| saving.advice == advice) {
            Some(saving) => saving.bytes += bytes,
            None => savings.push(Saving { bytes, advice }),
        }
    }
    savings.sort_by_key(|saving| (std::cmp::Reverse(saving.bytes), saving.advice));
    savings
}

fn advice(judged: &Judged) -> Option<Advice> {
    match &judged.part.why {
        Why::Renamed { .. } | Why::Unchanged { moved: true, .. } => Some(Advice::KeepOrder),
        Why::Unchanged { packed: true, .. } => Some(Advice::PackApart),
        Why::Unchanged { .. } => Some(Advice::Patch),
        Why::Recompressed(_) => Some(Advice::CompressAlike),
        Why::Changed { format: Some(_), .. } => Some(Advice::StorePlain),
        Why::OfFiles { touched: 1.., .. } => Some(Advice::FixTimes),
        Why::OfFiles { renumbered: 1.., .. } => Some(Advice::KeepNumbers),
        Why::Fields(fields) => (!fields.is_empty()).then_some(Advice::FixIdentity),
        Why::NotZero(1..) if judged.is(Metadata::Journal) => Some(Advice::EmptyJournal),
        Why::NotZero(1..) => Some(Advice::ZeroFree),
        Why::NewFile
        | Why::NotZero(0)
        | Why::OfFiles { touched: 0, renumbered: 0 }
        | Why::Changed { format: None, .. }
        | Why::NotCompared
        | Why::Metadata
        | Why::Unknown => None,
    }
}
