//! The first cut of a buffer: the plain way to cut, without preparation and without memory.

use crate::gear::Hash;
use crate::params::Params;
use crate::search::{Rule, Search};

/// Length of the first chunk of `data`; 0 only when `data` is empty.
///
/// `data` starts where the chunk starts and runs to the end of the image, or for at least
/// [`max`](Params::max) bytes: what lies beyond those does not matter.
pub fn cut(params: Params, data: &[u8]) -> usize {
    let Search { small, large, otherwise } = Search::new(params, data.len() as u64);
    let mut hash = Hash::START;
    for (rule, range) in [(Rule::Small, small), (Rule::Large, large)] {
        let range = range.start as usize..range.end as usize;
        if let Some(at) = hash.find(&data[range.clone()], params.mask(rule)) {
            return range.start + at;
        }
    }
    otherwise as usize
}
