//! What an index must say of an image, found the slow way.

use chunk_chunker::image::{BLOCK, Blocks};
use chunk_chunker::{Name, Params, is_zero};
use chunk_index::{Block, Entry, Index, ShortName};

use crate::reference;

/// The chunk list of `image`.
pub(crate) fn entries(params: Params, image: &[u8]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut last: &[u8] = &[];
    let mut start = 0;
    for end in reference::cuts(params, image) {
        let end = usize::try_from(end).unwrap();
        let chunk = &image[start..end];
        if chunk == last {
            entries.last_mut().unwrap().repeats += 1;
        } else {
            let short = if is_zero(chunk) { ShortName::ZERO } else { ShortName::of(&Name::of(chunk)) };
            entries.push(Entry { short, len: u32::try_from(chunk.len()).unwrap(), repeats: 0 });
        }
        (start, last) = (end, chunk);
    }
    entries
}

/// Fails the test unless `index` has the chunk list and the block hashes of `image`.
pub(crate) fn assert_lists<B: AsRef<[u8]>>(index: &Index<B>, image: &[u8]) {
    let expected = entries(index.record().params(), image);
    let listed: Vec<_> = index.entries().map(|placed| placed.entry).collect();
    let differs = expected.iter().zip(&listed).position(|(expected, listed)| expected != listed);
    if let Some(at) = differs {
        let start = index.entries().nth(at).unwrap().image.start;
        panic!("entry {at}, at byte {start}, should be {:?} and is {:?}", expected[at], listed[at]);
    }
    assert_eq!(listed.len(), expected.len(), "entries");

    let blocks = Blocks::of_len(image.len() as u64);
    let silent = silent_blocks(&expected, blocks.count());
    let mut numbers = 0..;
    for ((number, block), bytes) in index.blocks().zip(image.chunks(BLOCK)) {
        assert_eq!(Some(number), numbers.next());
        let is_silent = silent[usize::try_from(number).unwrap()];
        let expected = if is_silent { Block::Silent } else { Block::Hash(blocks.hash(number, bytes)) };
        assert_eq!(block, expected, "block {number}");
    }
    assert_eq!(numbers.start, blocks.count());
}

/// Which blocks lie wholly within zero chunks.
fn silent_blocks(entries: &[Entry], count: u64) -> Vec<bool> {
    let mut silent = vec![true; usize::try_from(count).unwrap()];
    let mut start = 0;
    for entry in entries {
        let len = usize::try_from(u64::from(entry.len) * (entry.repeats + 1)).unwrap();
        if !entry.short.is_zero() {
            silent[start / BLOCK..=(start + len - 1) / BLOCK].fill(false);
        }
        start += len;
    }
    silent
}
