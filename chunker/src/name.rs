//! Names of chunks.

use std::fmt;
use std::str::FromStr;

use crate::hex::{self, HexError};

/// BLAKE3 of a chunk's bytes; identifies the chunk in packs.
///
/// Its text form is 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name([u8; 32]);

impl Name {
    /// Names a chunk.
    pub fn of(chunk: &[u8]) -> Self {
        Self(blake3::hash(chunk).into())
    }

    /// Names a chunk whose bytes lie in several places.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// A name that was stored. Only a comparison with [`Name::of`] tells whether bytes deserve it.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(f, &self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl FromStr for Name {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        hex::parse(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_name_reads_back_as_the_name() {
        let name = Name::of(b"chunk");
        assert_eq!(name.to_string().parse(), Ok(name));
    }

    #[test]
    fn the_name_of_nothing_is_the_published_hash_of_nothing() {
        let text = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Name::of(b"").to_string(), text);
    }

    #[test]
    fn parts_are_named_as_their_whole() {
        let parts: [&[u8]; 4] = [b"a", b"", b"bc", b"d"];
        assert_eq!(Name::of_parts(parts), Name::of(b"abcd"));
    }

    #[test]
    fn a_text_that_is_no_name_is_refused_with_the_place() {
        let text = Name::of(b"chunk").to_string();
        let parse = |text: &str| text.parse::<Name>();
        assert_eq!(parse(""), Err(HexError::Length { actual: 0 }));
        assert_eq!(parse(&text[1..]), Err(HexError::Length { actual: 63 }));
        assert_eq!(parse(&text[2..]), Err(HexError::Length { actual: 62 }));
        assert_eq!(parse(&format!("{text}00")), Err(HexError::Length { actual: 66 }));
        assert_eq!(parse("00A0"), Err(HexError::Digit { at: 2, actual: 'A' }));
        assert_eq!(parse("0é00"), Err(HexError::Digit { at: 1, actual: 'é' }));
    }
}
