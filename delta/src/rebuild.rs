//! A target rebuilt front to back, for who has all of a patch at hand.

use std::fmt;
use std::io;
use std::ops::Range;

use chunk_patch::{DecodeError, Decoder, Limits};

use crate::format::{Origin, Patch, Stream};
use crate::image::Image;
use crate::ranges::Ranges;

/// Makes any part of a target behind the parts it made before. Holds one decoded group of each stream.
pub struct Rebuilder<'a> {
    patch: &'a Patch,
    /// The whole patch.
    file: &'a dyn Image,
    base: &'a dyn Image,
    groups: [Option<(usize, Vec<u8>)>; 2],
}

impl fmt::Debug for Rebuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rebuilder").field("target", &self.patch.target()).finish_non_exhaustive()
    }
}

impl<'a> Rebuilder<'a> {
    /// Rebuilds from `base` with the patch `file`, whose head is `patch`.
    pub fn new(patch: &'a Patch, file: &'a dyn Image, base: &'a dyn Image) -> Self {
        Self { patch, file, base, groups: [None, None] }
    }

    /// Makes `range` of the target. It is what the patch says, and the target only if the hashes of its blocks are.
    pub fn read(&mut self, range: Range<u64>, out: &mut Vec<u8>) -> Result<(), RebuildError> {
        out.clear();
        for piece in self.patch.pieces(range) {
            let start = out.len();
            let len = usize::try_from(piece.target.end - piece.target.start).map_err(io::Error::other);
            out.resize(start + len.map_err(RebuildError::Read)?, 0);
            let part = &mut out[start..];
            match piece.origin {
                Origin::Zero => {}
                Origin::Base(offset) => self.base.read_at(offset, part).map_err(RebuildError::Read)?,
                Origin::New(stream, offset) => {
                    let (made, first) = self.group(stream, offset)?;
                    made.read_at(offset - first, part).map_err(RebuildError::Read)?;
                }
            }
        }
        Ok(())
    }

    /// What comes out of the group that new byte `offset` of `stream` is in, and where in the stream that starts.
    fn group(&mut self, stream: Stream, offset: u64) -> Result<(&[u8], u64), RebuildError> {
        let number = self.patch.group_of(stream, offset).expect("pieces refer to what groups make");
        let group = &self.patch.groups()[number];
        let kept = &mut self.groups[stream as usize];
        if kept.as_ref().is_none_or(|(kept, _)| *kept != number) {
            // The one before is not needed any more, and memory is.
            *kept = None;
            let in_memory =
                |range: &Range<u64>| usize::try_from(range.end - range.start).map_err(io::Error::other);
            let mut stored = vec![0; in_memory(&group.stored).map_err(RebuildError::Read)?];
            self.file.read_at(group.stored.start, &mut stored).map_err(RebuildError::Read)?;
            let base = Ranges::new(self.base, &group.base);
            let len = group.new.end - group.new.start;
            let mut decoder = Decoder::new(&stored, &base, len, &Limits::default())?;
            let mut made = vec![0; in_memory(&group.new).map_err(RebuildError::Read)?];
            let mut done = 0;
            while done < made.len() {
                match decoder.read(&mut made[done..])? {
                    0 => return Err(RebuildError::Group(DecodeError::Truncated)),
                    count => done += count,
                }
            }
            *kept = Some((number, made));
        }
        let (_, made) = kept.as_ref().expect("it was made just now, or before");
        Ok((made, group.new.start))
    }
}

/// Why a part of a target could not be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum RebuildError {
    /// Base or patch cannot be read.
    Read(io::Error),
    /// A group does not decode.
    Group(DecodeError),
}

impl fmt::Display for RebuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(_) => f.write_str("base or patch cannot be read"),
            Self::Group(_) => f.write_str("a group of the patch does not decode"),
        }
    }
}

impl std::error::Error for RebuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(cause) => Some(cause),
            Self::Group(cause) => Some(cause),
        }
    }
}

impl From<DecodeError> for RebuildError {
    fn from(error: DecodeError) -> Self {
        Self::Group(error)
    }
}
