//! Groups fetched one after the other, and decoded.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};

use chunk_delta::{Group, Image, Ranges};
use chunk_fetch::Source;
use chunk_patch::{Decoder, Limits};

use super::link::{Link, Useless};

/// Bytes decoded at a time.
const PIECE: usize = 128 << 10;

/// A group as it lies in the patch, or why it is not there.
pub(super) type Stored = Result<(Group, Vec<u8>), Useless>;

/// Where groups come from, and what they have cost.
pub(super) struct Fetch<'a> {
    pub(super) source: &'a dyn Source,
    /// Longest request.
    pub(super) longest: u64,
    pub(super) fetched: &'a AtomicU64,
}

impl Fetch<'_> {
    /// Fetches the needed groups of `link`, each for its stream, until nobody wants more.
    pub(super) fn all(&self, link: &Link, inputs: &[SyncSender<Stored>]) {
        for number in &link.groups {
            let group = &link.patch.groups()[*number];
            let stored = self.one(link, *number).map(|stored| (group.clone(), stored));
            let failed = stored.is_err();
            if inputs[group.stream as usize].send(stored).is_err() || failed {
                return;
            }
        }
    }

    fn one(&self, link: &Link, group: usize) -> Result<Vec<u8>, Useless> {
        let (mut stored, mut buffer) = (link.part_of(group).to_vec(), Vec::new());
        for range in link.requests_of(group, self.longest) {
            self.source.read(&link.object, range, &mut buffer)?;
            self.fetched.fetch_add(buffer.len() as u64, Ordering::Relaxed);
            stored.append(&mut buffer);
        }
        Ok(stored)
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
        let count = decoder.read(&mut piece)?;
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
