//! Whole disks: the partitions of a GPT or MBR, each read as what it is.

#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use std::io;
use std::ops::Range;

use crate::layout::{Form, Layout, Metadata, Owner, Piece};
use crate::read::{Cached, Fields as _, Volume};
use crate::recognise;

/// Most partitions that are looked at.
const MOST: u32 = 128;
/// Kinds of MBR partitions: none, one that covers a GPT, and those that hold more of them.
const EMPTY: u8 = 0;
const PROTECTIVE: u8 = 0xee;
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];

/// Adds what lies in the partitions to `layout`. Says whether there are any.
pub(crate) fn read(image: &mut Cached<'_>, layout: &mut Layout) -> io::Result<bool> {
    let Some(sector) = image.get(0..512)? else { return Ok(false) };
    let Some(entries) = mbr(&sector) else { return Ok(false) };
    let (table, partitions) = if entries.iter().any(|(kind, _)| *kind == PROTECTIVE) {
        match gpt(image, 512)? {
            Some(found) => found,
            None => gpt(image, 4096)?.unwrap_or_default(),
        }
    } else {
        let partitions = entries.iter().zip(1..).map(|((kind, range), number)| {
            if EXTENDED.contains(kind) {
                layout.gap(format!("p{number}: the partitions in an extended one"));
            }
            (number, range.clone())
        });
        (0..512, partitions.filter(|(_, range)| !range.is_empty()).collect())
    };
    let inside = |range: &Range<u64>| range.start < range.end && range.end <= image.len();
    let partitions: Vec<_> = partitions.into_iter().filter(|(_, range)| inside(range)).collect();
    if partitions.is_empty() {
        return Ok(false);
    }
    layout.kinds.push(if table.end > 512 { "GPT" } else { "MBR" }.to_owned());
    layout.claim(table, Owner::Metadata(Metadata::Partitions));
    for (number, range) in partitions {
        let prefix = format!("p{number}:");
        let mut volume = Volume::new(image, range.clone());
        if recognise::read(&mut volume, &prefix, layout)? {
            continue;
        }
        let kind = recognise::name(&mut volume)?.unwrap_or("not recognised");
        layout.kinds.push(format!("{prefix}{kind}"));
        let len = volume.len();
        if let Some(file) = layout.add_file(format!("partition {number} ({kind})"), len, 0, 0) {
            layout.add_piece(Piece { form: Form::Stored, image: range.clone(), skip: 0, len });
            layout.claim(range, Owner::File(file));
        }
    }
    Ok(true)
}

/// The four partitions of an MBR; `None` if there is none.
fn mbr(sector: &[u8]) -> Option<Vec<(u8, Range<u64>)>> {
    let entries = sector.get(446..510).filter(|_| sector.u16(510) == Some(0xaa55))?;
    let decode = |entry: &[u8]| {
        let kind = entry.u8(4)?;
        let start = u64::from(entry.u32(8)?).checked_mul(512)?;
        let end = start.checked_add(u64::from(entry.u32(12)?).checked_mul(512)?)?;
        // The first byte says whether to boot from it; anything else is the program of a boot sector.
        let sane = matches!(entry.u8(0)?, 0 | 0x80);
        sane.then_some((kind, if kind == EMPTY { 0..0 } else { start..end }))
    };
    entries.chunks_exact(16).map(decode).collect()
}

/// The bytes of a table, and the partitions with their numbers.
type Partitions = (Range<u64>, Vec<(u32, Range<u64>)>);

/// The partitions of a GPT on a disk with sectors of this size.
fn gpt(image: &mut Cached<'_>, sector: u64) -> io::Result<Option<Partitions>> {
    let Some(header) = image.get(sector..sector.saturating_mul(2))? else { return Ok(None) };
    let fields = (header.u64(72), header.u32(80), header.u32(84));
    let (Some(entries), Some(count), Some(size)) = fields else { return Ok(None) };
    if !header.starts_with(b"EFI PART") || !(128..=4096).contains(&size) {
        return Ok(None);
    }
    let start = entries.saturating_mul(sector);
    let mut found = Vec::new();
    for index in 0..count.min(MOST) {
        let at = start.saturating_add(u64::from(index).saturating_mul(u64::from(size)));
        let Some(entry) = image.get(at..at.saturating_add(u64::from(size)))? else { break };
        let (Some(first), Some(last)) = (entry.u64(32), entry.u64(40)) else { break };
        if entry.u64(0) != Some(0) || entry.u64(8) != Some(0) {
            let end = last.saturating_add(1).saturating_mul(sector);
            found.push((index.saturating_add(1), first.saturating_mul(sector)..end));
        }
    }
    let end = start.saturating_add(u64::from(count).saturating_mul(u64::from(size)));
    Ok(Some((0..end.min(image.len()), found)))
}
