//! The new bytes of a patch: groups fetched ahead and decoded on threads of their own, one for each stream.
//!
//! Groups are fetched in the order in which their first bytes are needed. So when a byte is waited for, of each
//! stream at most one group before it is unfinished, and nobody waits for somebody who waits.

use std::error::Error;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use chunk_delta::{Group, Image, Ranges, Stream};
use chunk_fetch::Source;
use chunk_patch::{Decoder, Limits};

use crate::seed::Seed;

use super::way::Way;

/// Bytes decoded at a time.
const PIECE: usize = 128 << 10;
/// Decoded pieces that may wait.
const WAITING: usize = 4;

/// What goes wrong on the way.
pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// A group as it lies in the patch, or why it is not there.
type Stored = Result<(Group, Vec<u8>), Failure>;

/// Decoded bytes, and where in their stream they start.
type Decoded = Result<(u64, Vec<u8>), Failure>;

/// Both streams, to be read front to back.
pub(super) struct Streams {
    streams: [Reading; 2],
}

/// One stream, read up to somewhere.
struct Reading {
    pieces: Receiver<Decoded>,
    /// The piece at hand, and where in the stream it starts.
    at: u64,
    piece: Vec<u8>,
}

impl Streams {
    /// Starts fetching and decoding what `way` needs, and counts what is fetched.
    pub(super) fn start<'s, 'e>(
        scope: &'s Scope<'s, 'e>,
        way: &'e Way,
        seed: &'e Seed,
        source: &'e dyn Source,
        longest: u64,
        fetched: &'e AtomicU64,
    ) -> Self {
        let mut inputs = Vec::new();
        let streams = Stream::ALL.map(|_| {
            // No group waits but the one that is being fetched.
            let (input, groups) = sync_channel::<Stored>(0);
            let (output, pieces) = sync_channel::<Decoded>(WAITING);
            scope.spawn(move || decode_all(&groups, seed, &output));
            inputs.push(input);
            Reading { pieces, at: 0, piece: Vec::new() }
        });
        scope.spawn(move || fetch_all(way, source, longest, &inputs, fetched));
        Self { streams }
    }

    /// Fills `out` with the bytes from `offset` of `stream` on. Offsets never go back.
    pub(super) fn read(&mut self, stream: Stream, offset: u64, out: &mut [u8]) -> Result<(), Failure> {
        let reading = &mut self.streams[stream as usize];
        let mut offset = offset;
        let mut rest = out;
        while !rest.is_empty() {
            let within = offset.checked_sub(reading.at).and_then(|within| usize::try_from(within).ok());
            let there = within.and_then(|within| reading.piece.get(within..)).unwrap_or_default();
            if there.is_empty() {
                (reading.at, reading.piece) = reading.pieces.recv().map_err(|_| "a group is missing")??;
                continue;
            }
            let (now, later) = rest.split_at_mut(there.len().min(rest.len()));
            now.copy_from_slice(&there[..now.len()]);
            offset += now.len() as u64;
            rest = later;
        }
        Ok(())
    }
}

/// Fetches the groups, each for its stream, until nobody wants more.
fn fetch_all(
    way: &Way,
    source: &dyn Source,
    longest: u64,
    inputs: &[SyncSender<Stored>],
    fetched: &AtomicU64,
) {
    for number in &way.groups {
        let group = &way.patch.groups()[*number];
        let stored = fetch(way, *number, source, longest, fetched).map(|stored| (group.clone(), stored));
        let failed = stored.is_err();
        if inputs[group.stream as usize].send(stored).is_err() || failed {
            return;
        }
    }
}

fn fetch(
    way: &Way,
    group: usize,
    source: &dyn Source,
    longest: u64,
    fetched: &AtomicU64,
) -> Result<Vec<u8>, Failure> {
    let (mut stored, mut buffer) = (way.part_of(group).to_vec(), Vec::new());
    for range in way.requests_of(group, longest) {
        source.read(&way.object, range, &mut buffer)?;
        fetched.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        stored.append(&mut buffer);
    }
    Ok(stored)
}

/// Decodes the groups of one stream, until there are no more or nobody wants their bytes.
fn decode_all(groups: &Receiver<Stored>, seed: &Seed, output: &SyncSender<Decoded>) {
    for stored in groups {
        let result = stored.and_then(|(group, stored)| decode(&group, &stored, seed, output));
        match result {
            Ok(true) => {}
            Ok(false) => return,
            Err(failure) => {
                // Who no longer listens has failed already.
                let _ = output.send(Err(failure));
                return;
            }
        }
    }
}

/// Decodes one group; returns whether its bytes are still wanted.
fn decode(group: &Group, stored: &[u8], seed: &Seed, output: &SyncSender<Decoded>) -> Result<bool, Failure> {
    let Range { start, end } = group.new;
    let base = Ranges::new(Old(seed), &group.base);
    let mut decoder = Decoder::new(stored, &base, end - start, &Limits::default())?;
    let mut at = start;
    loop {
        let mut piece = vec![0; PIECE];
        let count = decoder.read(&mut piece)?;
        if count == 0 {
            return Ok(true);
        }
        piece.truncate(count);
        if output.send(Ok((at, piece))).is_err() {
            return Ok(false);
        }
        at += count as u64;
    }
}

/// A seed as the image that a patch starts from.
struct Old<'a>(&'a Seed);

impl Image for Old<'_> {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
}
