//! Frames: neighbouring chunks compressed together (FORMAT 5).
//!
//! A frame is decoded into a buffer of exactly the length the reader already expects, so neither a bomb nor a
//! lying header can make it allocate.

use std::fmt;
use std::io;

use zstd::zstd_safe;

/// Longest plain frame, in bytes.
pub const MAX_FRAME: u32 = 4 << 20;

/// Where a frame lies in its pack, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Frame {
    /// Offset of the first stored byte in the pack.
    pub offset: u32,
    /// Stored bytes.
    pub stored_len: u32,
    /// Bytes after decoding.
    pub plain_len: u32,
    /// Stored as it is, without zstd.
    pub raw: bool,
}

/// Why stored bytes are not the frame they should be.
#[derive(Debug)]
#[non_exhaustive]
pub enum FrameError {
    /// The caller brought another number of bytes than the frame has.
    StoredLength {
        /// Bytes the frame should have.
        expected: u32,
        /// Bytes brought.
        actual: usize,
    },
    /// The stated plain length is beyond [`MAX_FRAME`], zero, or differs from the bytes' own.
    PlainLength {
        /// Length stated by pack or index.
        expected: u32,
        /// Length found, where one was found.
        actual: Option<u64>,
    },
    /// Not one complete zstd frame, or bytes behind it.
    Framing,
    /// zstd found the content damaged.
    Damaged(io::Error),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StoredLength { expected, actual } => {
                write!(f, "frame of {expected} stored bytes came with {actual}")
            }
            Self::PlainLength { expected, actual: Some(actual) } => {
                write!(f, "frame should hold {expected} bytes and holds {actual}")
            }
            Self::PlainLength { expected, actual: None } => {
                write!(f, "frame states an impossible length of {expected} bytes")
            }
            Self::Framing => f.write_str("not exactly one zstd frame"),
            Self::Damaged(_) => f.write_str("frame is damaged"),
        }
    }
}

impl std::error::Error for FrameError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Damaged(cause) => Some(cause),
            _ => None,
        }
    }
}

/// Turns plain frames into stored ones at one zstd level.
pub struct Compressor {
    zstd: zstd::bulk::Compressor<'static>,
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

impl Compressor {
    /// A compressor for zstd's `level`.
    pub fn new(level: i32) -> io::Result<Self> {
        let mut zstd = zstd::bulk::Compressor::new(level)?;
        zstd.set_parameter(zstd_safe::CParameter::ContentSizeFlag(true))?;
        zstd.set_parameter(zstd_safe::CParameter::ChecksumFlag(false))?;
        Ok(Self { zstd })
    }

    /// A compressor for zstd's `level` that has taken all the memory it needs for frames of up to `longest` plain
    /// bytes.
    pub fn sized(level: i32, longest: u32) -> io::Result<Self> {
        let mut compressor = Self::new(level)?;
        // What zstd takes depends on the level and the length. Zeros are the quickest way to tell it the length.
        compressor.compress(vec![0; usize::try_from(longest).map_err(io::Error::other)?])?;
        Ok(compressor)
    }

    /// Bytes that the compressor holds between frames.
    pub fn memory(&mut self) -> usize {
        self.zstd.context_mut().sizeof()
    }

    /// Compresses `plain`; returns the stored bytes and whether they are raw.
    ///
    /// A frame that would save less than one part in 64 is kept raw: it costs the reader nothing to decode.
    pub fn compress(&mut self, plain: Vec<u8>) -> io::Result<(Vec<u8>, bool)> {
        let packed = self.zstd.compress(&plain)?;
        if packed.len() < plain.len() - plain.len() / 64 { Ok((packed, false)) } else { Ok((plain, true)) }
    }
}

/// Turns stored frames back into plain ones.
pub struct Decoder {
    zstd: zstd::bulk::Decompressor<'static>,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder; it can be used for any number of frames.
    pub fn new() -> io::Result<Self> {
        Ok(Self { zstd: zstd::bulk::Decompressor::new()? })
    }

    /// Decodes `stored` into `plain`, which is cleared first and holds exactly the frame's bytes afterwards.
    ///
    /// The bytes are what the pack says, not yet what anybody wanted: names and block hashes are checked above.
    pub fn decode(&mut self, frame: &Frame, stored: &[u8], plain: &mut Vec<u8>) -> Result<(), FrameError> {
        plain.clear();
        if u32::try_from(stored.len()) != Ok(frame.stored_len) {
            return Err(FrameError::StoredLength { expected: frame.stored_len, actual: stored.len() });
        }
        let expected = frame.plain_len;
        if expected == 0 || expected > MAX_FRAME {
            return Err(FrameError::PlainLength { expected, actual: None });
        }
        if frame.raw {
            if frame.stored_len != expected {
                return Err(FrameError::PlainLength { expected, actual: Some(u64::from(frame.stored_len)) });
            }
            plain.extend_from_slice(stored);
            return Ok(());
        }
        if zstd_safe::find_frame_compressed_size(stored) != Ok(stored.len()) {
            return Err(FrameError::Framing);
        }
        let stated = zstd_safe::get_frame_content_size(stored).map_err(|_| FrameError::Framing)?;
        if stated != Some(u64::from(expected)) {
            return Err(FrameError::PlainLength { expected, actual: stated });
        }
        let capacity = usize::try_from(expected).expect("4 MiB fit in usize");
        plain.reserve_exact(capacity);
        let written = self.zstd.decompress_to_buffer(stored, plain).map_err(FrameError::Damaged)?;
        if written != capacity || plain.len() != capacity {
            plain.clear();
            return Err(FrameError::PlainLength { expected, actual: u64::try_from(written).ok() });
        }
        Ok(())
    }
}
