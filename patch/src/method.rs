//! The ways to encode a group; the first byte of a patch.

/// How a patch encodes its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Method 0: zstd with the base as prefix.
    Prefixed,
    /// Method 1: a list of copies, and what differs from them.
    Difference,
    /// Method 2: method 1 with the addresses in programs mapped.
    Program,
}

impl Method {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Prefixed),
            1 => Some(Self::Difference),
            2 => Some(Self::Program),
            _ => None,
        }
    }

    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Prefixed => 0,
            Self::Difference => 1,
            Self::Program => 2,
        }
    }
}
