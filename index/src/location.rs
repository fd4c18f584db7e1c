//! Where a chunk's bytes lie: a place in a plain frame, a frame in a pack.

use std::error::Error;
use std::fmt;

use crate::locator::Locator;

/// Most bytes of a plain frame (FORMAT 5).
const PLAIN_LIMIT: u32 = 4 << 20;

/// A frame of a pack, as a map describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRef {
    /// Offset in the pack.
    pub offset: u32,
    /// Bytes in the pack.
    pub stored_len: u32,
    /// Bytes once decompressed.
    pub plain_len: u32,
    /// Whether the pack holds the plain bytes themselves.
    pub raw: bool,
}

impl FrameRef {
    /// Offset in the pack of the frame's end. Beyond `u32` for no frame that a decoder lets pass.
    pub fn end(&self) -> u64 {
        u64::from(self.offset).saturating_add(u64::from(self.stored_len))
    }

    /// Refuses lengths that no frame has.
    pub(crate) fn check(&self) -> Result<(), LocationError> {
        let Self { stored_len, plain_len, .. } = *self;
        if stored_len == 0 || plain_len == 0 {
            return Err(LocationError::EmptyFrame);
        }
        if plain_len > PLAIN_LIMIT {
            return Err(LocationError::FrameTooLong { plain_len });
        }
        if self.raw && stored_len != plain_len {
            return Err(LocationError::RawLengths { stored_len, plain_len });
        }
        Ok(())
    }
}

/// Where the bytes of one chunk lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// Number of the pack in the locator.
    pub pack: u32,
    /// The frame that holds the chunk.
    pub frame: FrameRef,
    /// Offset of the chunk's first byte in the plain frame.
    pub first: u32,
}

impl Location {
    /// Where the bytes of a chunk of `len` bytes end in the plain frame.
    pub(crate) fn end(&self, len: u32) -> Result<u32, LocationError> {
        self.first
            .checked_add(len)
            .filter(|end| *end <= self.frame.plain_len)
            .ok_or(LocationError::OutsideFrame { first: self.first, len, plain_len: self.frame.plain_len })
    }
}

/// Refuses a frame that ends at `end` in pack `pack` when `locator` has no room for it.
pub(crate) fn expect_in_pack(pack: u32, end: u64, locator: &Locator) -> Result<(), LocationError> {
    let Some(found) = locator.pack(pack) else {
        return Err(LocationError::UnknownPack { pack });
    };
    if end > u64::from(found.len) {
        return Err(LocationError::OutsidePack { end, pack_len: found.len });
    }
    Ok(())
}

/// A location where no chunk can lie.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocationError {
    /// The frame has no bytes.
    EmptyFrame,
    /// The plain frame is above its limit.
    FrameTooLong {
        /// Its bytes.
        plain_len: u32,
    },
    /// The frame is raw, and yet its two lengths differ.
    RawLengths {
        /// Bytes in the pack.
        stored_len: u32,
        /// Bytes once decompressed.
        plain_len: u32,
    },
    /// The chunk leaves the plain frame.
    OutsideFrame {
        /// Offset of the chunk in the plain frame.
        first: u32,
        /// Length of the chunk.
        len: u32,
        /// Length of the plain frame.
        plain_len: u32,
    },
    /// The locator does not list the pack.
    UnknownPack {
        /// The number stated.
        pack: u32,
    },
    /// The frame leaves the pack.
    OutsidePack {
        /// Offset of the frame's end in the pack.
        end: u64,
        /// Length of the pack.
        pack_len: u32,
    },
}

impl fmt::Display for LocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyFrame => f.write_str("the frame has no bytes"),
            Self::FrameTooLong { plain_len } => {
                write!(f, "the frame has {plain_len} bytes, at most {PLAIN_LIMIT} are allowed")
            }
            Self::RawLengths { stored_len, plain_len } => {
                write!(f, "the raw frame has {stored_len} stored but {plain_len} plain bytes")
            }
            Self::OutsideFrame { first, len, plain_len } => {
                write!(f, "{len} bytes at {first} leave a frame of {plain_len} bytes")
            }
            Self::UnknownPack { pack } => write!(f, "the locator lists no pack {pack}"),
            Self::OutsidePack { end, pack_len } => {
                write!(f, "the frame ends at {end} in a pack of {pack_len} bytes")
            }
        }
    }
}

impl Error for LocationError {}
