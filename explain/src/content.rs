//! The content of files, and how two of them differ.

use std::io::{self, Read};
use std::ops::Range;

use crate::layout::{Form, Layout};
use crate::read::{Cached, in_memory};
use crate::unfold::{Format, unfold};

/// Bytes that are compared at once, and the unit in which differences are counted.
const UNIT: usize = 4096;
/// Most bytes that a piece unfolds to: squashfs has no larger blocks.
const MOST_UNFOLDED: usize = 1 << 20;
/// Bytes that are unfolded for each byte of the image, all in all. Files in any order, each compared with a few, take
/// less; an image that has a million files in one block would take days.
const MOST_PER_BYTE: u64 = 256;
/// Most bytes of a piece that are read at once.
const PART: u64 = 1 << 16;

/// An image that was read, whose files can be.
#[derive(Debug)]
pub(crate) struct Opened<'a> {
    pub(crate) image: Cached<'a>,
    pub(crate) layout: Layout,
    /// What was unfolded last: small files share such blocks.
    unfolded: Option<(Range<u64>, Vec<u8>)>,
    /// Bytes that may still be unfolded.
    left: u64,
}

impl<'a> Opened<'a> {
    pub(crate) fn new(image: Cached<'a>, layout: Layout) -> Self {
        let left = image.len().saturating_mul(MOST_PER_BYTE).saturating_add(MOST_UNFOLDED as u64);
        Self { image, layout, unfolded: None, left }
    }

    /// The content of file `number`.
    pub(crate) fn content(&mut self, number: usize) -> Content<'_, 'a> {
        Content { opened: self, number, piece: 0, done: 0, failed: None }
    }

    /// Whether any byte of the file is compressed by its file system.
    pub(crate) fn is_packed(&self, number: usize) -> bool {
        self.layout.files.get(number).is_some_and(|file| {
            self.layout.pieces(file).iter().any(|piece| matches!(piece.form, Form::Zlib | Form::Zstd))
        })
    }

    /// At most `most` bytes of a piece, from its byte `done` on; `None` if they cannot be unfolded.
    fn part(&mut self, number: usize, piece: usize, done: u64, most: u64) -> io::Result<Part> {
        let file = self.layout.files.get(number);
        let Some(piece) = file.and_then(|file| self.layout.pieces(file).get(piece)) else {
            return Ok(Part::End);
        };
        let len = piece.len.saturating_sub(done).min(most).min(PART);
        if len == 0 {
            return Ok(Part::Next);
        }
        let start = piece.skip.saturating_add(done);
        let plain = match piece.form {
            Form::Hole => Some(vec![0; in_memory(len)]),
            Form::Stored => {
                let start = piece.image.start.saturating_add(start);
                self.image.get(start..start.saturating_add(len))?
            }
            form => {
                if self.unfolded.as_ref().is_none_or(|(range, _)| *range != piece.image) {
                    if self.left == 0 {
                        return Ok(Part::Unreadable);
                    }
                    let bytes = self.image.get(piece.image.clone())?.unwrap_or_default();
                    self.unfolded =
                        unfold(form, bytes, MOST_UNFOLDED).map(|plain| (piece.image.clone(), plain));
                    let taken = self.unfolded.as_ref().map_or(MOST_UNFOLDED, |(_, plain)| plain.len());
                    self.left = self.left.saturating_sub(taken as u64);
                }
                let plain = self.unfolded.as_ref().and_then(|(_, plain)| plain.get(in_memory(start)..));
                plain.and_then(|plain| plain.get(..in_memory(len))).map(<[u8]>::to_vec)
            }
        };
        Ok(plain.map_or(Part::Unreadable, Part::Bytes))
    }
}

enum Part {
    Bytes(Vec<u8>),
    Next,
    End,
    Unreadable,
}

/// A file as a stream.
pub(crate) struct Content<'o, 'a> {
    opened: &'o mut Opened<'a>,
    number: usize,
    piece: usize,
    done: u64,
    /// Why the image could not be read, once it could not.
    failed: Option<io::Error>,
}

impl Content<'_, '_> {
    /// Why the image could not be read, if that is why the content could not be.
    pub(crate) fn into_failure(self) -> Option<io::Error> {
        self.failed
    }
}

impl Read for Content<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.opened.part(self.number, self.piece, self.done, buffer.len() as u64) {
                Ok(Part::Bytes(bytes)) => {
                    buffer[..bytes.len()].copy_from_slice(&bytes);
                    self.done = self.done.saturating_add(bytes.len() as u64);
                    return Ok(bytes.len());
                }
                Ok(Part::Next) if buffer.is_empty() => return Ok(0),
                Ok(Part::Next) => {
                    self.piece = self.piece.saturating_add(1);
                    self.done = 0;
                }
                Ok(Part::End) => return Ok(0),
                Ok(Part::Unreadable) => return Err(io::ErrorKind::InvalidData.into()),
                Err(error) => {
                    let kind = error.kind();
                    self.failed = Some(error);
                    return Err(kind.into());
                }
            }
        }
    }
}

/// Which of two images could not be read, and why.
#[derive(Debug)]
pub(crate) enum Failed {
    A(io::Error),
    B(io::Error),
}

/// How two contents differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// This many bytes of B, in units of 4 KiB, are not those of A at the same place; 0 if all are the same.
    Bytes(u64),
    /// One of them cannot be read, as what it is in.
    Unreadable,
    /// The budget ended before they did.
    TooLong,
}

/// Compares two files of images; each unit takes from the budget.
pub(crate) fn compare(mut a: Content, mut b: Content, budget: &mut u64) -> Result<Difference, Failed> {
    let difference = streams(&mut a, &mut b, u64::MAX, budget);
    settle(a, b)?;
    Ok(difference)
}

/// Whether two files of images are the same. Stops where they are not.
pub(crate) fn same(mut a: Content, mut b: Content, budget: &mut u64) -> Result<bool, Failed> {
    let same = streams(&mut a, &mut b, 0, budget) == Difference::Bytes(0);
    settle(a, b)?;
    Ok(same)
}

/// Compares what two compressed files unfold to. Says whether it is the same.
pub(crate) fn same_unfolded(
    mut a: Content,
    mut b: Content,
    format: Format,
    budget: &mut u64,
) -> Result<bool, Failed> {
    let same = match (format.reader(&mut a), format.reader(&mut b)) {
        (Ok(Some(mut a)), Ok(Some(mut b))) => streams(&mut a, &mut b, 0, budget) == Difference::Bytes(0),
        _ => false,
    };
    settle(a, b)?;
    Ok(same)
}

fn settle(a: Content, b: Content) -> Result<(), Failed> {
    match (a.failed, b.failed) {
        (Some(error), _) => Err(Failed::A(error)),
        (None, Some(error)) => Err(Failed::B(error)),
        (None, None) => Ok(()),
    }
}

/// Compares two streams until more than `most` bytes differ.
fn streams(a: &mut dyn Read, b: &mut dyn Read, most: u64, budget: &mut u64) -> Difference {
    let (mut one, mut other) = (Vec::new(), Vec::new());
    let mut different = 0_u64;
    loop {
        let (Some(()), Some(())) = (fill(a, &mut one), fill(b, &mut other)) else {
            return Difference::Unreadable;
        };
        if (one.is_empty() && other.is_empty()) || different > most {
            return Difference::Bytes(different);
        }
        if one != other {
            different = different.saturating_add(one.len().max(other.len()) as u64);
        }
        let Some(left) = budget.checked_sub(UNIT as u64) else { return Difference::TooLong };
        *budget = left;
    }
}

/// The next unit of a stream; less only at its end.
fn fill(from: &mut dyn Read, unit: &mut Vec<u8>) -> Option<()> {
    unit.clear();
    from.take(UNIT as u64).read_to_end(unit).ok().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Piece;
    use crate::read::ReadAt;

    struct Memory(Vec<u8>);

    impl ReadAt for Memory {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
            let start = usize::try_from(offset).expect("it is in memory");
            buffer.copy_from_slice(&self.0[start..][..buffer.len()]);
            Ok(())
        }
    }

    /// Two files in blocks of their own.
    fn opened(image: &mut Memory, first: u64) -> Opened<'_> {
        let mut layout = Layout::default();
        let len = image.len();
        for image in [0..first, first..len] {
            layout.add_file(String::new(), 5000, 0, 0);
            layout.add_piece(Piece { form: Form::Zstd, image, skip: 0, len: 5000 });
        }
        Opened::new(Cached::new(image), layout.finish())
    }

    #[test]
    fn blocks_that_are_unfolded_again_and_again_become_unreadable() {
        let blocks = [1, 2].map(|byte| zstd::bulk::compress(&[byte; 5000], 1).unwrap());
        let first = blocks[0].len() as u64;
        let mut image = Memory(blocks.concat());
        let mut opened = opened(&mut image, first);
        let mut read = |number| {
            let mut bytes = Vec::new();
            opened.content(number).read_to_end(&mut bytes).map(|_| bytes)
        };
        assert_eq!((read(0).unwrap(), read(1).unwrap()), (vec![1; 5000], vec![2; 5000]));
        let turns = (0..1000).take_while(|turn| read(turn % 2).is_ok()).count();
        assert!((150..300).contains(&turns), "{turns} times 5000 bytes are about a megabyte");
    }
}
