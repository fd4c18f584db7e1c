//! What lies where in an image: files and metadata, as the readers of formats find them.
//!
//! A hostile image may claim anything, so all that is kept is counted and bounded; what is beyond the bounds is left
//! out, and the layout says that it is not complete.

use std::ops::Range;

/// Most files, pieces and spans of a layout, each.
const MOST: usize = 1 << 21;
/// Most bytes of paths.
const MOST_PATH_BYTES: usize = 64 << 20;

/// How the bytes of a piece become those of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As they are.
    Stored,
    /// There are none: the file has zeros there.
    Hole,
    /// A stream of zlib.
    Zlib,
    /// A frame of zstd.
    Zstd,
    /// In a way that is not known here.
    Opaque,
}

/// A part of a file's content.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) form: Form,
    /// Its bytes in the image.
    pub(crate) image: Range<u64>,
    /// Bytes of what they unfold to that belong to the files before.
    pub(crate) skip: u64,
    /// Bytes of the file.
    pub(crate) len: u64,
}

/// A file of an image.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) len: u64,
    /// Digest of its times.
    pub(crate) times: u64,
    /// Number of its inode, 0 where there are none.
    pub(crate) inode: u64,
    /// Its part of [`Layout::pieces`].
    pieces: Range<usize>,
}

/// What bytes of an image are if they are no file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metadata {
    Superblock,
    GroupDescriptors,
    Bitmaps,
    Inodes,
    Directories,
    Maps,
    Attributes,
    Journal,
    Headers,
    Tables,
    Partitions,
    /// What no file and no metadata holds.
    Free,
    /// Parts of the image that could not be read as anything.
    Unknown,
}

impl Metadata {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Superblock => "superblock",
            Self::GroupDescriptors => "group descriptors",
            Self::Bitmaps => "bitmaps",
            Self::Inodes => "inode tables",
            Self::Directories => "directories",
            Self::Maps => "extent trees and block maps",
            Self::Attributes => "extended attributes",
            Self::Journal => "journal",
            Self::Headers => "headers",
            Self::Tables => "other tables",
            Self::Partitions => "partition table",
            Self::Free => "free space",
            Self::Unknown => "not understood",
        }
    }
}

/// Whose bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// A file, by number.
    File(usize),
    /// Several files, by the number of a list of shares.
    Shared(usize),
    /// No file.
    Metadata(Metadata),
}

/// Bytes of the image with an owner.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) image: Range<u64>,
    pub(crate) owner: Owner,
}

/// A field of a superblock that builds may keep the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) name: String,
    pub(crate) value: Vec<u8>,
}

/// What lies where in an image.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// What kinds of images were read.
    pub(crate) kinds: Vec<String>,
    pub(crate) files: Vec<File>,
    pieces: Vec<Piece>,
    /// In the order of the image, disjoint, once [`Layout::finish`] was called.
    pub(crate) spans: Vec<Span>,
    /// Files with the bytes each has of what several share.
    pub(crate) shares: Vec<Vec<(usize, u64)>>,
    pub(crate) facts: Vec<Fact>,
    /// What could not be read and therefore has no names.
    pub(crate) gaps: Vec<String>,
    path_bytes: usize,
    full: bool,
}

impl Layout {
    /// Adds a file; its pieces follow. Returns its number, or `None` if there are too many.
    pub(crate) fn add_file(&mut self, path: String, len: u64, times: u64, inode: u64) -> Option<usize> {
        let path_bytes = self.path_bytes.saturating_add(path.len());
        if self.files.len() >= MOST || path_bytes > MOST_PATH_BYTES {
            self.full = true;
            return None;
        }
        self.path_bytes = path_bytes;
        let pieces = self.pieces.len()..self.pieces.len();
        self.files.push(File { path, len, times, inode, pieces });
        Some(self.files.len().saturating_sub(1))
    }

    /// Adds a piece to the file that was added last. Says whether there was room.
    pub(crate) fn add_piece(&mut self, piece: Piece) -> bool {
        let Some(file) = self.files.last_mut().filter(|_| self.pieces.len() < MOST) else {
            self.full = true;
            return false;
        };
        self.pieces.push(piece);
        file.pieces.end = self.pieces.len();
        true
    }

    /// Says whose bytes are. Of owners who claim the same bytes, those who start first have them, and of those the
    /// first to say so.
    pub(crate) fn claim(&mut self, image: Range<u64>, owner: Owner) -> bool {
        if let Some(last) = self.spans.last_mut()
            && last.owner == owner
            && last.image.end == image.start
        {
            last.image.end = image.end;
        } else if self.spans.len() < MOST {
            self.spans.push(Span { image, owner });
        } else {
            self.full = true;
        }
        !self.full
    }

    /// Notes that something could not be read, once.
    pub(crate) fn gap(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.gaps.contains(&what) {
            self.gaps.push(what);
        }
    }

    /// Puts the spans in order; nothing may be added after.
    pub(crate) fn finish(mut self) -> Self {
        if self.full {
            self.gap("more files than are kept in memory");
        }
        self.spans.sort_by_key(|span| span.image.start);
        let mut end = 0;
        self.spans.retain_mut(|span| {
            span.image.start = span.image.start.max(end);
            end = end.max(span.image.end);
            span.image.start < span.image.end
        });
        self
    }

    /// The pieces of a file, in its order.
    pub(crate) fn pieces(&self, file: &File) -> &[Piece] {
        self.pieces.get(file.pieces.clone()).unwrap_or_default()
    }

    /// Where a file's content starts.
    pub(crate) fn start(&self, file: &File) -> Option<(u64, u64)> {
        let first = self.pieces(file).iter().find(|piece| piece.form != Form::Hole)?;
        Some((first.image.start, first.skip))
    }
}

/// Joins numbers to one that differs when they do (FNV-1a).
pub(crate) fn digest(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_two_claim_are_counted_once() {
        let mut layout = Layout::default();
        layout.claim(10..20, Owner::File(1));
        layout.claim(0..15, Owner::Metadata(Metadata::Inodes));
        layout.claim(12..14, Owner::File(2));
        let spans: Vec<_> = layout.finish().spans.into_iter().map(|span| (span.image, span.owner)).collect();
        assert_eq!(spans, [(0..15, Owner::Metadata(Metadata::Inodes)), (15..20, Owner::File(1))]);
    }

    #[test]
    fn more_files_than_fit_are_told() {
        let mut layout = Layout::default();
        while layout.add_file("x".repeat(1 << 16), 0, 0, 0).is_some() {}
        assert_eq!(layout.files.len(), 1 << 10);
        assert_eq!(layout.finish().gaps, ["more files than are kept in memory"]);
    }
}
