//! Bytes that nobody has planned to fetch, because a seed was not what it seemed.
//!
//! What is wrong in a block is found by the names of its chunks, and all of it is fetched together: frames that lie near
//! each other in one request, and none that is here already, on its way, or that another block has just used.

use std::collections::HashMap;
use std::sync::Arc;

use chunk_chunker::Name;
use chunk_index::{FrameRef, Location, Placed, ShortName};
use chunk_store::{Decoder, Frame};

use crate::ReadError;
use crate::job::ExtractError;
use crate::work::frames::{Frames, Key, Whereabouts};
use crate::work::line::Line;

/// A chunk that is to come from the store.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) placed: Placed,
    pub(super) location: Location,
}

impl Wanted {
    fn key(&self) -> Key {
        (self.location.pack, self.location.frame.offset)
    }
}

/// Fetches chunks beyond the plan.
pub(super) struct Late<'w, 'a> {
    pub(super) frames: &'w Frames<'a>,
    pub(super) line: &'w Line,
    /// Bytes that it has fetched.
    pub(super) fetched: u64,
}

impl Late<'_, '_> {
    /// Hands the bytes of all chunks in `wanted` to `take`, after `doubt` answers that were wrong. Frames that are damaged
    /// or do not hold their chunk are told of at the end, and what the source does not give at once.
    pub(super) fn chunks(
        &mut self,
        mut wanted: Vec<Wanted>,
        doubt: u32,
        decoder: &mut Decoder,
        take: &mut dyn FnMut(&Placed, &[u8]),
    ) -> Result<(), ExtractError> {
        wanted.sort_by_key(Wanted::key);
        let mut first_error = None;
        let mut rest = &wanted[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.batch(rest));
            rest = later;
            let mut stored = if doubt == 0 { self.stored(now)? } else { HashMap::new() };
            for chunks in now.chunk_by(|one, other| one.key() == other.key()) {
                let (key, frame) = (chunks[0].key(), &chunks[0].location.frame);
                let bytes = match stored.remove(&key) {
                    Some(bytes) => bytes,
                    None => self.again(key.0, frame, doubt)?,
                };
                match self.taken(chunks, &bytes, decoder, take) {
                    Ok(()) if doubt > 0 => self.frames.settle(key, Some(bytes)),
                    Ok(()) => {}
                    Err(error) => {
                        self.frames.forget(key);
                        first_error.get_or_insert(error);
                    }
                }
            }
        }
        first_error.map_or(Ok(()), |error| Err(error.into()))
    }

    /// How many of `wanted` are fetched together: no more than a request may bring, but one frame at least.
    fn batch(&self, wanted: &[Wanted]) -> usize {
        let (mut len, mut last) = (0, None);
        let fits = |wanted: &&Wanted| {
            if last != Some(wanted.key()) {
                len += u64::from(wanted.location.frame.stored_len);
                last = Some(wanted.key());
            }
            len <= self.frames.joining.longest || len == u64::from(wanted.location.frame.stored_len)
        };
        wanted.iter().take_while(fits).count()
    }

    /// The frames of `wanted`, which ascend, as they are stored.
    fn stored(&mut self, wanted: &[Wanted]) -> Result<HashMap<Key, Arc<[u8]>>, ExtractError> {
        let mut found = HashMap::new();
        loop {
            let (mut ours, mut is_complete) = (Vec::new(), true);
            for chunks in wanted.chunk_by(|one, other| one.key() == other.key()) {
                let key = chunks[0].key();
                if found.contains_key(&key) {
                    continue;
                }
                match self.frames.find(key, self.line) {
                    Whereabouts::Here(stored) => drop(found.insert(key, stored)),
                    Whereabouts::Yours => ours.push((key.0, chunks[0].location.frame)),
                    Whereabouts::Coming => is_complete = false,
                }
            }
            // First what others may wait for, then what others bring.
            self.fetch(&ours, &mut found)?;
            if is_complete {
                return Ok(found);
            }
            if !self.frames.wait() {
                return Err(ExtractError::Cancelled);
            }
        }
    }

    /// Fetches frames that nobody else does.
    fn fetch(
        &mut self,
        ours: &[(u32, FrameRef)],
        found: &mut HashMap<Key, Arc<[u8]>>,
    ) -> Result<(), ExtractError> {
        let mut outcome = Ok(());
        for frames in ours.chunk_by(|(one, _), (other, _)| one == other) {
            let pack = frames[0].0;
            let ranges: Vec<_> =
                frames.iter().map(|(_, frame)| u64::from(frame.offset)..frame.end()).collect();
            let mut buffer = Vec::new();
            let mut left = frames;
            for request in self.frames.joining.requests(&ranges) {
                let within = left.iter().take_while(|(_, frame)| frame.end() <= request.range.end).count();
                let (now, later) = left.split_at(within);
                left = later;
                if outcome.is_ok() {
                    let object = self.frames.object(pack);
                    outcome = self.frames.source.read(&object, request.range.clone(), &mut buffer);
                }
                for (_, frame) in now {
                    let key = (pack, frame.offset);
                    let stored = outcome.is_ok().then(|| {
                        let start = usize::try_from(u64::from(frame.offset) - request.range.start);
                        let start = start.expect("a request is in memory");
                        Arc::<[u8]>::from(&buffer[start..][..frame.stored_len as usize])
                    });
                    self.frames.settle(key, stored.clone());
                    found.extend(stored.map(|stored| (key, stored)));
                }
                if outcome.is_ok() {
                    self.fetched += request.range.end - request.range.start;
                }
            }
        }
        outcome.map_err(|error| ReadError::Fetch(error).into())
    }

    /// One frame once more, after `doubt` answers that were wrong.
    fn again(&mut self, pack: u32, frame: &FrameRef, doubt: u32) -> Result<Arc<[u8]>, ExtractError> {
        let (object, mut stored) = (self.frames.object(pack), Vec::new());
        let range = u64::from(frame.offset)..frame.end();
        self.frames.source.read_again(&object, range, doubt, &mut stored).map_err(ReadError::Fetch)?;
        self.fetched += u64::from(frame.stored_len);
        Ok(stored.into())
    }

    /// Hands over the chunks of one frame.
    fn taken(
        &self,
        chunks: &[Wanted],
        stored: &[u8],
        decoder: &mut Decoder,
        take: &mut dyn FnMut(&Placed, &[u8]),
    ) -> Result<(), ReadError> {
        let Location { pack, frame, .. } = chunks[0].location;
        let FrameRef { offset, stored_len, plain_len, raw } = frame;
        let place = || (self.frames.object(pack), u64::from(frame.offset)..frame.end());
        let mut plain = Vec::new();
        let decoded = decoder.decode(&Frame { offset, stored_len, plain_len, raw }, stored, &mut plain);
        decoded.map_err(|error| {
            let (object, range) = place();
            ReadError::Frame { object, range, error }
        })?;
        let mut first_error = Ok(());
        for Wanted { placed, location } in chunks {
            // A checked map leads to no byte outside of its frame.
            let chunk = &plain[location.first as usize..][..placed.entry.len as usize];
            if ShortName::of(&Name::of(chunk)) == placed.entry.short {
                take(placed, chunk);
            } else if first_error.is_ok() {
                let (object, range) = place();
                first_error = Err(ReadError::Chunk { object, range, image: placed.image.clone() });
            }
        }
        first_error
    }
}
