//! The texts of a record: what may be in a name, a label or an annotation.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// Longest word, in bytes.
const WORD_LIMIT: usize = 128;
/// Longest value of an annotation, in bytes.
const VALUE_LIMIT: usize = 4096;
/// Most annotations that a record may carry.
pub(crate) const ANNOTATION_LIMIT: usize = 256;

/// The name of a line, a version's label, or an annotation's key: 1 to 128 bytes of `A–Z a–z 0–9 . _ + -`,
/// starting with neither `.` nor `-`. It can be part of a file name or URL as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(String);

impl Word {
    /// Accepts `text` if it is a word.
    pub fn new(text: &str) -> Result<Self, TextError> {
        if text.is_empty() {
            return Err(TextError::Empty);
        }
        if text.len() > WORD_LIMIT {
            return Err(TextError::TooLong { limit: WORD_LIMIT, found: text.len() });
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
        if let Some(found) = text.chars().find(|&c| !allowed(c)) {
            return Err(TextError::Character { found });
        }
        if let Some(found) = text.chars().next().filter(|c| matches!(c, '.' | '-')) {
            return Err(TextError::Start { found });
        }
        Ok(Self(text.to_owned()))
    }

    /// The word as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Word {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

/// Keys with values that a record carries for its readers, such as `compatible` and `arch`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations(BTreeMap<Word, String>);

impl Annotations {
    /// Sets `key` to `value`: at most 4096 bytes without control characters, and at most 256 keys.
    pub fn set(&mut self, key: Word, value: &str) -> Result<(), TextError> {
        if value.len() > VALUE_LIMIT {
            return Err(TextError::TooLong { limit: VALUE_LIMIT, found: value.len() });
        }
        if let Some(found) = value.chars().find(|c| c.is_control()) {
            return Err(TextError::Character { found });
        }
        if self.0.len() >= ANNOTATION_LIMIT && !self.0.contains_key(&key) {
            return Err(TextError::TooMany { limit: ANNOTATION_LIMIT });
        }
        self.0.insert(key, value.to_owned());
        Ok(())
    }

    /// The value of `key`.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.iter().find_map(|(found, value)| (found == key).then_some(value))
    }

    /// All pairs, keys ascending by their bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The highest key so far.
    pub(crate) fn last_key(&self) -> Option<&Word> {
        self.0.keys().next_back()
    }
}

/// A text is not what a record may carry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextError {
    /// A word has no character.
    Empty,
    /// A text is too long.
    TooLong {
        /// Most bytes allowed.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// A character that this text may not contain.
    Character {
        /// The character.
        found: char,
    },
    /// A character that a word may not start with.
    Start {
        /// The character.
        found: char,
    },
    /// More annotations than a record may carry.
    TooMany {
        /// Most annotations allowed.
        limit: usize,
    },
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the text is empty"),
            Self::TooLong { limit, found } => {
                write!(f, "the text has {found} bytes, at most {limit} are allowed")
            }
            Self::Character { found } => write!(f, "character {found:?} is not allowed"),
            Self::Start { found } => write!(f, "a word may not start with {found:?}"),
            Self::TooMany { limit } => write!(f, "more than {limit} annotations"),
        }
    }
}

impl Error for TextError {}
