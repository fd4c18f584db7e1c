//! Where base bytes went: the copy list read from the base's side.

use crate::copies::Copy;

/// Log2 of the base bytes that share one entry of the index over the copies.
const PAGE_BITS: u32 = 10;

/// Copies shorter than this are chance: bytes that happen to be alike, from anywhere.
const SHORTEST: u32 = 32;

/// What the copy list says of a place in the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A copy took it to this place in the target.
    Copied(i64),
    /// No copy has it. Counted from the nearest copy, and from the one on the other side, it would be here.
    Near(i64, i64),
}

/// Finds the place in the target for a place in the base.
#[derive(Debug)]
pub(crate) struct Map {
    /// In the order of their base, and apart from each other there.
    copies: Vec<Copy>,
    /// For each page of the base, how many copies start before it.
    pages: Vec<u32>,
}

impl Map {
    pub(crate) fn new(copies: &[Copy], base_len: u32) -> Self {
        let copies = apart(copies.iter().copied().filter(|copy| copy.len >= SHORTEST).collect());
        let mut pages = Vec::with_capacity((base_len >> PAGE_BITS) as usize + 2);
        let mut before = 0_u32;
        for page in 0..=(base_len >> PAGE_BITS) + 1 {
            while copies.get(before as usize).is_some_and(|copy| copy.base >> PAGE_BITS < page) {
                before += 1;
            }
            pages.push(before);
        }
        Self { copies, pages }
    }

    /// The place of base byte `at`.
    pub(crate) fn place(&self, at: u32) -> Place {
        let stay = Place::Near(i64::from(at), i64::from(at));
        let page = (at >> PAGE_BITS) as usize;
        let (Some(&first), Some(&last)) = (self.pages.get(page), self.pages.get(page + 1)) else {
            return stay;
        };
        let within = &self.copies[first as usize..last as usize];
        let after = first as usize + within.partition_point(|copy| copy.base <= at);
        let before = after.checked_sub(1).map(|before| self.copies[before]);
        let after = self.copies.get(after);
        let along = |copy: &Copy| i64::from(at) + i64::from(copy.target) - i64::from(copy.base);
        match (before, after) {
            (Some(copy), _) if at - copy.base < copy.len => Place::Copied(along(&copy)),
            (Some(before), Some(after)) if at - before.base_end() < after.base - at => {
                Place::Near(along(&before), along(after))
            }
            (Some(before), Some(after)) => Place::Near(along(after), along(&before)),
            (Some(copy), None) => Place::Near(along(&copy), i64::from(at)),
            (None, Some(copy)) => Place::Near(along(copy), i64::from(at)),
            (None, None) => stay,
        }
    }
}

/// The copies in the order of their base. Where two have the same base bytes, the longer one keeps them.
fn apart(mut copies: Vec<Copy>) -> Vec<Copy> {
    copies.sort_unstable_by_key(|copy| (copy.base, copy.target));
    let mut kept: Vec<Copy> = Vec::with_capacity(copies.len());
    for mut copy in copies {
        while let Some(last) = kept.last_mut() {
            // A copy before may have been cut at its start, and now begin behind this one.
            copy = behind(copy, last.base);
            if last.base_end() <= copy.base {
                break;
            }
            if last.len >= copy.len {
                copy = behind(copy, last.base_end());
                break;
            }
            last.len = copy.base - last.base;
            if last.len > 0 {
                break;
            }
            kept.pop();
        }
        if copy.len > 0 {
            kept.push(copy);
        }
    }
    kept
}

/// What of a copy lies at or behind `base`.
fn behind(copy: Copy, base: u32) -> Copy {
    let cut = base.saturating_sub(copy.base).min(copy.len);
    Copy { base: copy.base + cut, target: copy.target + cut, len: copy.len - cut }
}
