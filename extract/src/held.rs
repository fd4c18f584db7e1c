//! Which chunks the seeds hold: by what is said of them, where that proves true, and by looking otherwise.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use chunk_chunker::image::BLOCK;
use chunk_chunker::{Name, Params};
use chunk_index::{Digest, Entry, LeafList, ShortName, leaf_lists};

use crate::job::{ExtractError, Notice, Observer, Progress};
use crate::places::{Place, Places, Wanted};
use crate::seed::{Found, Scan, Seed};

/// Chunks of a seed that are looked at before what is said of it is believed. Even one that is wrong is too many: of
/// chunks of which it is one in 256, most of an image's frames lack some.
const SAMPLE: usize = 256;

/// The chunks of all seeds.
pub(crate) struct Holdings<'a> {
    pub params: Params,
    pub threads: usize,
    /// The chunks that are looked for, if they are known; otherwise all are noted.
    pub wanted: Option<Wanted>,
    pub places: Places,
    /// The lists of the seeds, as long as nobody knows what is looked for.
    pub known: HashMap<Digest, LeafList>,
    pub observer: &'a dyn Observer,
    /// Bytes of all seeds, and how many are scanned.
    pub total: u64,
    pub scanned: AtomicU64,
    /// Most bytes of memory that all this has taken.
    pub memory: usize,
}

impl Holdings<'_> {
    /// Notes the chunks of `seed`, which is `number`. `parts` are worth scanning, all of it if they are not given.
    pub(crate) fn add(
        &mut self,
        number: u16,
        seed: &Seed,
        lists: Option<&[LeafList]>,
        parts: Option<Vec<Range<u64>>>,
    ) -> Result<(), ExtractError> {
        if let Some(store) = seed.as_store() {
            let (sound, is_all) = store.sound_chunks(self.threads, &|| !self.observer.is_cancelled());
            if self.observer.is_cancelled() {
                return Err(ExtractError::Cancelled);
            }
            if !is_all {
                self.observer.notice(&Notice::Stale { seed: &seed.name });
            }
            for (entry, offset) in sound {
                self.note(entry.short, entry.len, Place { seed: number, offset });
            }
            if self.wanted.is_none() {
                // Lists are known by their hashes, wherever the chunks are.
                let lists = leaf_lists(store.chunks().map(|(entry, _)| entry));
                self.known.extend(lists.map(|list| (*list.hash(), list)));
            }
            return Ok(());
        }
        if let Some(lists) = lists {
            if proves_true(seed, lists) {
                self.believe(number, seed, lists);
                return Ok(());
            }
            self.observer.notice(&Notice::Stale { seed: &seed.name });
        }
        self.scan(number, seed, parts)
    }

    /// Notes the chunks of `entries` that lie in the target where the image has them.
    pub(crate) fn add_kept(
        &mut self,
        number: u16,
        kept: &[bool],
        entries: impl Iterator<Item = (Entry, Range<u64>)>,
    ) {
        let is_kept =
            |at: u64| kept.get(usize::try_from(at / BLOCK as u64).unwrap_or(usize::MAX)) == Some(&true);
        for (entry, image) in entries {
            let end = image.start + u64::from(entry.len);
            if is_kept(image.start) && is_kept(end - 1) {
                self.note(entry.short, entry.len, Place { seed: number, offset: image.start });
            }
        }
    }

    /// Whether everything that is looked for has been found.
    pub(crate) fn is_complete(&mut self) -> bool {
        self.places.sort();
        self.wanted.as_ref().is_some_and(|wanted| wanted.len() == self.places.len())
    }

    /// Bytes of memory that this takes now.
    fn held(&self) -> usize {
        let lists = self.known.values().map(list_memory).sum::<usize>();
        self.places.memory() + self.wanted.as_ref().map_or(0, Wanted::memory) + lists
    }

    /// Most bytes of memory that this has taken so far.
    pub(crate) fn most_memory(&self) -> u64 {
        self.memory.max(self.held()) as u64
    }

    fn note(&mut self, short: ShortName, len: u32, place: Place) {
        if self.wanted.as_ref().is_none_or(|wanted| wanted.has(short, len)) {
            self.places.add(short, len, place);
        }
    }

    fn believe(&mut self, number: u16, seed: &Seed, lists: &[LeafList]) {
        let size = seed.size();
        for (entry, offset) in placed(lists) {
            if offset + u64::from(entry.len) <= size {
                self.note(entry.short, entry.len, Place { seed: number, offset });
            }
        }
        if self.wanted.is_none() {
            self.known.extend(lists.iter().map(|list| (*list.hash(), list.clone())));
        }
        self.scanned.fetch_add(size, Ordering::Relaxed);
    }

    fn scan(&mut self, number: u16, seed: &Seed, parts: Option<Vec<Range<u64>>>) -> Result<(), ExtractError> {
        let found = {
            let wanted = self.wanted.as_ref();
            let progress = |bytes| {
                let done = self.scanned.fetch_add(bytes, Ordering::Relaxed) + bytes;
                self.observer.progress(&Progress::Scanning { done: done.min(self.total), total: self.total });
                !self.observer.is_cancelled()
            };
            let scan = Scan {
                params: self.params,
                threads: self.threads,
                wanted: &|short, len| wanted.is_none_or(|wanted| wanted.has(short, len)),
                progress: &progress,
            };
            let (found, unreadable) = match parts {
                Some(parts) => scan.run(seed, parts),
                None => scan.run_all(seed),
            };
            for gap in unreadable {
                let notice = Notice::Unreadable { seed: &seed.name, range: gap.range, error: &gap.error };
                self.observer.notice(&notice);
            }
            found
        };
        if self.observer.is_cancelled() {
            return Err(ExtractError::Cancelled);
        }
        // They were found in parts, and each table may have grown to twice what is in it.
        let found_len = 2 * found.len() * size_of::<Found>();
        self.memory = self.memory.max(self.held() + found_len + 2 * found.len() * Places::ROW);
        for chunk in &found {
            self.places.add(chunk.short, chunk.len, Place { seed: number, offset: chunk.offset });
        }
        if self.wanted.is_none() {
            let entries = with_holes(&found, self.params.zero_chunk(), seed.size());
            self.known.extend(leaf_lists(entries).map(|list| (*list.hash(), list)));
        }
        Ok(())
    }
}

/// The entries of what was found in a seed of `size` bytes, with the chunks of `zeros` bytes that were not looked for in
/// holes.
fn with_holes(found: &[Found], zeros: u32, size: u64) -> impl Iterator<Item = Entry> {
    let entry = |short, len, repeats| Entry { short, len, repeats };
    let hole = move |range: Range<u64>| {
        let count = range.end.saturating_sub(range.start) / u64::from(zeros);
        (count > 0).then(|| entry(ShortName::ZERO, zeros, count - 1))
    };
    let end_of = |found: &Found| found.offset + u64::from(found.len);
    let mut at = 0;
    let behind = found.last().map_or(0, end_of);
    let rest = size.saturating_sub(behind) % u64::from(zeros);
    let rest = u32::try_from(rest).ok().filter(|rest| *rest > 0);
    let chunks = found.iter().flat_map(move |found| {
        let before = hole(at..found.offset);
        at = end_of(found);
        before.into_iter().chain([entry(found.short, found.len, 0)])
    });
    chunks.chain(hole(behind..size)).chain(rest.map(|rest| entry(ShortName::ZERO, rest, 0)))
}

/// The entries of lists that follow each other, with the offsets of their first chunks.
fn placed(lists: &[LeafList]) -> impl Iterator<Item = (Entry, u64)> {
    let mut at = 0_u64;
    lists.iter().flat_map(LeafList::entries).map(move |entry| {
        let offset = at;
        at = at.saturating_add(u64::from(entry.len).saturating_mul(entry.repeats.saturating_add(1)));
        (*entry, offset)
    })
}

/// Bytes that a list takes in memory, among others.
pub(crate) fn list_memory(list: &LeafList) -> usize {
    size_of::<Digest>() + size_of::<LeafList>() + size_of_val(list.entries())
}

/// Whether a sample of the chunks lies where `lists` say.
fn proves_true(seed: &Seed, lists: &[LeafList]) -> bool {
    let loud = || placed(lists).filter(|(entry, _)| !entry.short.is_zero());
    let step = (loud().count() / SAMPLE).max(1);
    let mut buffer = Vec::new();
    loud().step_by(step).all(|(entry, offset)| {
        buffer.resize(entry.len as usize, 0);
        seed.read(offset, &mut buffer).is_ok() && ShortName::of(&Name::of(&buffer)) == entry.short
    })
}
