//! Frames on their way through zstd, as many at once as memory allows.
//!
//! zstd's tables grow with the level and the length of a frame, from half a MiB to more than sixty. So the number of
//! frames that are under way is bounded by what one of them takes, whatever the number of threads: at high levels
//! some threads have nothing to compress.

use std::io;
use std::sync::{Arc, Mutex};

use chunk_chunker::Name;
use chunk_store::{Compressor, MAX_FRAME};
use rayon::ThreadPool;

use crate::options::Options;
use crate::ordered::{Ordered, Panicked};

/// Bytes that all frames under way may take. A single one is always under way.
const MEMORY: usize = 96 << 20;

/// A frame as it is to be stored.
pub(crate) struct Compressed {
    pub(crate) stored: Vec<u8>,
    pub(crate) raw: bool,
    pub(crate) chunks: Vec<(Name, u32)>,
}

/// A queue of frames, first in first out.
pub(crate) struct Compressing {
    level: i32,
    /// Plain bytes of the longest frame.
    longest: u32,
    /// Most frames at once, if memory allows.
    depth: usize,
    /// None as long as there was no frame: the first tells what zstd takes.
    started: Option<Started>,
}

struct Started {
    compressors: Arc<Compressors>,
    frames: Ordered<io::Result<Compressed>>,
}

impl Compressing {
    /// A queue of at most `depth` frames.
    pub(crate) fn new(options: &Options, depth: usize) -> Self {
        // A frame is closed by the chunk that makes it long enough.
        let longest = options.frame_len.saturating_add(options.params.max()).min(MAX_FRAME);
        Self { level: options.level, longest, depth, started: None }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.started.as_ref().is_some_and(|started| started.frames.is_full())
    }

    /// Hands a frame to the pool.
    pub(crate) fn start(
        &mut self,
        pool: &ThreadPool,
        plain: Vec<u8>,
        chunks: Vec<(Name, u32)>,
    ) -> io::Result<()> {
        let Started { compressors, frames } = match &mut self.started {
            Some(started) => started,
            none => none.insert(Started::new(self.level, self.longest, self.depth)?),
        };
        let compressors = Arc::clone(compressors);
        frames.spawn(pool, move || {
            let (stored, raw) = compressors.compress(plain)?;
            Ok(Compressed { stored, raw, chunks })
        });
        Ok(())
    }

    /// Waits for the oldest frame; none if there is none.
    pub(crate) fn next(&mut self) -> Option<Result<io::Result<Compressed>, Panicked>> {
        self.started.as_mut()?.frames.next()
    }
}

impl Started {
    fn new(level: i32, longest: u32, depth: usize) -> io::Result<Self> {
        let mut first = Compressor::sized(level, longest)?;
        let at_once = at_once(first.memory(), longest, depth);
        let compressors = Arc::new(Compressors { level, idle: Mutex::new(vec![first]) });
        Ok(Self { compressors, frames: Ordered::new(at_once) })
    }
}

/// How many frames may be under way, of which each may need a compressor of its own.
fn at_once(compressor: usize, longest: u32, depth: usize) -> usize {
    // Its plain bytes, and those that zstd writes, for which it asks for a little more than the plain ones.
    let frame = longest as usize * 9 / 4;
    (MEMORY / (compressor + frame)).min(depth).max(1)
}

/// Compressors of one level, one for each thread that needs one at the same time.
struct Compressors {
    level: i32,
    idle: Mutex<Vec<Compressor>>,
}

impl Compressors {
    fn compress(&self, plain: Vec<u8>) -> io::Result<(Vec<u8>, bool)> {
        let idle = self.idle.lock().ok().and_then(|mut idle| idle.pop());
        let mut compressor = idle.map_or_else(|| Compressor::new(self.level), Ok)?;
        let compressed = compressor.compress(plain);
        if let Ok(mut idle) = self.idle.lock() {
            idle.push(compressor);
        }
        compressed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{DEFAULT_FRAME_LEN, DEFAULT_LEVEL};

    /// Frames under way at once where `depth` are wanted, and the bytes that they take.
    fn under_way(level: i32, frame_len: u32, depth: usize) -> (usize, usize) {
        let options = Options { level, frame_len, ..Options::with_scratch(std::path::PathBuf::new()) };
        let Compressing { longest, .. } = Compressing::new(&options, depth);
        let compressor = Compressor::sized(level, longest).unwrap().memory();
        let at_once = at_once(compressor, longest, depth);
        (at_once, at_once * (compressor + 2 * longest as usize))
    }

    #[test]
    fn frames_under_way_keep_their_memory_at_every_level_and_length() {
        for level in -7..=22 {
            for frame_len in [4 << 10, 100 << 10, 256 << 10, DEFAULT_FRAME_LEN, 1 << 20, 2 << 20] {
                let (at_once, bytes) = under_way(level, frame_len, 1000);
                assert!(at_once > 0 && bytes <= MEMORY, "level {level}, {at_once} of {frame_len}: {bytes}");
            }
        }
    }

    #[test]
    fn few_threads_are_not_held_back() {
        assert_eq!(under_way(DEFAULT_LEVEL, DEFAULT_FRAME_LEN, 18).0, 18);
        assert_eq!(under_way(22, DEFAULT_FRAME_LEN, 4).0, 4);
    }
}
