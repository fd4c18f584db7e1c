//! Words between the functions of ARM code that hold addresses: code loads them, and most of them it adds to the place
//! where it is.

use super::arm::Set;

/// Most literals with an address that are found in a base.
const MOST: usize = 1 << 18;

/// Bytes behind a load among which the addition of the own address is looked for.
const REACH: u32 = 128;

/// How a literal says an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Literal {
    /// As it is.
    Address,
    /// As the distance from this place.
    From(u32),
}

/// The literals with an address.
#[derive(Debug, Default)]
pub(super) struct Literals {
    /// Where each lies, and what it counts from.
    found: Vec<(u32, Literal)>,
}

impl Literals {
    /// Takes note of a literal, and says whether there is room for it.
    pub(super) fn insert(&mut self, at: u32, literal: Literal) -> bool {
        let has_room = self.found.len() < MOST;
        if has_room {
            self.found.push((at, literal));
        }
        has_room
    }

    /// Makes ready for questions. Of several at a place the address counts, or that from the lowest place.
    pub(super) fn sort(&mut self) {
        self.found.sort_unstable();
        self.found.dedup_by_key(|&mut (at, _)| at);
    }

    /// The literal at `at`, if one with an address is there.
    pub(super) fn find(&self, at: u32) -> Option<Literal> {
        let found = self.found.binary_search_by_key(&at, |&(at, _)| at).ok()?;
        Some(self.found[found].1)
    }
}

/// What was loaded shortly before.
#[derive(Debug)]
pub(super) struct Loads {
    set: Set,
    /// For each register the literal last loaded, and the place behind the last from which it counts.
    loaded: [(u32, u32); 16],
}

impl Loads {
    pub(super) fn new(set: Set) -> Self {
        Self { set, loaded: [(0, 0); 16] }
    }

    /// The place of the literal that the instruction `word` at `at` loads.
    pub(super) fn load(&mut self, word: u32, at: u32) -> Option<u32> {
        let (register, distance) = self.set.load(word)?;
        self.loaded[register] = (0, 0);
        let origin = i64::from((at + self.set.ahead()) & !3);
        let literal = u32::try_from(origin + distance).ok()?;
        self.loaded[register] = (literal, at + REACH);
        Some(literal)
    }

    /// The literal to which the instruction `word` at `at` adds its own address, and that address's place.
    pub(super) fn add(&mut self, word: u32, at: u32) -> Option<(u32, u32)> {
        let loaded = &mut self.loaded[self.set.added(word)?];
        let (literal, until) = *loaded;
        loaded.1 = 0;
        (at < until).then_some((literal, at + self.set.ahead()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_counts_from_where_it_is_added() {
        let mut loads = Loads::new(Set::Thumb);
        // ldr r2, [pc, #392] at 2 above a whole word; add r2, pc.
        assert_eq!(loads.load(0x4a62, 0x1002), Some(0x118c));
        assert_eq!(loads.add(0x447b, 0x1004), None, "another register");
        assert_eq!(loads.add(0x447a, 0x1006), Some((0x118c, 0x100a)));
        assert_eq!(loads.add(0x447a, 0x1008), None, "it was added already");
        assert_eq!(loads.load(0x4a62, 0x1002), Some(0x118c));
        assert_eq!(loads.add(0x447a, 0x1002 + REACH), None, "too far away");
    }

    #[test]
    fn of_two_literals_at_a_place_that_from_the_lower_place_counts() {
        let mut literals = Literals::default();
        for (at, literal) in [
            (40, Literal::From(20)),
            (8, Literal::From(4)),
            (40, Literal::From(12)),
            (16, Literal::From(8)),
            (16, Literal::Address),
        ] {
            assert!(literals.insert(at, literal));
        }
        literals.sort();
        assert_eq!(literals.find(8), Some(Literal::From(4)));
        assert_eq!(literals.find(16), Some(Literal::Address));
        assert_eq!(literals.find(40), Some(Literal::From(12)));
        assert_eq!(literals.find(12), None);
    }
}
