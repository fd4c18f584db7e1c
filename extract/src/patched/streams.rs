//! The new bytes of a patch: groups fetched ahead and decoded on threads of their own, one for each stream.
//!
//! Groups are fetched in the order in which their first bytes are needed. So when a byte is waited for, of each
//! stream at most one group before it is unfinished, and nobody waits for somebody who waits.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope};

use chunk_delta::Stream;
use chunk_fetch::FetchError;

use crate::job::Observer;
use crate::parts::DOUBTS;

use super::groups::{Fetch, Stored, decode_all};
use super::link::{Link, Useless};
use super::made::{Made, Old};

/// Decoded pieces that may wait.
const WAITING: usize = 4;

/// Decoded bytes, and where in their stream they start.
type Decoded = Result<(u64, Vec<u8>), Useless>;

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

/// No group waits but the one that is being fetched.
fn no_group_waits() -> (SyncSender<Stored>, Receiver<Stored>) {
    sync_channel(0)
}

impl Streams {
    /// Starts fetching and decoding `groups` of `link`, whose base is `old`.
    pub(super) fn start<'s, 'e>(
        scope: &'s Scope<'s, 'e>,
        (link, groups): (&'e Link, &'e [usize]),
        old: &'e Old<'e>,
        fetch: &'e Fetch<'e>,
    ) -> Self {
        let mut inputs = Vec::new();
        let streams = Stream::ALL.map(|_| {
            let (input, stored) = no_group_waits();
            let (output, pieces) = sync_channel::<Decoded>(WAITING);
            scope.spawn(move || {
                let mut accept = |at, piece| output.send(Ok((at, piece))).is_ok();
                if let Err(failure) = decode_all(&stored, old, &mut accept) {
                    // Who no longer listens has failed already.
                    let _ = output.send(Err(failure));
                }
            });
            inputs.push(input);
            Reading { pieces, at: 0, piece: Vec::new() }
        });
        scope.spawn(move || fetch.all(link, groups, &inputs));
        Self { streams }
    }

    /// Fills `out` with the bytes from `offset` of `stream` on. Offsets never go back.
    pub(super) fn read(&mut self, stream: Stream, offset: u64, out: &mut [u8]) -> Result<(), Useless> {
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

/// Decodes what is needed of link `number` of `links` into `made`; what the links before it make is there. Groups that
/// cannot be decoded are asked for again.
pub(super) fn make(
    links: &[Link],
    number: usize,
    old: &Old<'_>,
    fetch: &Fetch<'_>,
    observer: &dyn Observer,
) -> Result<(), Useless> {
    let mut doubt = 0;
    loop {
        let fetch = Fetch { doubt, ..*fetch };
        match make_once(links, number, old, &fetch, observer) {
            Err(error) if doubt < DOUBTS && !error.is::<FetchError>() && !observer.is_cancelled() => {
                doubt += 1;
            }
            made => return made,
        }
    }
}

fn make_once(
    links: &[Link],
    number: usize,
    old: &Old<'_>,
    fetch: &Fetch<'_>,
    observer: &dyn Observer,
) -> Result<(), Useless> {
    let made: &Made = old.made;
    thread::scope(|scope| {
        let mut inputs = Vec::new();
        let decoders = Stream::ALL.map(|stream| {
            let (input, groups) = no_group_waits();
            inputs.push(input);
            scope.spawn(move || {
                let mut written = Ok(());
                decode_all(&groups, old, &mut |at, piece| {
                    written = made.write(links, (number, stream, at), &piece);
                    written.is_ok() && !observer.is_cancelled()
                })?;
                written?;
                if observer.is_cancelled() { Err("interrupted".into()) } else { Ok(()) }
            })
        });
        scope.spawn(move || fetch.all(&links[number], &links[number].groups, &inputs));
        decoders
            .into_iter()
            .try_for_each(|decoder| decoder.join().unwrap_or_else(|_| Err("a decoder has failed".into())))
    })
}
