//! What was fetched, kept for the next time.

mod cover;
mod shelf;

use std::io;
use std::ops::Range;
use std::path::Path;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{FetchError, Source, Speed, Spent};
use cover::{Part, cover};
use shelf::Shelf;

/// The objects that never change: their names are hashes. Only these are kept.
const UNCHANGING: [&str; 2] = ["packs/", "patches/"];

/// A source that keeps what it reads in a directory, and reads what is kept there from there.
///
/// Many processes may use the same directory. What is kept is checked when it is used, and the least recently used
/// gives way when the directory grows beyond its cap. The cache never makes a read fail: what cannot be kept or
/// found is fetched.
#[derive(Debug)]
pub struct CachedSource<S> {
    source: S,
    shelf: Shelf,
    served: AtomicU64,
}

impl<S: Source> CachedSource<S> {
    /// Keeps what `source` reads in `directory`, which is made if it is missing, up to about `cap` bytes. If nothing
    /// can be kept there, gives `source` back: it is as good without.
    pub fn new(source: S, directory: &Path, cap: u64) -> Result<Self, (io::Error, S)> {
        match Shelf::open(directory, cap) {
            Ok(shelf) => Ok(Self { source, shelf, served: AtomicU64::new(0) }),
            Err(error) => Err((error, source)),
        }
    }

    /// How many bytes came from the cache so far.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Appends `parts` of `object` to `buffer`; says which piece was none, if one was not.
    fn append(&self, object: &str, parts: &[Part], buffer: &mut Vec<u8>) -> Result<(), Range<u64>> {
        for Part { piece, bytes } in parts {
            let lost = || piece.clone();
            let kept = self.shelf.read(object, piece).ok_or_else(lost)?;
            let at = |position: u64| usize::try_from(position - piece.start).map_err(|_| lost());
            buffer.extend_from_slice(&kept[at(bytes.start)?..at(bytes.end)?]);
        }
        Ok(())
    }

    /// Reads by the pieces that are here, and fetches what is missing; says which piece was none, if one was not.
    fn assemble(
        &self,
        object: &str,
        range: &Range<u64>,
        pieces: &[Range<u64>],
        buffer: &mut Vec<u8>,
    ) -> Result<Result<(), Range<u64>>, FetchError> {
        let cover = cover(range, pieces);
        buffer.clear();
        if let Err(lost) = self.append(object, &cover.front, buffer) {
            return Ok(Err(lost));
        }
        let mut back = Vec::new();
        if let Err(lost) = self.append(object, &cover.back, &mut back) {
            return Ok(Err(lost));
        }
        if !cover.missing.is_empty() {
            let mut fetched = Vec::new();
            self.source.read(object, cover.missing.clone(), &mut fetched)?;
            self.keep(object, cover.missing.start, &fetched);
            buffer.append(&mut fetched);
        }
        buffer.append(&mut back);
        let kept = len(slice::from_ref(range)) - len(&[cover.missing]);
        self.served.fetch_add(kept, Ordering::Relaxed);
        Ok(Ok(()))
    }

    fn keep(&self, object: &str, start: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        // What cannot be kept is fetched again next time.
        let _ = self.shelf.store(object, start, bytes);
    }
}

/// Bytes in all `ranges`.
fn len(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum()
}

fn is_unchanging(object: &str) -> bool {
    UNCHANGING.iter().any(|directory| object.starts_with(directory))
}

impl<S: Source> Source for CachedSource<S> {
    fn read(&self, object: &str, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), FetchError> {
        if !is_unchanging(object) {
            return self.source.read(object, range, buffer);
        }
        buffer.clear();
        if range.is_empty() {
            return Ok(());
        }
        let mut pieces = self.shelf.pieces(object);
        // Each round has a piece less.
        while let Err(lost) = self.assemble(object, &range, &pieces, buffer)? {
            pieces.retain(|piece| *piece != lost);
        }
        Ok(())
    }

    fn read_again(
        &self,
        object: &str,
        range: Range<u64>,
        doubt: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<(), FetchError> {
        if doubt == 0 {
            return self.read(object, range, buffer);
        }
        let pieces = self.shelf.pieces(object);
        for piece in pieces.iter().filter(|piece| piece.start < range.end && range.start < piece.end) {
            self.shelf.remove(object, piece);
        }
        self.source.read_again(object, range.clone(), doubt, buffer)?;
        if is_unchanging(object) {
            self.keep(object, range.start, buffer);
        }
        Ok(())
    }

    fn open(&self, object: &str, at_most: u64, buffer: &mut Vec<u8>) -> Result<u64, FetchError> {
        if !is_unchanging(object) {
            return self.source.open(object, at_most, buffer);
        }
        if let Some(len) = self.shelf.len(object) {
            self.read(object, 0..len.min(at_most), buffer)?;
            return Ok(len);
        }
        let len = self.source.open(object, at_most, buffer)?;
        // What cannot be kept is asked for again next time.
        let _ = self.shelf.store_len(object, len);
        self.keep(object, 0, buffer);
        Ok(len)
    }

    fn forget(&self, object: &str) {
        self.shelf.clear(object);
        self.source.forget(object);
    }

    fn open_again(
        &self,
        object: &str,
        at_most: u64,
        doubt: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<u64, FetchError> {
        if doubt == 0 {
            return self.open(object, at_most, buffer);
        }
        // Whatever is kept of it was wrong, or stands beside what was.
        self.shelf.clear(object);
        let len = self.source.open_again(object, at_most, doubt, buffer)?;
        if is_unchanging(object) {
            let _ = self.shelf.store_len(object, len);
            self.keep(object, 0, buffer);
        }
        Ok(len)
    }

    fn locate(&self, object: &str) -> String {
        self.source.locate(object)
    }

    fn kept(&self, object: &str, ranges: &[Range<u64>]) -> u64 {
        if !is_unchanging(object) {
            return self.source.kept(object, ranges);
        }
        let pieces = self.shelf.pieces(object);
        let missing: Vec<_> = ranges.iter().map(|range| cover(range, &pieces).missing).collect();
        len(ranges) - len(&missing) + self.source.kept(object, &missing)
    }

    fn spent(&self) -> Spent {
        Spent { cached: self.served(), ..self.source.spent() }
    }

    fn speed(&self) -> Option<Speed> {
        self.source.speed()
    }
}
