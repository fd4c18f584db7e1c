//! An image that is put together while it is downloaded.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use chunk_chunker::image::BLOCK;
use chunk_extract::Image;

use crate::site::{Lifetime, Object, Site};

/// Blocks that are built at the same time.
const TOGETHER: u64 = 8;

/// One image under one name.
#[derive(Debug)]
pub struct Rebuilt {
    path: String,
    object: Arc<Whole>,
}

impl Rebuilt {
    /// `image` as `/name`.
    pub fn new(name: &str, image: Image<'static>) -> Self {
        let tag = image.id().to_string();
        Self {
            path: format!("/{name}"),
            object: Arc::new(Whole { image, tag, next: AtomicU64::new(u64::MAX) }),
        }
    }
}

impl Site for Rebuilt {
    fn find(&self, path: &str) -> io::Result<Option<Arc<dyn Object>>> {
        Ok((path == self.path).then(|| Arc::clone(&self.object) as Arc<dyn Object>))
    }
}

#[derive(Debug)]
struct Whole {
    image: Image<'static>,
    tag: String,
    /// The byte behind what was read last.
    next: AtomicU64,
}

impl Object for Whole {
    fn size(&self) -> u64 {
        self.image.record().image_len()
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    fn lifetime(&self) -> Lifetime {
        Lifetime::Revalidate
    }

    fn piece(&self) -> u64 {
        TOGETHER * BLOCK as u64
    }

    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let blocks = self.image.blocks();
        let numbers = range.start / BLOCK as u64..range.end.div_ceil(BLOCK as u64);
        // Who reads a whole piece mostly wants the next one, and so does who goes on where the last reader stopped.
        let goes_on = self.next.swap(range.end, Ordering::Relaxed) == range.start;
        let reads_on = goes_on || range.end - range.start == self.piece();
        self.image.prepare(numbers.clone(), reads_on).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(in_memory(range.end - range.start));
        thread::scope(|scope| {
            let building: Vec<_> =
                numbers.map(|number| (number, scope.spawn(move || self.image.block(number)))).collect();
            for (number, block) in building {
                let block = block.join().map_err(|_| io::Error::other("building a block has panicked"))?;
                let block = block.map_err(io::Error::other)?;
                let place = blocks.range(number);
                let within = |at: u64| in_memory(at.clamp(place.start, place.end) - place.start);
                bytes.extend_from_slice(&block[within(range.start)..within(range.end)]);
            }
            Ok(bytes)
        })
    }
}

fn in_memory(len: u64) -> usize {
    usize::try_from(len).expect("a piece is in memory")
}
