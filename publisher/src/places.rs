//! Lines of the chunk list with their places, in image order.
//!
//! A line waits here until its frame is written and its place is known. From then on it lies in a temporary
//! file, because a place may still change: what a version wants of old frames shows only when it is complete.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use chunk_index::ShortName;
use chunk_store::{Frame, PackSlot, Place};
use tempfile::SpooledTempFile;

use crate::error::MakeError;
use crate::packing::{Packing, Spot};

/// Bytes that are kept in memory before a file is used.
pub(crate) const IN_MEMORY: usize = 4 << 20;
/// Bytes of a line in the file.
const LINE_LEN: usize = 31;

/// One line of the chunk list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlacedLine {
    pub(crate) short: ShortName,
    pub(crate) len: u32,
    /// None for zeros.
    pub(crate) place: Option<Place>,
}

pub(crate) struct Places {
    waiting: VecDeque<(ShortName, u32, Spot)>,
    file: SpooledTempFile,
    buffer: Vec<u8>,
    /// Bytes that the lines want of each frame, repeats counted.
    wanted: HashMap<(PackSlot, Frame), u64>,
}

impl Places {
    pub(crate) fn new(scratch: &Path) -> Self {
        Self {
            waiting: VecDeque::new(),
            file: SpooledTempFile::new_in(IN_MEMORY, scratch),
            buffer: Vec::new(),
            wanted: HashMap::new(),
        }
    }

    /// Takes the next line, and keeps those whose turn has come.
    pub(crate) fn push(
        &mut self,
        short: ShortName,
        len: u32,
        spot: Spot,
        packing: &Packing<'_>,
    ) -> Result<(), MakeError> {
        self.waiting.push_back((short, len, spot));
        self.drain(packing)
    }

    /// Keeps the lines whose turn has come.
    pub(crate) fn drain(&mut self, packing: &Packing<'_>) -> Result<(), MakeError> {
        while let Some(&(short, len, spot)) = self.waiting.front() {
            let Ok(place) = packing.resolve(spot, len) else { break };
            self.waiting.pop_front();
            if let Some(place) = place {
                *self.wanted.entry((place.pack, place.frame)).or_default() += u64::from(len);
            }
            encode(&PlacedLine { short, len, place }, &mut self.buffer);
        }
        if self.buffer.len() >= 1 << 16 {
            self.write_buffer().map_err(MakeError::store("keeping the chunk list"))?;
        }
        Ok(())
    }

    /// Frames of which less than half is wanted.
    pub(crate) fn hardly_wanted(&self) -> impl Iterator<Item = (PackSlot, Frame)> {
        let hardly =
            |((_, frame), wanted): &(&(PackSlot, Frame), &u64)| **wanted * 2 < u64::from(frame.plain_len);
        self.wanted.iter().filter(hardly).map(|(key, _)| *key)
    }

    /// Calls `take` with each line, in order.
    pub(crate) fn each(
        &mut self,
        mut take: impl FnMut(PlacedLine) -> Result<(), MakeError>,
    ) -> Result<(), MakeError> {
        assert!(self.waiting.is_empty(), "the caller has written every frame");
        let failed = || MakeError::store("keeping the chunk list");
        self.write_buffer().and_then(|()| self.file.seek(SeekFrom::Start(0))).map_err(failed())?;
        let mut reader = BufReader::with_capacity(1 << 16, &mut self.file);
        let mut line = [0; LINE_LEN];
        loop {
            match reader.read_exact(&mut line) {
                Ok(()) => take(decode(&line))?,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(failed()(error)),
            }
        }
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::End(0))?;
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

fn encode(line: &PlacedLine, out: &mut Vec<u8>) {
    out.extend_from_slice(&line.short.to_bytes());
    out.push(u8::from(line.place.is_some()));
    let words = match line.place {
        Some(Place { pack, frame, first, len }) => {
            let plain = frame.plain_len << 1 | u32::from(frame.raw);
            [len, pack.number(), frame.offset, frame.stored_len, plain, first]
        }
        None => [line.len, 0, 0, 0, 0, 0],
    };
    for word in words {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

fn decode(bytes: &[u8; LINE_LEN]) -> PlacedLine {
    let word = |number: usize| {
        let at = 7 + 4 * number;
        u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
    };
    let len = word(0);
    let place = (bytes[6] == 1).then(|| Place {
        pack: PackSlot::from_number(word(1)),
        frame: Frame { offset: word(2), stored_len: word(3), plain_len: word(4) >> 1, raw: word(4) & 1 == 1 },
        first: word(5),
        len,
    });
    PlacedLine { short: ShortName::from_bytes(bytes[..6].try_into().expect("six bytes")), len, place }
}
