//! The fields of `.gcc_except_table`: for each function a table of what it calls, and where it goes on if that throws.
//!
//! ```text
//! base of the pads, if any ‖ types, if any ‖ how numbers are written ‖ bytes of the sites
//! for each site: start from the function's ‖ length ‖ pad from the function's start, or 0 ‖ what is caught
//! ```
//! Numbers have seven bits in each byte, the lowest first; all bytes of a number but the last have the highest bit.

use std::io;

use super::window::Window;
use crate::base::Base;

/// Most tables of a base that are known.
const MOST: usize = 1 << 18;

/// Longest start, length and pad of a site, together.
const LONGEST: u32 = 8;

/// What a table starts with if its pads count from the function, and what stands for the types if there are none.
const NONE: u8 = 0xff;

/// How the numbers of sites are written.
const SEVENTHS: u8 = 1;

/// The tables of call sites, and the functions they belong to.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Where each table starts, and where its function does.
    found: Vec<(u32, u32)>,
}

impl Tables {
    /// Takes note of a table, if there is room for it.
    pub(super) fn insert(&mut self, table: u32, function: u32) {
        if self.found.len() < MOST {
            self.found.push((table, function));
        }
    }

    /// Makes ready for questions. Of several functions with a table at one place the first counts.
    pub(super) fn sort(&mut self) {
        self.found.sort_unstable();
        self.found.dedup_by_key(|&mut (table, _)| table);
    }

    /// The tables that start within `start..end`, each with where the next one starts, or with `end`.
    pub(super) fn within(&self, start: u32, end: u32) -> impl Iterator<Item = (u32, u32)> {
        let from = self.found.partition_point(|&(table, _)| table < start);
        let to = self.found.partition_point(|&(table, _)| table < end);
        let tables = self.found.get(from..to).unwrap_or_default().iter().map(|&(table, _)| table);
        let nexts = tables.clone().skip(1).chain([end]);
        tables.zip(nexts)
    }

    /// The start of the function whose table the place `at` is in.
    pub(super) fn function(&self, at: u32) -> Option<u32> {
        let count = self.found.partition_point(|&(table, _)| table <= at);
        self.found.get(count.checked_sub(1)?).map(|&(_, function)| function)
    }
}

/// Marks the sites of the table at `start`, which ends before `end`: of each the first two bytes, and the last of its
/// pad. No two sites touch, so two marks behind none are where one starts.
pub(super) fn sites<B: Base + ?Sized>(
    window: &mut Window<'_, B>,
    (start, end): (u32, u32),
    mut mark: impl FnMut(u32),
) -> io::Result<()> {
    let Some((mut at, end)) = header(window.at(start, SHOWN)?, start, end) else { return Ok(()) };
    while at < end {
        let bytes = window.at(at, SHOWN)?;
        let numbers = [(); 3].iter().try_fold(0, |at, ()| Some(at + number(&bytes[at as usize..])?.0));
        let Some(len) = numbers else { break };
        let Some((caught, _)) = number(&bytes[len as usize..]) else { break };
        let next = at + len + caught;
        if next > end {
            break;
        }
        if len <= LONGEST {
            mark(at);
            mark(at + 1);
            mark(at + len - 1);
        }
        at = next;
    }
    Ok(())
}

/// Bytes that are looked at: more than a header has, and than a site has.
const SHOWN: u32 = 32;

/// Where the sites of the table that `bytes` start with begin and end, if it is one of the usual sort.
fn header(bytes: &[u8], start: u32, end: u32) -> Option<(u32, u32)> {
    let (&[pads, types], _) = bytes.split_first_chunk()?;
    if pads != NONE {
        return None;
    }
    let mut at = 2;
    if types != NONE {
        at += number(&bytes[at as usize..])?.0;
    }
    if *bytes.get(at as usize)? != SEVENTHS {
        return None;
    }
    at += 1;
    let (digits, len) = number(&bytes[at as usize..])?;
    let first = start + at + digits;
    Some((first, first.saturating_add(len).min(end)))
}

/// Bytes of the number that `bytes` start with, at most four, and its value.
fn number(bytes: &[u8]) -> Option<(u32, u32)> {
    let digits = bytes.iter().take(4).position(|&byte| byte < 0x80)? + 1;
    let value = bytes[..digits].iter().rev().fold(0, |value, &byte| value << 7 | u32::from(byte & 0x7f));
    Some((u32::try_from(digits).ok()?, value))
}

/// A number of a call site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// Where the calls start, from the function's start.
    Start,
    /// How far they go on.
    Len,
    /// Where what they throw lands, from the function's start.
    Pad,
}

impl Site {
    pub(crate) const ALL: [Self; 3] = [Self::Start, Self::Len, Self::Pad];

    /// How many of `bytes` the number takes that they start with. The pad takes all, of which only it is left.
    pub(crate) fn len(self, bytes: &[u8]) -> usize {
        let digits = bytes.iter().position(|&byte| byte < 0x80).map_or(bytes.len(), |last| last + 1);
        if self == Self::Pad { bytes.len() } else { digits }
    }
}

/// The `len` bytes of `value` as a number: what it is, and above that how its highest bits differ from those that a
/// number of this length has.
pub(crate) fn ordered(value: u64, len: u8) -> u64 {
    let bytes = value.to_le_bytes();
    let bytes = bytes.iter().take(usize::from(len)).zip(0_u32..);
    let last = u32::from(len).saturating_sub(1);
    bytes.fold(0, |number, (&byte, at)| {
        let goes_on = u64::from(byte >> 7) ^ u64::from(at < last);
        number | u64::from(byte & 0x7f) << (7 * at) | goes_on << (7 * (last + 1) + at)
    })
}

/// Undoes [`ordered`].
pub(crate) fn unordered(number: u64, len: u8) -> u64 {
    let last = u32::from(len).saturating_sub(1);
    (0..=last).fold(0, |value, at| {
        let goes_on = (number >> (7 * (last + 1) + at)) & 1 ^ u64::from(at < last);
        value | ((number >> (7 * at)) & 0x7f | goes_on << 7) << (8 * at)
    })
}

/// What a number of `len` bytes is, whatever its highest bits are.
pub(crate) fn plain(value: u64, len: u8) -> u64 {
    ordered(value, len) & ones(len)
}

/// The bytes with which a number of `len` bytes is `number`, as far as there is room for it.
pub(crate) fn written(number: u64, len: u8) -> u64 {
    unordered(number & ones(len), len)
}

fn ones(len: u8) -> u64 {
    (1 << (7 * u32::from(len))) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pads from the function, 3 bytes to the types, sites of 9 bytes: (5, 0x88 long, no pad), (0x1234, 3, 0x77).
    const TABLE: &[u8] = b"\xff\x9b\x0d\x01\x0a\x05\x88\x01\x00\x00\xb4\x24\x03\x77\x02\x7f\x00";

    fn marked(table: &[u8], end: u32) -> Vec<u32> {
        let len = u32::try_from(table.len()).expect("a short table");
        let mut marks = Vec::new();
        sites(&mut Window::new(table, len), (0, end), |at| marks.push(at)).expect("memory can be read");
        marks
    }

    #[test]
    fn sites_are_found_up_to_the_end_of_their_table() {
        assert_eq!(marked(TABLE, 17), [5, 6, 8, 10, 11, 13]);
        assert_eq!(marked(TABLE, 14), [5, 6, 8], "the next table starts within the second");
        for cut in 0..TABLE.len() {
            assert!(marked(&TABLE[..cut], 17).len() <= 6);
        }
    }

    #[test]
    fn tables_of_another_sort_have_no_sites() {
        for (at, byte) in [(0, 0x1b), (3, 0x0b)] {
            let mut table = TABLE.to_vec();
            table[at] = byte;
            assert_eq!(marked(&table, 17), [0; 0]);
        }
    }

    #[test]
    fn a_place_belongs_to_the_table_before_it() {
        let mut tables = Tables::default();
        for (table, function) in [(40, 900), (8, 700), (40, 800)] {
            tables.insert(table, function);
        }
        tables.sort();
        assert_eq!(
            [7, 8, 39, 40, 41].map(|at| tables.function(at)),
            [None, Some(700), Some(700), Some(800), Some(800)]
        );
        assert_eq!(tables.within(0, 60).collect::<Vec<_>>(), [(8, 40), (40, 60)]);
        assert_eq!(tables.within(9, 60).collect::<Vec<_>>(), [(40, 60)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_number_and_back(value in any::<u64>(), len in 1..9_u8, number in any::<u64>()) {
            let value = value & (u64::MAX >> (64 - 8 * u32::from(len)));
            prop_assert_eq!(unordered(ordered(value, len), len), value);
            let number = number & ones(len);
            prop_assert_eq!(plain(written(number, len), len), number);
            prop_assert_eq!(ordered(written(number, len), len), number, "and nothing above it");
        }
    }
}
