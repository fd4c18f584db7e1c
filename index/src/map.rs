//! The map of a leaf: where its stored entries lie, as runs of entries that follow each other in one frame
//! (FORMAT 4.3).

use crate::cursor::Cursor;
use crate::digest::{put_h4, split_h4};
use crate::entry::Entry;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::location::{FrameRef, Location, expect_in_pack};
use crate::locator::Locator;
use crate::varint;

/// Appends the map of entries with these lengths and locations.
pub(crate) fn put(out: &mut Vec<u8>, entries: &[Entry], locations: &[Option<Location>]) {
    let start = out.len();
    let runs = join_runs(entries, locations);
    varint::put(out, u64::try_from(runs.len()).expect("a leaf is small"));
    let mut previous: Option<Location> = None;
    for (count, run) in runs {
        let next = previous.is_some_and(|previous| follows(&previous, run.pack, run.frame.offset));
        put_flagged(out, count, next);
        if !next {
            varint::put(out, u64::from(run.pack));
            varint::put(out, u64::from(run.frame.offset));
        }
        varint::put(out, u64::from(run.frame.stored_len));
        put_flagged(out, u64::from(run.frame.plain_len), run.frame.raw);
        varint::put(out, u64::from(run.first));
        previous = Some(run);
    }
    put_h4(out, start);
}

/// The runs, each with its number of entries and the place of the first. Zero chunks have no place and do not
/// interrupt a run.
fn join_runs(entries: &[Entry], locations: &[Option<Location>]) -> Vec<(u64, Location)> {
    let mut runs: Vec<(u64, Location)> = Vec::new();
    let mut continued = None;
    for (entry, location) in entries.iter().zip(locations) {
        let Some(location) = *location else { continue };
        match runs.last_mut() {
            Some((count, _)) if continued == Some(location) => *count = count.saturating_add(1),
            _ => runs.push((1, location)),
        }
        let first = location.first.saturating_add(entry.len);
        continued = Some(Location { first, ..location });
    }
    runs
}

/// Whether the frame at `offset` of `pack` is the one after that of `previous`.
fn follows(previous: &Location, pack: u32, offset: u32) -> bool {
    previous.pack == pack && previous.frame.end() == u64::from(offset)
}

fn put_flagged(out: &mut Vec<u8>, value: u64, flag: bool) {
    varint::put(out, value.saturating_mul(2).saturating_add(u64::from(flag)));
}

/// Replaces `locations` by those that the map `bytes` gives `entries`. `at` is the map's place in the file.
///
/// Refuses runs that do not cover the stored entries exactly, that leave frame or pack, or that have a shorter
/// form. The check at the map's end is the caller's business.
pub(crate) fn parse(
    bytes: &[u8],
    at: u64,
    entries: &[Entry],
    locator: &Locator,
    locations: &mut Vec<Option<Location>>,
) -> Result<(), DecodeError> {
    let (body, _) = split_h4(bytes, at)?;
    let mut cursor = Cursor::new(body, at);
    let stored = entries.iter().filter(|e| !e.short.is_zero()).count();
    let stored = u64::try_from(stored).expect("a leaf is small");
    let mut covered = 0_u64;
    let mut uncovered = entries.iter();
    // Where the run before ended: the place at which a new run would only continue it.
    let mut previous = None;
    locations.clear();
    for _ in 0..cursor.varint()? {
        let start = cursor.clone();
        let (count, run) = parse_run(&mut cursor, previous.as_ref(), locator)?;
        covered = covered.saturating_add(count);
        if covered > stored {
            return Err(start.fail(DecodeErrorKind::Coverage { stored, covered }));
        }
        let mut place = run;
        for _ in 0..count {
            for entry in uncovered.by_ref() {
                if entry.short.is_zero() {
                    locations.push(None);
                    continue;
                }
                locations.push(Some(place));
                place.first =
                    place.end(entry.len).map_err(|cause| start.fail(DecodeErrorKind::Location(cause)))?;
                break;
            }
        }
        previous = Some(place);
    }
    if covered < stored {
        return Err(cursor.fail(DecodeErrorKind::Coverage { stored, covered }));
    }
    locations.resize(entries.len(), None);
    cursor.finish()
}

/// One run: how many entries it covers, and where the first of them lies.
fn parse_run(
    cursor: &mut Cursor<'_>,
    previous: Option<&Location>,
    locator: &Locator,
) -> Result<(u64, Location), DecodeError> {
    let start = cursor.clone();
    let (count, next) = unflag(cursor.varint()?);
    if count == 0 {
        let of = "number of entries in a run";
        return Err(start.fail(DecodeErrorKind::Zero { of }));
    }
    let (pack, offset) = if next {
        let previous = previous.ok_or_else(|| start.fail(DecodeErrorKind::NoPreviousRun))?;
        let offset = u32::try_from(previous.frame.end()).expect("it was found to lie in its pack");
        (previous.pack, offset)
    } else {
        let pack = cursor.varint_u32("number of a pack")?;
        let offset = cursor.varint_u32("offset of a frame")?;
        if previous.is_some_and(|previous| follows(previous, pack, offset)) {
            return Err(start.fail(DecodeErrorKind::RunNotShortest));
        }
        (pack, offset)
    };
    let stored_len = cursor.varint_u32("stored length of a frame")?;
    let plain = cursor.clone();
    let (plain_len, raw) = unflag(cursor.varint()?);
    let plain_len = u32::try_from(plain_len).map_err(|_| {
        plain.fail(DecodeErrorKind::Limit {
            of: "plain length of a frame",
            limit: u64::from(u32::MAX),
            found: plain_len,
        })
    })?;
    let frame = FrameRef { offset, stored_len, plain_len, raw };
    let first = cursor.varint_u32("offset in a frame")?;
    let run = Location { pack, frame, first };
    frame
        .check()
        .and_then(|()| expect_in_pack(pack, frame.end(), locator))
        .map_err(|cause| start.fail(DecodeErrorKind::Location(cause)))?;
    if previous == Some(&run) {
        return Err(start.fail(DecodeErrorKind::RunNotShortest));
    }
    Ok((count, run))
}

/// Takes apart what [`put_flagged`] wrote.
fn unflag(value: u64) -> (u64, bool) {
    (value / 2, value % 2 == 1)
}
