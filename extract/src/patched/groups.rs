//! Groups fetched, handed over one after the other, and decoded.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};

use chunk_delta::{Group, Image, Ranges};
use chunk_fetch::Source;
use chunk_patch::{Decoder, Limits};

use super::ahead::read_ahead;
use super::link::{Link, Useless};

/// Bytes decoded at a time.
const PIECE: usize = 128 << 10;

/// Most requests under way or waiting to be decoded.
pub(super) const AHEAD: usize = 4;

/// A group as it lies in the patch, or why it is not there.
pub(super) type Stored = Result<(Group, Vec<u8>), Useless>;

/// Where groups come from, and what they have cost.
pub(super) struct Fetch<'a> {
    pub(super) source: &'a dyn Source,
    /// Longest request.
    pub(super) longest: u64,
    /// Requests at a time.
    pub(super) connections: usize,
    pub(super) fetched: &'a AtomicU64,
    /// How many answers before were wrong.
    pub(super) doubt: u32,
}

impl Fetch<'_> {
    /// Fetches `groups` of `link`, each for its stream, until nobody wants more.
    pub(super) fn all(&self, link: &Link, groups: &[usize], inputs: &[SyncSender<Stored>]) {
        let send = |number: usize, stored: Result<Vec<u8>, Useless>| {
            let group = link.patch.groups()[number].clone();
            inputs[group.stream as usize].send(stored.map(|stored| (group, stored))).is_ok()
        };
        let requests_of = |number: usize| link.requests_of(number, self.longest, self.doubt);
        let requests: Vec<Range<u64>> = groups.iter().flat_map(|number| requests_of(*number)).collect();
        let mut groups = groups.iter().copied();
        // The group that is being put together, and how many answers it lacks.
        let mut next = || {
            let number = groups.next()?;
            Some((number, link.part_of(number, self.doubt).to_vec(), requests_of(number).count()))
        };
        let mut current = next();
        let mut deliver = |answer: Option<Vec<u8>>| {
            if let (Some((_, stored, lacks)), Some(mut answer)) = (&mut current, answer) {
                stored.append(&mut answer);
                *lacks -= 1;
            }
            // Short groups may have come with the head.
            while let Some((number, stored, 0)) = &mut current {
                if !send(*number, Ok(std::mem::take(stored))) {
                    return None;
                }
                current = next();
            }
            Some(current.as_ref().map(|(number, ..)| *number))
        };
        if deliver(None).is_none() {
            return;
        }
        let mut failed = None;
        let object = (&*link.object, self.doubt);
        read_ahead(self.source, object, &requests, self.connections.min(AHEAD), &mut |answer| match answer {
            Ok(answer) => {
                self.fetched.fetch_add(answer.len() as u64, Ordering::Relaxed);
                deliver(Some(answer)).is_some()
            }
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        if let (Some(error), Some(Some(number))) = (failed, deliver(None)) {
            // Who no longer listens has failed already.
            let _ = send(number, Err(error.into()));
        }
    }
}

/// Decodes the groups of one stream with parts of `base`, until there are no more or `accept` wants no more of their
/// bytes, which it gets with their place in the stream.
pub(super) fn decode_all(
    groups: &Receiver<Stored>,
    base: &dyn Image,
    accept: &mut dyn FnMut(u64, Vec<u8>) -> bool,
) -> Result<(), Useless> {
    for stored in groups {
        let (group, stored) = stored?;
        if !decode(&group, &stored, base, accept)? {
            break;
        }
    }
    Ok(())
}

/// Decodes one group; returns whether its bytes are still wanted.
fn decode(
    group: &Group,
    stored: &[u8],
    base: &dyn Image,
    accept: &mut dyn FnMut(u64, Vec<u8>) -> bool,
) -> Result<bool, Useless> {
    let Range { start, end } = group.new;
    let base = Ranges::new(base, &group.base);
    let mut decoder = Decoder::new(stored, &base, end - start, &Limits::default())?;
    let mut at = start;
    loop {
        let mut piece = vec![0; PIECE];
        // A decoder gives a copy or a run at a time, which may be a few bytes: too little to be handed over.
        let mut count = 0;
        while count < PIECE {
            match decoder.read(&mut piece[count..])? {
                0 => break,
                more => count += more,
            }
        }
        if count == 0 {
            return Ok(true);
        }
        piece.truncate(count);
        if !accept(at, piece) {
            return Ok(false);
        }
        at += count as u64;
    }
}
