//! The cheapest ways to the place in a target that a search has come to.

use super::approximate::Seen;
use crate::copies::Copy;

/// Costs in sixteenths of a bit: of a byte that agrees, one that only looks alike, one that differs, a new one.
const AGREES: u32 = 1;
const ALIKE: u32 = 4 * 16;
const DIFFERS: u32 = 29 * 4;
const NEW: u32 = 5 * 16;

/// Of new bytes as such; and of a copy but for the bits of the distance between its diagonal and the last.
const TO_NEW: u32 = 16;
const COPY: u32 = 15 * 16;

/// A way that costs so much more than the best is no longer followed.
const HOPELESS: u32 = 60 * 16;

/// Costs are lowered when they are higher.
const HIGH: u32 = 1 << 30;

/// Ways that are followed at once, besides that with new bytes at its end.
const MOST: usize = 16;

/// How far back from where it was found a diagonal is followed.
const PAST: usize = 128;

/// Diagonals that were left and may be taken up again.
const RECENT: usize = 8;

const NO_LEG: u32 = u32::MAX;

/// A part of a way: from `start` of the target on, along a diagonal or, if there is none, new bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leg {
    diagonal: Option<isize>,
    start: usize,
    /// The number of the leg before.
    before: u32,
}

#[derive(Clone, Copy, Debug)]
struct Way {
    leg: Leg,
    /// The last diagonal of the way: this one, or the one before new bytes.
    last: isize,
    cost: u32,
    /// The number of the leg, once another comes behind it.
    number: u32,
}

/// All ways that are followed to a place of the target.
#[derive(Debug)]
pub(super) struct Ways<'a> {
    base: Seen<'a>,
    target: Seen<'a>,
    /// Those along a diagonal; and the best of those with new bytes at their end.
    followed: Vec<Way>,
    new: Way,
    /// The best ways to the last places, each at the place modulo [`PAST`].
    past: [Way; PAST],
    recent: [isize; RECENT],
    legs: Vec<Leg>,
}

impl<'a> Ways<'a> {
    pub(super) fn new(base: Seen<'a>, target: Seen<'a>) -> Self {
        let leg = Leg { diagonal: Some(0), start: 0, before: NO_LEG };
        let start = Way { leg, last: 0, cost: 0, number: NO_LEG };
        let new = Way { leg: Leg { diagonal: None, ..leg }, cost: TO_NEW, ..start };
        Self {
            base,
            target,
            followed: vec![start],
            new,
            past: [start; PAST],
            recent: [0; RECENT],
            legs: Vec::new(),
        }
    }

    /// Where the best way to `at` would go on in the base, and whether it has to change its diagonal for nothing of it.
    pub(super) fn lead(&mut self, at: usize) -> (usize, bool) {
        let best = self.best();
        self.past[at % PAST] = best;
        (at.wrapping_add_signed(best.last), best.leg.diagonal.is_some())
    }

    fn best(&self) -> Way {
        let best = self.followed.iter().min_by_key(|way| way.cost);
        *best.filter(|way| way.cost < self.new.cost).unwrap_or(&self.new)
    }

    /// Whether only one way goes along a diagonal.
    pub(super) fn is_alone(&self) -> bool {
        self.followed.len() == 1
    }

    /// The only way along a diagonal goes on by `len` bytes that agree.
    pub(super) fn advance(&mut self, at: usize, len: usize) {
        let way = self.followed[0];
        for passed in at..at + len {
            self.past[passed % PAST] = way;
        }
        self.turn_new(at + len, &way);
    }

    /// Takes up diagonals that were left, where the base has `sought` at `at`.
    pub(super) fn resume<const LEN: usize>(&mut self, at: usize, sought: &[u8; LEN]) {
        for diagonal in self.recent {
            let there = self.base.alike.get(at.wrapping_add_signed(diagonal)..);
            if there.and_then(<[u8]>::first_chunk) == Some(sought) {
                self.follow(at, diagonal);
            }
        }
    }

    /// Follows a diagonal that was found at `at`: from there, or from before if that is cheaper.
    pub(super) fn follow(&mut self, at: usize, diagonal: isize) {
        let now = self.past[at % PAST];
        let (mut from, mut cost) = (at, u32::MAX);
        let mut along = 0;
        for start in (at.saturating_sub(PAST - 1)..=at).rev() {
            let stem = self.past[start % PAST];
            if start < at {
                along += self.byte(start, diagonal);
            }
            if stem.leg.diagonal == Some(diagonal) || stem.cost + along > now.cost + HOPELESS {
                break;
            }
            let apart = usize::BITS - stem.last.abs_diff(diagonal).leading_zeros();
            let whole = stem.cost + along + COPY + 16 * apart;
            if whole < cost {
                (from, cost) = (start, whole);
            }
        }
        let known = self.followed.iter().position(|way| way.leg.diagonal == Some(diagonal));
        if cost == u32::MAX || known.is_some_and(|known| self.followed[known].cost <= cost) {
            return;
        }
        let before = self.number(&self.past[from % PAST].clone());
        let leg = Leg { diagonal: Some(diagonal), start: from, before };
        let way = Way { leg, last: diagonal, cost, number: NO_LEG };
        match known {
            Some(known) => self.followed[known] = way,
            None if self.followed.len() < MOST => self.followed.push(way),
            None => {
                let worst = self.followed.iter_mut().max_by_key(|way| way.cost);
                if let Some(worst) = worst.filter(|worst| worst.cost > cost) {
                    *worst = way;
                }
            }
        }
    }

    /// What byte `at` of the target costs on a diagonal.
    fn byte(&self, at: usize, diagonal: isize) -> u32 {
        let place = at.wrapping_add_signed(diagonal);
        match self.base.alike.get(place) {
            Some(byte) if *byte != self.target.alike[at] => DIFFERS,
            Some(_) if self.base.told[place] != self.target.told[at] => ALIKE,
            Some(_) => AGREES,
            None => HOPELESS + NEW,
        }
    }

    /// All ways go on by byte `at`.
    pub(super) fn step(&mut self, at: usize) {
        for number in 0..self.followed.len() {
            let cost = self.byte(at, self.followed[number].last);
            self.followed[number].cost += cost;
        }
        self.new.cost += NEW;
        let best = self.best();
        let hopeless = |way: &mut Way| way.cost > best.cost + HOPELESS;
        for left in self.followed.extract_if(.., hopeless) {
            // Only what others branched off was ever the best.
            if left.number != NO_LEG && !self.recent.contains(&left.last) {
                self.recent.rotate_right(1);
                self.recent[0] = left.last;
            }
        }
        if self.new.cost > best.cost + TO_NEW {
            self.turn_new(at + 1, &best);
        }
        if best.cost > HIGH {
            for way in self.followed.iter_mut().chain(&mut self.past).chain([&mut self.new]) {
                way.cost = way.cost.saturating_sub(HIGH / 2);
            }
        }
    }

    /// From `at` on, new bytes come behind `way`.
    fn turn_new(&mut self, at: usize, way: &Way) {
        let leg = Leg { diagonal: None, start: at, before: self.number(way) };
        self.new = Way { leg, last: way.last, cost: way.cost + TO_NEW, number: NO_LEG };
    }

    /// The number of the last leg of a way that another comes behind.
    fn number(&mut self, way: &Way) -> u32 {
        let mut all = self.followed.iter_mut().chain([&mut self.new]);
        let same = all.find(|other| other.leg == way.leg);
        let known = same.as_ref().map_or(way.number, |same| same.number);
        if known != NO_LEG {
            return known;
        }
        let number = u32::try_from(self.legs.len()).expect("a target has fewer bytes, and so fewer legs");
        self.legs.push(way.leg);
        if let Some(same) = same {
            same.number = number;
        }
        number
    }

    /// The copies of the best way to `end`.
    pub(super) fn copies(&self, end: usize) -> Vec<Copy> {
        let number = |value: usize| u32::try_from(value).expect("base and target are shorter than 2^31");
        let mut copies = Vec::new();
        let mut end = end;
        let mut next = Some(self.best().leg);
        while let Some(Leg { diagonal, start, before }) = next {
            if let Some(diagonal) = diagonal.filter(|_| start < end) {
                let base = number(start.wrapping_add_signed(diagonal));
                copies.push(Copy { base, target: number(start), len: number(end - start) });
            }
            end = start;
            next = self.legs.get(before as usize).copied();
        }
        copies.reverse();
        copies
    }
}
