//! In which order blocks are written when the target is its own seed.
//!
//! A block whose old bytes others still need waits for them, unless they are so few that they are saved at once:
//! an order near the image's own lets frames be used while they are in memory. Where blocks wait for each
//! other, the one of which the fewest bytes are needed goes first; if there is no room to save them, they are
//! fetched instead.

use std::collections::BTreeSet;
use std::ops::Range;

use chunk_chunker::image::{BLOCK, Blocks};

use crate::plan::runs::{Origin, Run};

/// So few old bytes are saved rather than waited for.
const FEW: u64 = 512 << 10;
/// Blocks looked at to find one of which few bytes are needed.
const CHOICE: usize = 32;

/// Old bytes that are saved before they are overwritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Save {
    /// The position whose writing destroys them.
    pub at: u32,
    /// The block that needs them.
    pub reader: u64,
    /// Where they are in the target.
    pub own: Range<u64>,
}

/// An order of writing.
#[derive(Debug, Default)]
pub(crate) struct Ordered {
    pub order: Vec<u32>,
    pub position: Vec<u32>,
    pub saves: Vec<Save>,
    pub most_saved: u64,
    /// Image bytes that cannot be had from old bytes, ascending.
    pub denied: Vec<Range<u64>>,
}

/// First to last.
pub(super) fn image_order(missing: &[u64]) -> Ordered {
    let order: Vec<u32> = (0..count(missing)).collect();
    Ordered { position: order.clone(), order, ..Ordered::default() }
}

/// Old bytes of one missing block that another one needs.
struct Need {
    source: u32,
    reader: u32,
    own: Range<u64>,
    /// The image bytes they become.
    image: Range<u64>,
}

/// An order in which every block is written after those that need its old bytes.
pub(super) fn own_order(blocks: Blocks, missing: &[u64], runs: &[Run], room: u64) -> Ordered {
    let needs = needs(blocks, missing, runs);
    let by_source = grouped(&needs, missing.len(), |need| need.source);
    let by_reader = grouped(&needs, missing.len(), |need| need.reader);
    let bytes = |list: &[u32]| list.iter().map(|need| len(&needs[*need as usize].own)).sum::<u64>();
    let mut pending: Vec<u64> = by_source.iter().map(|list| bytes(list)).collect();
    let mut waiting = Waiting::new(&pending);
    let mut ordered = Ordered { position: vec![u32::MAX; missing.len()], ..Ordered::default() };
    let mut gone = vec![false; needs.len()];
    let mut saved_for = vec![0_u64; missing.len()];
    let mut saved = 0;
    while let Some(block) = waiting.next(&pending, room / 2 - saved.min(room / 2)) {
        let bytes = pending[block as usize];
        let at = count(&ordered.order);
        if bytes > 0 {
            let open = by_source[block as usize].iter().filter(|need| !gone[**need as usize]);
            for number in open.copied().collect::<Vec<_>>() {
                let need = &needs[number as usize];
                gone[number as usize] = true;
                if saved + len(&need.own) <= room {
                    saved += len(&need.own);
                    saved_for[need.reader as usize] += len(&need.own);
                    let reader = missing[need.reader as usize];
                    ordered.saves.push(Save { at, reader, own: need.own.clone() });
                } else {
                    ordered.denied.push(need.image.clone());
                }
            }
            ordered.most_saved = ordered.most_saved.max(saved);
        }
        ordered.position[block as usize] = at;
        ordered.order.push(block);
        saved -= saved_for[block as usize];
        for number in &by_reader[block as usize] {
            let need = &needs[*number as usize];
            if std::mem::replace(&mut gone[*number as usize], true) {
                continue;
            }
            let before = pending[need.source as usize];
            pending[need.source as usize] -= len(&need.own);
            waiting.change(need.source, before, before - len(&need.own));
        }
    }
    ordered.denied.sort_unstable_by_key(|range| range.start);
    ordered
}

/// Blocks that are not ordered yet.
struct Waiting {
    by_place: BTreeSet<u32>,
    /// With the bytes that others need of them.
    by_need: BTreeSet<(u64, u32)>,
}

impl Waiting {
    fn new(pending: &[u64]) -> Self {
        let by_need: BTreeSet<_> = (0..).zip(pending).map(|(block, bytes)| (*bytes, block)).collect();
        Self { by_place: by_need.iter().map(|(_, block)| *block).collect(), by_need }
    }

    /// Takes out the block to write next.
    fn next(&mut self, pending: &[u64], room: u64) -> Option<u32> {
        let few = FEW.min(room);
        let near = self.by_place.iter().take(CHOICE).find(|block| pending[**block as usize] <= few);
        let block = near.copied().or_else(|| self.by_need.first().map(|(_, block)| *block))?;
        self.by_place.remove(&block);
        self.by_need.remove(&(pending[block as usize], block));
        Some(block)
    }

    fn change(&mut self, block: u32, before: u64, now: u64) {
        if self.by_need.remove(&(before, block)) {
            self.by_need.insert((now, block));
        }
    }
}

/// What each block needs of the old bytes of others.
fn needs(blocks: Blocks, missing: &[u64], runs: &[Run]) -> Vec<Need> {
    let block_len = BLOCK as u64;
    let index = |number: u64| missing.binary_search(&number).ok().and_then(|place| u32::try_from(place).ok());
    let mut needs: Vec<Need> = Vec::new();
    for run in runs {
        let Origin::Own { offset } = run.origin else { continue };
        let first = missing.partition_point(|number| blocks.range(*number).end <= run.image);
        for number in &missing[first..] {
            let block = blocks.range(*number);
            if block.start >= run.image + run.len {
                break;
            }
            let reader = index(*number).expect("it is one of them");
            for (image, before) in run.pieces(&block) {
                let own = offset + before..offset + before + len(&image);
                let mut at = own.start;
                while at < own.end {
                    let end = (at / block_len + 1).saturating_mul(block_len).min(own.end);
                    let image = image.start + (at - own.start)..image.start + (end - own.start);
                    match index(at / block_len) {
                        // A block is in memory as a whole before any of it is written.
                        Some(source) if source != reader => {
                            needs.push(Need { source, reader, own: at..end, image });
                        }
                        _ => {}
                    }
                    at = end;
                }
            }
        }
    }
    needs
}

fn grouped(needs: &[Need], blocks: usize, by: impl Fn(&Need) -> u32) -> Vec<Vec<u32>> {
    let mut groups = vec![Vec::new(); blocks];
    for (number, need) in (0..).zip(needs) {
        groups[by(need) as usize].push(number);
    }
    groups
}

fn len(range: &Range<u64>) -> u64 {
    range.end - range.start
}

fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).expect("blocks are counted in memory")
}
