//! The cuts of a buffer, found by all threads of the current rayon pool.

use rayon::prelude::*;

use crate::cutter::{Cutter, Segment};
use crate::image::BLOCK;
use crate::params::Params;
use crate::scan::{Candidates, scan};

/// Blocks that each thread scans before their candidates are used up: many enough that threads seldom wait for
/// each other, few enough that the candidates of hostile data stay small beside the data.
const BLOCKS_PER_THREAD: usize = 8;

/// Where the chunks of `data`, a whole image, end.
///
/// These are the cuts that a single thread finds, whatever the number of threads. While one thread chooses among
/// the candidates of some blocks, the others find those of the next.
pub fn cuts(params: Params, data: &[u8]) -> Vec<u64> {
    let mut groups = data.chunks(BLOCK * BLOCKS_PER_THREAD * rayon::current_num_threads());
    let mut choice = Choice { cutter: Cutter::new(params), offset: 0, ends: Vec::new() };
    let mut scanned = scan_blocks(params, groups.next().unwrap_or_default());
    while !scanned.is_empty() {
        let next = groups.next().unwrap_or_default();
        let ((), ahead) = rayon::join(|| choice.take(scanned), || scan_blocks(params, next));
        scanned = ahead;
    }
    choice.cutter.finish();
    choice.choose();
    choice.ends
}

type Scanned<'d> = Vec<(&'d [u8], Candidates)>;

fn scan_blocks(params: Params, data: &[u8]) -> Scanned<'_> {
    data.par_chunks(BLOCK).map(|block| (block, scan(params, block))).collect()
}

/// The ends chosen so far.
struct Choice<'d> {
    cutter: Cutter<&'d [u8]>,
    offset: u64,
    ends: Vec<u64>,
}

impl<'d> Choice<'d> {
    fn take(&mut self, scanned: Scanned<'d>) {
        for (block, candidates) in scanned {
            self.cutter.push(Segment::new(self.offset, block, Some(candidates)));
            self.offset += block.len() as u64;
            self.choose();
        }
    }

    fn choose(&mut self) {
        while let Some(chunk) = self.cutter.next_chunk() {
            self.ends.push(chunk.end);
            while self.cutter.release().is_some() {}
        }
    }
}
