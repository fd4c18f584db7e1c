//! Cutting parameters, checked once.

use std::fmt;

use crate::gear::{Hash, MASKS, WINDOW};
use crate::search::Rule;

/// Cutting parameters within the limits of FORMAT 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Params {
    min: u32,
    avg: u32,
    max: u32,
    level: u8,
}

impl Params {
    /// The smallest `min`.
    pub const SMALLEST_MIN: u32 = 64;
    /// The smallest `avg`.
    pub const SMALLEST_AVG: u32 = 256;
    /// The smallest `max`.
    pub const SMALLEST_MAX: u32 = 1024;
    /// The largest `max`, and so the largest chunk.
    pub const LARGEST_MAX: u32 = 1 << 20;
    /// The highest `level`.
    pub const HIGHEST_LEVEL: u8 = 3;

    /// What a publisher uses unless told otherwise.
    pub const DEFAULT: Self = match Self::new(1024, 4096, 32768, 2) {
        Ok(params) => params,
        Err(_) => panic!("the default lies within the limits"),
    };

    /// Checks the parameters against the limits.
    pub const fn new(min: u32, avg: u32, max: u32, level: u8) -> Result<Self, ParamsError> {
        if min < Self::SMALLEST_MIN {
            return Err(ParamsError::MinTooSmall { actual: min });
        }
        if avg < Self::SMALLEST_AVG {
            return Err(ParamsError::AvgTooSmall { actual: avg });
        }
        if max < Self::SMALLEST_MAX {
            return Err(ParamsError::MaxTooSmall { actual: max });
        }
        if max > Self::LARGEST_MAX {
            return Err(ParamsError::MaxTooLarge { actual: max });
        }
        if min > avg || avg > max {
            return Err(ParamsError::OutOfOrder { min, avg, max });
        }
        if !avg.is_power_of_two() {
            return Err(ParamsError::AvgNotPowerOfTwo { actual: avg });
        }
        if !min.is_multiple_of(2) || !max.is_multiple_of(2) {
            return Err(ParamsError::Odd { min, max });
        }
        if level > Self::HIGHEST_LEVEL {
            return Err(ParamsError::LevelTooHigh { actual: level });
        }
        Ok(Self { min, avg, max, level })
    }

    /// Bytes before which no chunk is cut, unless the image ends.
    pub const fn min(self) -> u32 {
        self.min
    }

    /// Bytes around which most cuts lie: the mask changes here.
    pub const fn avg(self) -> u32 {
        self.avg
    }

    /// Bytes that no chunk exceeds.
    pub const fn max(self) -> u32 {
        self.max
    }

    /// How far the two masks lie apart, in powers of two.
    pub const fn level(self) -> u8 {
        self.level
    }

    /// Length of the chunks into which zeros without end are cut.
    ///
    /// This is `max`, but for a few parameters with an `avg` below 4096, under which a window not yet full of
    /// zeros allows a cut. A chunk that starts where `max` zeros follow has this length,
    /// whatever comes after them.
    pub fn zero_chunk(self) -> u32 {
        let mut hash = Hash::START;
        // A full window of zeros allows no cut, so the first few positions are the only ones to try.
        let mut tried = (self.min..self.max).take(WINDOW);
        let decided = tried.find(|&position| {
            hash = hash.roll(0);
            hash.clears(self.mask(if position < self.avg { Rule::Small } else { Rule::Large }))
        });
        decided.unwrap_or(self.max)
    }

    /// The bits that must be clear under `rule`.
    pub(crate) fn mask(self, rule: Rule) -> u64 {
        let log2 = self.avg.trailing_zeros() as usize;
        match rule {
            Rule::Small => MASKS[log2 + usize::from(self.level)],
            Rule::Large => MASKS[log2 - usize::from(self.level)],
        }
    }
}

impl Default for Params {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Parameters that FORMAT 2 does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are the values that were given")]
pub enum ParamsError {
    /// `min` is below [`Params::SMALLEST_MIN`].
    MinTooSmall { actual: u32 },
    /// `avg` is below [`Params::SMALLEST_AVG`].
    AvgTooSmall { actual: u32 },
    /// `max` is below [`Params::SMALLEST_MAX`].
    MaxTooSmall { actual: u32 },
    /// `max` is above [`Params::LARGEST_MAX`].
    MaxTooLarge { actual: u32 },
    /// Not `min ≤ avg ≤ max`.
    OutOfOrder { min: u32, avg: u32, max: u32 },
    /// `avg` is no power of two.
    AvgNotPowerOfTwo { actual: u32 },
    /// `min` or `max` is odd.
    Odd { min: u32, max: u32 },
    /// `level` is above [`Params::HIGHEST_LEVEL`].
    LevelTooHigh { actual: u8 },
}

impl fmt::Display for ParamsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MinTooSmall { actual } => {
                write!(f, "smallest chunk of {actual} bytes, at least {} expected", Params::SMALLEST_MIN)
            }
            Self::AvgTooSmall { actual } => {
                write!(f, "average chunk of {actual} bytes, at least {} expected", Params::SMALLEST_AVG)
            }
            Self::MaxTooSmall { actual } => {
                write!(f, "largest chunk of {actual} bytes, at least {} expected", Params::SMALLEST_MAX)
            }
            Self::MaxTooLarge { actual } => {
                write!(f, "largest chunk of {actual} bytes, at most {} expected", Params::LARGEST_MAX)
            }
            Self::OutOfOrder { min, avg, max } => {
                write!(f, "chunk sizes {min}, {avg}, {max} are not in ascending order")
            }
            Self::AvgNotPowerOfTwo { actual } => {
                write!(f, "average chunk of {actual} bytes is not a power of two")
            }
            Self::Odd { min, max } => write!(f, "chunk limits {min} and {max} are not both even"),
            Self::LevelTooHigh { actual } => {
                write!(f, "level {actual}, at most {} expected", Params::HIGHEST_LEVEL)
            }
        }
    }
}

impl std::error::Error for ParamsError {}
