//! The cutter of FORMAT 2, written to be read: one byte at a time, no position skipped, nothing remembered from
//! one chunk to the next. Every other way to cut must agree with it on every input.

use chunk_chunker::Params;
use chunk_chunker::gear::{GEAR, MASKS};

/// Where the chunks of `image` end.
pub(crate) fn cuts(params: Params, image: &[u8]) -> Vec<u64> {
    let mut ends = Vec::new();
    let mut start = 0;
    while start < image.len() {
        start += chunk_len(params, &image[start..]);
        ends.push(start as u64);
    }
    ends
}

/// Length of the chunk at the start of `rest`, which runs to the end of the image.
fn chunk_len(params: Params, rest: &[u8]) -> usize {
    let [min, avg, max] = [params.min(), params.avg(), params.max()].map(|size| size as usize);
    let log2 = avg.ilog2() as usize;
    let level = usize::from(params.level());
    let (small, large) = (MASKS[log2 + level], MASKS[log2 - level]);

    let r = max.min(rest.len());
    let c = avg.min(r);
    if rest.len() <= min {
        return rest.len();
    }
    let mut h: u64 = 0;
    let mut p = min;
    while p < r / 2 * 2 {
        h = (h << 1).wrapping_add(GEAR[usize::from(rest[p])]);
        let mask = if p < c / 2 * 2 { small } else { large };
        if h & mask == 0 {
            return p;
        }
        p += 1;
    }
    r
}
