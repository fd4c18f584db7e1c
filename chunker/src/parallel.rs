//! The cuts of a buffer, found by all threads of the current rayon pool.

use rayon::prelude::*;

use crate::cutter::{Cutter, Segment};
use crate::image::BLOCK;
use crate::params::Params;
use crate::scan::scan;

/// Blocks that each thread scans before their candidates are used up: many enough that threads seldom wait for
/// each other, few enough that the candidates of hostile data stay small beside the data.
const BLOCKS_PER_THREAD: usize = 16;

/// Where the chunks of `data`, a whole image, end.
///
/// These are the cuts that a single thread finds, whatever the number of threads.
pub fn cuts(params: Params, data: &[u8]) -> Vec<u64> {
    let group = BLOCKS_PER_THREAD * rayon::current_num_threads();
    let mut blocks = data.chunks(BLOCK);
    let mut ends = Vec::new();
    let mut cutter = Cutter::new(params);
    let mut offset = 0;
    loop {
        let group: Vec<&[u8]> = blocks.by_ref().take(group).collect();
        if group.is_empty() {
            cutter.finish();
        }
        let scanned: Vec<_> = group.into_par_iter().map(|block| (block, scan(params, block))).collect();
        let last = scanned.is_empty();
        for (block, candidates) in scanned {
            cutter.push(Segment::new(offset, block, Some(candidates)));
            offset += block.len() as u64;
        }
        while let Some(chunk) = cutter.next_chunk() {
            ends.push(chunk.end);
            while cutter.release().is_some() {}
        }
        if last {
            return ends;
        }
    }
}
