//! 32 bytes as 64 lower-case digits, the one text form of every hash.

use std::fmt;

pub(crate) fn write(f: &mut fmt::Formatter<'_>, bytes: &[u8; 32]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

pub(crate) fn parse(text: &str) -> Result<[u8; 32], HexError> {
    if let Some((at, actual)) = text.char_indices().find(|(_, digit)| !matches!(digit, '0'..='9' | 'a'..='f'))
    {
        return Err(HexError::Digit { at, actual });
    }
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return Err(HexError::Length { actual: text.len() });
    };
    let bytes: Vec<u8> = pairs.iter().map(|&[high, low]| nibble(high) << 4 | nibble(low)).collect();
    bytes.try_into().map_err(|_| HexError::Length { actual: text.len() })
}

/// The value of a digit that `parse` has already found to be one.
fn nibble(digit: u8) -> u8 {
    if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 }
}

/// A text that is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HexError {
    /// The number of digits is not 64.
    Length {
        /// The number of digits found.
        actual: usize,
    },
    /// Something else than a lower-case digit.
    Digit {
        /// Its offset in the text.
        at: usize,
        /// What stands there.
        actual: char,
    },
}

impl fmt::Display for HexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length { actual } => write!(f, "{actual} digits, 64 expected"),
            Self::Digit { at, actual } => {
                write!(f, "{actual:?} at offset {at}, lower-case hexadecimal digit expected")
            }
        }
    }
}

impl std::error::Error for HexError {}
