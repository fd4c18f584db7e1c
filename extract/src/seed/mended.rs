//! A seed some of whose blocks were replaced by what they once were.

use std::io;
use std::ops::Range;

use chunk_chunker::image::Blocks;

use super::Window;

/// A window, and a file that has other bytes for some of its blocks, each in its place.
#[derive(Debug)]
pub(crate) struct Mended {
    window: Window,
    other: Window,
    blocks: Blocks,
    /// The numbers of these blocks, ascending.
    replaced: Vec<u64>,
}

impl Mended {
    pub(crate) fn new(window: Window, other: Window, blocks: Blocks, replaced: Vec<u64>) -> Self {
        Self { window, other, blocks, replaced }
    }

    pub(super) fn size(&self) -> u64 {
        self.window.size()
    }

    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut at = offset;
        let mut rest = buffer;
        while at < end {
            let (from, until) = self.holder_of(at..end);
            let (now, later) = rest.split_at_mut(usize::try_from(until - at).map_err(io::Error::other)?);
            from.read(at, now)?;
            (at, rest) = (until, later);
        }
        Ok(())
    }

    /// Where the first bytes of `range` are, and how far.
    fn holder_of(&self, range: Range<u64>) -> (&Window, u64) {
        let next = self.replaced.partition_point(|number| self.blocks.range(*number).end <= range.start);
        match self.replaced.get(next).map(|number| self.blocks.range(*number)) {
            Some(block) if block.start <= range.start => (&self.other, block.end.min(range.end)),
            Some(block) => (&self.window, block.start.min(range.end)),
            None => (&self.window, range.end),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;

    const BLOCK: usize = 1 << 20;

    fn window(bytes: &[u8]) -> Window {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(bytes).expect("written");
        Window::of(Arc::new(file), None).expect("a file")
    }

    #[test]
    fn each_byte_comes_from_the_file_that_has_its_block() {
        let len = 4 * BLOCK + 1000;
        let blocks = Blocks::of_len(len as u64);
        let mended = Mended::new(window(&vec![1; len]), window(&vec![2; len]), blocks, vec![1, 2, 4]);
        let mut all = vec![0; len];
        mended.read(0, &mut all).expect("readable");
        for (number, block) in all.chunks(BLOCK).enumerate() {
            let expected = if [1, 2, 4].contains(&number) { 2 } else { 1 };
            assert!(block.iter().all(|byte| *byte == expected), "block {number}");
        }
        for (start, end) in [(0, 0), (5, 9), (BLOCK - 1, BLOCK + 1), (BLOCK / 2, len), (3 * BLOCK, len - 1)] {
            let mut part = vec![0; end - start];
            mended.read(start as u64, &mut part).expect("readable");
            assert!(part == all[start..end], "{start} to {end}");
        }
        assert!(mended.read(len as u64 - 1, &mut [0; 2]).is_err());
    }
}
