//! The frozen vectors as data: what `vectors.json` holds, and how an input is made from its description.

use serde::{Deserialize, Serialize};

use crate::inputs::random;

/// One image and what must come out.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) min: u32,
    pub(crate) avg: u32,
    pub(crate) max: u32,
    pub(crate) level: u8,
    pub(crate) input: Vec<Part>,
    pub(crate) input_len: usize,
    pub(crate) input_blake3: String,
    pub(crate) block_hashes: Vec<String>,
    pub(crate) cuts: Vec<u64>,
    pub(crate) names_blake3: String,
}

/// A run of the input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    Random { seed: u64, len: usize },
    Constant { byte: u8, len: usize },
    Cycle { seed: u64, period: usize, len: usize },
}

impl Part {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match *self {
            Self::Random { seed, len } => random(seed, len),
            Self::Constant { byte, len } => vec![byte; len],
            Self::Cycle { seed, period, len } => random(seed, period).into_iter().cycle().take(len).collect(),
        }
    }
}

/// The image that the parts make one after the other.
pub(crate) fn image(parts: &[Part]) -> Vec<u8> {
    parts.iter().flat_map(Part::bytes).collect()
}
