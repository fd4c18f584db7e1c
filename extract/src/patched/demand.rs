//! What going by a patch takes of memory, told before it is begun.

use chunk_chunker::image::BLOCK;
use chunk_delta::{Group, Stream};

use crate::demand;

use super::groups::AHEAD;
use super::link::Link;
use super::made;
use super::mend::Mend;
use super::staging::Staging;
use super::way::Way;

/// What a decoder of groups has beside what it reads and makes.
const STATE: u64 = 12 << 20;
/// Blocks at hand: the one that is made, and what the target holds in its place.
const BLOCKS: u64 = 2;

impl Way {
    /// Most bytes of memory that going this way takes.
    pub(crate) fn most_memory(&self, longest: u64) -> u64 {
        let decoding = self.links.iter().map(|link| of_groups(link, longest)).max().unwrap_or(0);
        demand::PROGRAM + self.memory() + decoding + BLOCKS * BLOCK as u64 + made::IN_MEMORY
    }
}

impl Staging {
    /// Most bytes of memory that putting it aside takes.
    pub(crate) fn most_memory(&self, longest: u64) -> u64 {
        let links: usize = self.links.iter().map(Link::memory).sum();
        let decoding = self.links.iter().map(|link| of_groups(link, longest)).max().unwrap_or(0);
        let mend = self.mend.as_ref().map_or(0, Mend::memory);
        demand::PROGRAM + mend + links as u64 + decoding + made::IN_MEMORY + BLOCKS * BLOCK as u64
    }
}

/// Bytes of memory that decoding the needed groups of one patch takes.
fn of_groups(link: &Link, longest: u64) -> u64 {
    let connection = demand::CONNECTION;
    let groups = || link.groups.iter().map(|number| &link.patch.groups()[*number]);
    let stored = |group: &Group| group.stored.end - group.stored.start;
    // A group is decoded for each stream, while the next one is fetched.
    let decoded = Stream::ALL.map(|stream| {
        let groups = groups().filter(|group| group.stream == stream);
        let each = groups.map(|group| {
            let base: u64 = group.base.iter().map(|range| range.end - range.start).sum();
            stored(group) + base + (group.new.end - group.new.start) + STATE
        });
        each.max().unwrap_or(0)
    });
    let fetched = groups().map(stored).max().unwrap_or(0) + AHEAD as u64 * (2 * longest + connection);
    decoded.iter().sum::<u64>() + fetched
}
