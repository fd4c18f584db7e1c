//! The ways to encode a group; the first byte of a patch.

/// How a patch encodes its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Method 0: zstd with the base as prefix.
    Prefixed,
}

impl Method {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Prefixed),
            _ => None,
        }
    }

    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Prefixed => 0,
        }
    }
}
