//! Reading the table at the end of a pack: which frames it has and which chunks lie in them.
//!
//! The table serves publishers and verifiers; a device finds its frames through the index and never reads it.

use std::fmt;

use chunk_chunker::{Name, Params};

use super::{END, FORMAT, HEADER_LEN, KNOWN_FEATURES, MAGIC, MAX_PACK, TRAILER_LEN};
use crate::frame::{Frame, MAX_FRAME};

/// Longest chunk.
const MAX_CHUNK: u32 = Params::LARGEST_MAX;
/// Bytes a frame takes in the table.
const FRAME_LEN: usize = 12;
/// Bytes a chunk takes in the table.
const CHUNK_LEN: usize = 36;
/// Bytes before the first frame's line.
const COUNTS_LEN: usize = 8;

/// One chunk of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// BLAKE3 of the plain bytes.
    pub name: Name,
    /// Number of the frame that holds it.
    pub frame: u32,
    /// Offset of its first byte in the plain frame.
    pub first: u32,
    /// Plain bytes.
    pub len: u32,
}

/// What a pack holds, checked against every limit of the format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    frames: Vec<Frame>,
    chunks: Vec<Chunk>,
}

/// Why bytes are not a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableError {
    /// Shorter than a header and a trailer, or longer than the format allows.
    Length(u64),
    /// The header or the trailer is not a pack's.
    Magic,
    /// Written in a format this program does not know.
    Format(u16),
    /// Uses features this program does not know.
    Features(u32),
    /// The trailer points outside of the file.
    TableOffset(u64),
    /// The table's BLAKE3 is not the trailer's.
    TableHash,
    /// The counts do not fit the table's length.
    Counts {
        /// Frames stated.
        frames: u32,
        /// Chunks stated.
        chunks: u32,
    },
    /// A frame breaks a limit, or its chunks do not add up to it.
    Frame(u32),
    /// The frames do not end where the table starts, or chunks are left over.
    Sum,
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(len) => write!(f, "a pack cannot be {len} bytes long"),
            Self::Magic => f.write_str("not a pack, or cut short"),
            Self::Format(version) => write!(f, "pack format {version} is not known"),
            Self::Features(bits) => write!(f, "pack needs unknown features {bits:#x}"),
            Self::TableOffset(offset) => write!(f, "pack table cannot start at {offset}"),
            Self::TableHash => f.write_str("pack table is damaged"),
            Self::Counts { frames, chunks } => {
                write!(f, "pack table states {frames} frames and {chunks} chunks, its length differs")
            }
            Self::Frame(number) => write!(f, "frame {number} of the pack is impossible"),
            Self::Sum => f.write_str("frames of the pack do not add up"),
        }
    }
}

impl std::error::Error for TableError {}

/// Where the table lies, from a pack's trailer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trailer {
    pub(crate) offset: u32,
    pub(crate) len: u32,
    hash: [u8; 32],
}

impl Trailer {
    /// Reads the last [`TRAILER_LEN`] bytes of a pack of `pack_len` bytes.
    pub(crate) fn decode(pack_len: u64, bytes: &[u8; 48]) -> Result<Self, TableError> {
        let least = u64::from(HEADER_LEN + TRAILER_LEN);
        if pack_len < least || pack_len > u64::from(MAX_PACK) {
            return Err(TableError::Length(pack_len));
        }
        let (offset, rest) = bytes.split_at(8);
        let (hash, end) = rest.split_at(32);
        if end != END {
            return Err(TableError::Magic);
        }
        let offset = u64::from_le_bytes(offset.try_into().expect("split at 8"));
        let table_end = pack_len - u64::from(TRAILER_LEN);
        if offset < u64::from(HEADER_LEN) || offset > table_end {
            return Err(TableError::TableOffset(offset));
        }
        let fits = "at most the longest pack, which fits u32";
        Ok(Self {
            offset: u32::try_from(offset).expect(fits),
            len: u32::try_from(table_end - offset).expect(fits),
            hash: hash.try_into().expect("split at 32"),
        })
    }
}

/// Checks the first [`HEADER_LEN`] bytes of a pack.
pub(crate) fn check_header(bytes: &[u8; 16]) -> Result<(), TableError> {
    let (magic, rest) = bytes.split_at(8);
    if magic != MAGIC {
        return Err(TableError::Magic);
    }
    let version = u16::from_le_bytes([rest[0], rest[1]]);
    if version != FORMAT {
        return Err(TableError::Format(version));
    }
    if rest[2..4] != [0, 0] {
        return Err(TableError::Magic);
    }
    let features = u32::from_le_bytes([rest[4], rest[5], rest[6], rest[7]]);
    if features & !KNOWN_FEATURES != 0 {
        return Err(TableError::Features(features));
    }
    Ok(())
}

impl Table {
    /// Reads the table of a whole pack in memory. Frames are not decoded.
    pub fn decode(pack: &[u8]) -> Result<Self, TableError> {
        let pack_len = pack.len() as u64;
        let (Some(header), Some(trailer)) = (pack.first_chunk(), pack.last_chunk()) else {
            return Err(TableError::Length(pack_len));
        };
        check_header(header)?;
        let trailer = Trailer::decode(pack_len, trailer)?;
        let table = pack
            .get(trailer.offset as usize..)
            .and_then(|rest| rest.get(..trailer.len as usize))
            .ok_or(TableError::TableOffset(u64::from(trailer.offset)))?;
        Self::decode_table(&trailer, table)
    }

    /// Reads the bytes that `trailer` points to.
    pub(crate) fn decode_table(trailer: &Trailer, table: &[u8]) -> Result<Self, TableError> {
        if *blake3::hash(table).as_bytes() != trailer.hash {
            return Err(TableError::TableHash);
        }
        let Some((counts, rest)) = table.split_at_checked(COUNTS_LEN) else {
            return Err(TableError::Counts { frames: 0, chunks: 0 });
        };
        let frame_count = read_u32(counts, 0);
        let chunk_count = read_u32(counts, 4);
        let mismatch = TableError::Counts { frames: frame_count, chunks: chunk_count };
        let stated = u64::from(frame_count) * FRAME_LEN as u64 + u64::from(chunk_count) * CHUNK_LEN as u64;
        if stated != rest.len() as u64 {
            return Err(mismatch);
        }
        // Both counts are now bounded by the table's own length.
        let (frame_lines, chunk_lines) = rest.split_at(frame_count as usize * FRAME_LEN);
        let mut chunk_lines = chunk_lines.chunks_exact(CHUNK_LEN);
        let mut frames = Vec::with_capacity(frame_count as usize);
        let mut chunks = Vec::with_capacity(chunk_count as usize);
        let mut offset = HEADER_LEN;
        for (number, line) in (0u32..).zip(frame_lines.chunks_exact(FRAME_LEN)) {
            let impossible = || TableError::Frame(number);
            let frame = Frame {
                offset,
                stored_len: read_u32(line, 0),
                plain_len: read_u32(line, 4) >> 1,
                raw: read_u32(line, 4) & 1 == 1,
            };
            let raw_fits = !frame.raw || frame.stored_len == frame.plain_len;
            if frame.plain_len == 0 || frame.plain_len > MAX_FRAME || frame.stored_len == 0 || !raw_fits {
                return Err(impossible());
            }
            let mut first = 0u32;
            for _ in 0..read_u32(line, 8) {
                let line = chunk_lines.next().ok_or_else(impossible)?;
                let name = Name::from_bytes(line[..32].try_into().expect("a line has 36 bytes"));
                let len = read_u32(line, 32);
                chunks.push(Chunk { name, frame: number, first, len });
                first = first
                    .checked_add(len)
                    .filter(|end| (1..=MAX_CHUNK).contains(&len) && *end <= frame.plain_len)
                    .ok_or_else(impossible)?;
            }
            if first != frame.plain_len {
                return Err(impossible());
            }
            offset = offset.checked_add(frame.stored_len).ok_or_else(impossible)?;
            frames.push(frame);
        }
        if offset != trailer.offset || chunk_lines.next().is_some() {
            return Err(TableError::Sum);
        }
        Ok(Self { frames, chunks })
    }

    /// The frames, in the order of the file.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// The chunks, in the order of the frames.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }
}

/// The little-endian word at `at`; the caller has checked that it is there.
fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
