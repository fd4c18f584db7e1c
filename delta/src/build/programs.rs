//! Programs of the target that changed, each with the program of the base that it was.
//!
//! Programs are ELF files for the machines whose addresses are mapped, wherever their bytes lie: files start at a multiple of 512 bytes in every image
//! that holds them whole.

use std::io;
use std::ops::Range;

use chunk_patch::MAX_GROUP;

use super::error::BuildError;
use super::gather::total;
use super::parts::{Part, Source};
use crate::image::Image;

/// Where files start.
const SECTOR: u64 = 512;
/// The same, in memory.
const SECTOR_LEN: usize = 512;
/// Bytes read at a time.
const PIECE: u64 = 1 << 20;
/// A program is encoded as a whole when at least one byte of so many is new.
const ONE_OF: u64 = 16;
/// How far from where its neighbours place it a program of the base may lie.
const AROUND: u64 = 256 << 10;
/// Zeros that are not looked at.
const LONG_ZEROS: u64 = 1 << 20;
/// Shortest copy that says where its neighbours lie.
const NEIGHBOUR: u64 = 4 << 10;

/// A program of the target, and what it was in the base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) target: Range<u64>,
    pub(super) base: Range<u64>,
}

/// The programs of the target that changed and have a counterpart, ascending.
pub(super) fn pairs(
    parts: &[Part],
    (base, base_len): (&dyn Image, u64),
    (target, target_len): (&dyn Image, u64),
) -> Result<Vec<Pair>, BuildError> {
    let found = find(target, target_len, &near_new(parts)).map_err(BuildError::Target)?;
    let changed = found.into_iter().filter(|program| new_within(parts, program) * ONE_OF >= len(program));
    let guesses: Vec<_> = changed.map(|program| (places(parts, &program), program)).collect();
    let windows = guesses
        .iter()
        .flat_map(|(places, _)| places)
        .map(|place| place.saturating_sub(AROUND)..place.saturating_add(AROUND).min(base_len));
    let old = find(base, base_len, &joined(windows.collect())).map_err(BuildError::Base)?;
    let pair = |(places, target): (Vec<u64>, Range<u64>)| {
        let distance = |program: &Range<u64>| {
            let nearest = places.iter().map(|place| place.abs_diff(program.start)).min()?;
            (nearest <= AROUND).then(|| nearest + len(program).abs_diff(len(&target)))
        };
        let candidates = old.iter().filter_map(|program| Some((distance(program)?, program)));
        let (_, base) = candidates.min_by_key(|(distance, _)| *distance)?;
        Some(Pair { base: base.clone(), target })
    };
    Ok(guesses.into_iter().filter_map(pair).collect())
}

/// Where programs with new bytes can lie.
fn near_new(parts: &[Part]) -> Vec<Range<u64>> {
    let new = parts.iter().filter(|part| part.source == Source::New);
    let near = new.map(|part| part.target.start.saturating_sub(u64::from(MAX_GROUP))..part.target.end);
    let mut ranges = Vec::new();
    let mut zeros =
        parts.iter().filter(|part| part.source == Source::Zero && part.len() >= LONG_ZEROS).peekable();
    for range in joined(near.collect()) {
        let mut at = range.start;
        while zeros.next_if(|zero| zero.target.end <= at).is_some() {}
        while let Some(zero) = zeros.peek().filter(|zero| zero.target.start < range.end) {
            if at < zero.target.start {
                ranges.push(at..zero.target.start);
            }
            at = zero.target.end;
            if at > range.end {
                break;
            }
            zeros.next();
        }
        if at < range.end {
            ranges.push(at..range.end);
        }
    }
    ranges
}

/// Bytes of a range that are new.
fn new_within(parts: &[Part], range: &Range<u64>) -> u64 {
    let first = parts.partition_point(|part| part.target.end <= range.start);
    let within = parts[first..].iter().take_while(|part| part.target.start < range.end);
    let new = within.filter(|part| part.source == Source::New);
    new.map(|part| part.target.end.min(range.end) - part.target.start.max(range.start)).sum()
}

/// Where a program would start in the base, if the copies before, in and behind it are right.
fn places(parts: &[Part], program: &Range<u64>) -> Vec<u64> {
    let first = parts.partition_point(|part| part.target.end <= program.start);
    let end = parts.partition_point(|part| part.target.start < program.end);
    let is_copy = |part: &&Part| part.base().is_some() && part.len() >= NEIGHBOUR;
    let before = parts[..first].iter().rev().find(is_copy);
    let longest = parts[first..end].iter().filter(is_copy).max_by_key(|part| part.len());
    let behind = parts[end..].iter().find(is_copy);
    let place = |part: &Part| {
        let base = part.base()?.start;
        Some((base + program.start).saturating_sub(part.target.start))
    };
    let mut places: Vec<u64> = [before, longest, behind].into_iter().flatten().filter_map(place).collect();
    // An image without any copy starts where its base does.
    if places.is_empty() {
        places.push(program.start);
    }
    places
}

/// The programs that start in `ranges` of an image, ascending.
fn find(image: &dyn Image, image_len: u64, ranges: &[Range<u64>]) -> io::Result<Vec<Range<u64>>> {
    let mut found: Vec<Range<u64>> = Vec::new();
    let mut piece = Vec::new();
    for range in ranges {
        let mut at = range.start.next_multiple_of(SECTOR);
        while at < range.end {
            let end = (at + PIECE).min(range.end).next_multiple_of(SECTOR).min(image_len);
            piece.resize(usize::try_from(end.saturating_sub(at)).map_err(io::Error::other)?, 0);
            image.read_at(at, &mut piece)?;
            for (start, sector) in (at..).step_by(SECTOR_LEN).zip(piece.chunks(SECTOR_LEN)) {
                let behind = found.last().is_none_or(|last| last.end <= start);
                if let Some(len) = extent(sector).filter(|len| behind && *len <= image_len - start) {
                    found.push(start..start + len);
                }
            }
            at = end.max(at + 1).next_multiple_of(SECTOR);
        }
    }
    Ok(found)
}

/// What tells the headers of programs of 64 and of 32 bits apart.
#[derive(Clone, Copy)]
struct Class {
    magic: &'static [u8],
    header_len: u64,
    /// Where the header has the offset of the section headers, and where their length and count.
    sections_at: usize,
    sections: usize,
    section_len: u16,
}

const WIDE: Class =
    Class { magic: b"\x7fELF\x02\x01\x01", header_len: 64, sections_at: 40, sections: 58, section_len: 64 };
const NARROW: Class =
    Class { magic: b"\x7fELF\x01\x01\x01", header_len: 52, sections_at: 32, sections: 46, section_len: 40 };

/// Bytes of the program that starts with `sector`, if one does: up to the end of its section headers.
fn extent(sector: &[u8]) -> Option<u64> {
    const MACHINES: [(Class, u16); 4] = [(WIDE, 62), (WIDE, 183), (WIDE, 243), (NARROW, 40)];
    let half = |at: usize| sector.get(at..)?.first_chunk().copied().map(u16::from_le_bytes);
    let machine = half(18)?;
    let (class, _) =
        MACHINES.into_iter().find(|(class, of)| sector.starts_with(class.magic) && *of == machine)?;
    let offset = sector.get(class.sections_at..)?;
    let sections_at = match class.header_len {
        64 => u64::from_le_bytes(*offset.first_chunk()?),
        _ => u64::from(u32::from_le_bytes(*offset.first_chunk()?)),
    };
    let (len, count) = (half(class.sections)?, half(class.sections + 2)?);
    if !matches!(half(16)?, 2 | 3) || len != class.section_len || count == 0 {
        return None;
    }
    // Groups that start with a program keep the next one at a multiple of 4 bytes, where it is found again.
    let end = sections_at.checked_add(u64::from(count) * u64::from(len))?.checked_next_multiple_of(4)?;
    (sections_at >= class.header_len && end <= u64::from(MAX_GROUP)).then_some(end)
}

fn len(range: &Range<u64>) -> u64 {
    total(std::slice::from_ref(range))
}

/// The same ranges ascending, those that overlap or touch as one.
fn joined(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut().filter(|last| range.start <= last.end) {
            Some(last) => last.end = last.end.max(range.end),
            None => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "ranges are meant")]
mod tests {
    use super::*;

    /// The headers of a program of `len` bytes.
    fn program(image: &mut [u8], at: usize, len: u64) {
        let header = &mut image[at..][..64];
        header.fill(0);
        header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        header[16] = 3;
        header[18] = 62;
        header[40..48].copy_from_slice(&(len - 64).to_le_bytes());
        header[58] = 64;
        header[60] = 1;
    }

    fn part(target: Range<u64>, source: Source) -> Part {
        Part { target, source }
    }

    #[test]
    fn a_program_finds_what_it_was_by_its_neighbours() {
        let (mut base, mut target) = (vec![1; 3 << 20], vec![2; 4 << 20]);
        program(&mut base, 512 * 100, 400_000);
        program(&mut base, 512 * 1000, 100_000);
        program(&mut target, 512 * 1500, 404_000);
        let start = 512 * 1500;
        let parts = [
            part(0..start - 1000, Source::New),
            part(start - 1000..start, Source::New),
            part(start..start + 404_000, Source::New),
            part(start + 404_000..4 << 20, Source::Copy(512 * 100 + 400_000)),
        ];
        let found = pairs(&parts, (&&base[..], 3 << 20), (&&target[..], 4 << 20)).expect("readable");
        assert_eq!(found, [Pair { target: start..start + 404_000, base: 51_200..451_200 }]);
    }

    #[test]
    fn what_goes_on_behind_the_image_is_no_program() {
        let mut image = vec![0; 4096];
        program(&mut image, 512, 4096);
        let all = [0..4096];
        assert_eq!(find(&&image[..], 4096, &all).expect("readable"), []);
        program(&mut image, 512, 3000);
        assert_eq!(find(&&image[..], 4096, &all).expect("readable"), [512..3512]);
    }

    #[test]
    fn programs_of_every_machine_are_as_long_as_their_headers_say() {
        let mut sector = vec![0; 512];
        program(&mut sector, 0, 5000);
        for machine in [62, 183, 243] {
            sector[18] = machine;
            assert_eq!(extent(&sector), Some(5000), "machine {machine}");
        }
        sector[18] = 40;
        assert_eq!(extent(&sector), None, "ARM of 64 bits has another number");
        sector.fill(0);
        sector[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
        sector[16] = 2;
        sector[18] = 40;
        sector[32..36].copy_from_slice(&4960_u32.to_le_bytes());
        sector[46] = 40;
        sector[48] = 1;
        assert_eq!(extent(&sector), Some(5000));
        sector[18] = 62;
        assert_eq!(extent(&sector), None, "no machine of 32 bits has this number");
    }
}
