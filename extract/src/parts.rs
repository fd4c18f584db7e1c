//! Parts of an index: fetched together where they lie together, and asked for again when they are not what the index's
//! own hashes say.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use chunk_fetch::{Request, Source, join};
use chunk_index::{DecodeError, DecodeErrorKind};

use crate::error::IndexError;
use crate::recipe::Fetched;

/// How often wrong bytes are asked for again: past caches, from another mirror, and from one more.
pub(crate) const DOUBTS: u32 = 3;
/// Gap between two parts of an index that is fetched rather than asked around.
const GAP: u64 = 1 << 12;
/// Requests for parts of an index at a time: none of them needs what another brings. The source may bear fewer.
const AT_A_TIME: usize = 16;
/// Longest single request for a part of an index.
const LONGEST: u64 = 1 << 22;

/// Parts of the index `object`.
pub(crate) struct Parts<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) object: &'a str,
    /// Bytes from the start that are there already.
    pub(crate) there: u64,
    pub(crate) fetched: Fetched,
}

impl Parts<'_> {
    /// Reads `ranges`, which ascend, into their places in `file`.
    pub(crate) fn read(&mut self, ranges: &[Range<u64>], file: &mut [u8]) -> Result<(), IndexError> {
        let missing = ranges.iter().filter(|range| range.end > self.there).cloned();
        let requests = join(missing, GAP, LONGEST);
        let next = AtomicUsize::new(0);
        let file = Mutex::new(file);
        let read_some = || -> Result<(), IndexError> {
            let mut buffer = Vec::new();
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let read = self.source.read(self.object, request.range.clone(), &mut buffer);
                read.inspect_err(|_| next.store(requests.len(), Ordering::Relaxed))?;
                // The head was checked against the file's length, and every part against the head.
                let place = in_memory(request.range.start)..in_memory(request.range.end);
                file.lock().expect("copying does not panic")[place].copy_from_slice(&buffer);
            }
            Ok(())
        };
        thread::scope(|scope| {
            let threads: Vec<_> =
                (0..AT_A_TIME.min(requests.len())).map(|_| scope.spawn(read_some)).collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("reading does not panic"))
        })?;
        for Request { range, wanted } in &requests {
            self.fetched.bytes += range.end - range.start;
            self.fetched.gaps += range.end - range.start - wanted;
        }
        self.fetched.requests += requests.len() as u64;
        Ok(())
    }

    /// What `decode` makes of the bytes in `range` of `file`. Wrong ones are replaced by what comes when they are asked for
    /// again.
    pub(crate) fn check<T>(
        &mut self,
        range: &Range<u64>,
        file: &mut [u8],
        decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<T, IndexError> {
        let mut decoded = decode(slice(file, range));
        let mut buffer = Vec::new();
        for doubt in 1..=DOUBTS {
            if decoded.is_ok() {
                break;
            }
            self.source.read_again(self.object, range.clone(), doubt, &mut buffer)?;
            self.fetched.bytes += range.end - range.start;
            self.fetched.requests += 1;
            file[in_memory(range.start)..in_memory(range.end)].copy_from_slice(&buffer);
            decoded = decode(&buffer);
        }
        decoded.map_err(|error| damaged(self.source, self.object, error))
    }
}

/// What is told of a part of `object` that stays wrong: that it is damaged if a hash says so; otherwise it was made so.
pub(crate) fn damaged(source: &dyn Source, object: &str, error: DecodeError) -> IndexError {
    match error.kind {
        DecodeErrorKind::Check | DecodeErrorKind::Digest => {
            IndexError::Damaged { location: source.locate(object), error }
        }
        _ => IndexError::Decode(error),
    }
}

pub(crate) fn slice<'a>(file: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    &file[in_memory(range.start)..in_memory(range.end)]
}

pub(crate) fn in_memory(len: u64) -> usize {
    usize::try_from(len).expect("an index that is in memory")
}
