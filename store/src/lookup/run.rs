//! One sorted file of chunks and their places.
//!
//! ```text
//! chunkrun ‖ version u32 ‖ packs u32 ‖ lines u64 ‖ (name 32, length u64) per pack ‖ H8 of all this ‖ lines
//! line: name 32 ‖ pack ‖ frame offset ‖ stored ‖ plain × 2 + raw ‖ first ‖ length ‖ H4 of the line (7 × u32)
//! ```
//! The file is mapped, not read: a lookup touches a few pages. It is a cache that only this module writes, under
//! a new name each time. A damaged line is a chunk that is not found.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use chunk_chunker::Name;
use memmap2::Mmap;

use super::{PackSlot, Place};
use crate::frame::Frame;
use crate::map;
use crate::pack::PackName;

const MAGIC: &[u8; 8] = b"chunkrun";
const VERSION: u32 = 1;
const EXTENSION: &str = "run";
const HEADER_LEN: usize = 24;
const PACK_LEN: usize = 40;
const CHECK_LEN: usize = 8;
const LINE_LEN: usize = 60;
/// The part of a line that its check covers.
const CHECKED_LEN: usize = LINE_LEN - 4;

/// A chunk and its place.
pub(super) type Line = (Name, Place);

/// A run that is open for searching.
#[derive(Debug)]
pub(super) struct Run {
    path: PathBuf,
    map: Mmap,
    lines_at: usize,
    lines: usize,
    /// The slot of each pack of the file; none if the pack is gone.
    slots: Vec<Option<PackSlot>>,
}

/// The runs in a directory.
pub(super) fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == EXTENSION)).collect();
    files.sort_unstable();
    files
}

impl Run {
    /// Opens a run; none if it is not readable or covers no pack that is still there.
    pub(super) fn open(path: PathBuf, slot_of: impl Fn(&PackName, u64) -> Option<PackSlot>) -> Option<Self> {
        let file = File::open(&path).ok()?;
        let map = map::map(&file).ok()?;
        let header = map.get(..HEADER_LEN)?;
        if &header[..8] != MAGIC || read_u32(header, 8) != VERSION {
            return None;
        }
        let packs = read_u32(header, 12) as usize;
        let lines = usize::try_from(u64::from_le_bytes(header[16..24].try_into().ok()?)).ok()?;
        let check_at = HEADER_LEN.checked_add(packs.checked_mul(PACK_LEN)?)?;
        let check = map.get(check_at..check_at.checked_add(CHECK_LEN)?)?;
        if blake3::hash(&map[..check_at]).as_bytes()[..CHECK_LEN] != *check {
            return None;
        }
        let lines_at = check_at + CHECK_LEN;
        if lines_at.checked_add(lines.checked_mul(LINE_LEN)?)? != map.len() {
            return None;
        }
        let slots: Vec<_> = map[HEADER_LEN..check_at]
            .chunks_exact(PACK_LEN)
            .map(|pack| {
                let (name, len) = pack.split_at(32);
                let name = PackName::from_bytes(name.try_into().expect("split at 32"));
                slot_of(&name, u64::from_le_bytes(len.try_into().expect("40 less 32")))
            })
            .collect();
        slots.iter().any(Option::is_some).then_some(Self { path, map, lines_at, lines, slots })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Number of chunks.
    pub(super) fn len(&self) -> usize {
        self.lines
    }

    /// The packs that this run covers.
    pub(super) fn slots(&self) -> impl Iterator<Item = PackSlot> + '_ {
        self.slots.iter().copied().flatten()
    }

    /// Searches by interpolation: names are evenly spread, so a handful of probes finds one in millions.
    pub(super) fn find(&self, name: &Name) -> Option<Place> {
        let wanted = leading(name.as_bytes());
        let (mut low, mut high) = (0, self.lines);
        let (mut least, mut most) = (0u64, u64::MAX);
        while low < high {
            let span = u128::from(most - least) + 1;
            let guess =
                (u128::from(wanted.clamp(least, most) - least) * (high - low) as u128 / span) as usize;
            let probe = low + guess.min(high - low - 1);
            let found = self.line(probe);
            match found[..32].cmp(name.as_bytes()) {
                std::cmp::Ordering::Equal => return self.place(found),
                std::cmp::Ordering::Less => {
                    low = probe + 1;
                    least = leading(found);
                }
                std::cmp::Ordering::Greater => {
                    high = probe;
                    most = leading(found);
                }
            }
        }
        None
    }

    fn line(&self, number: usize) -> &[u8] {
        let at = self.lines_at + number * LINE_LEN;
        &self.map[at..at + LINE_LEN]
    }

    /// The place in a line; none if the line is damaged or its pack is gone.
    fn place(&self, line: &[u8]) -> Option<Place> {
        let (checked, check) = line.split_at(CHECKED_LEN);
        if blake3::hash(checked).as_bytes()[..4] != *check {
            return None;
        }
        let pack = (*self.slots.get(read_u32(line, 32) as usize)?)?;
        let frame = Frame {
            offset: read_u32(line, 36),
            stored_len: read_u32(line, 40),
            plain_len: read_u32(line, 44) >> 1,
            raw: read_u32(line, 44) & 1 == 1,
        };
        Some(Place { pack, frame, first: read_u32(line, 48), len: read_u32(line, 52) })
    }

    fn lines(&self) -> impl Iterator<Item = Line> + '_ {
        (0..self.lines).filter_map(|number| {
            let line = self.line(number);
            let name = Name::from_bytes(line[..32].try_into().expect("a line starts with 32 bytes of name"));
            self.place(line).map(|place| (name, place))
        })
    }
}

/// Writes `lines` (sorted) merged with `runs` to a new file in `directory`.
pub(super) fn write(
    directory: &Path,
    lines: Vec<Line>,
    runs: &[Run],
    name_of: impl Fn(PackSlot) -> Option<(PackName, u64)>,
) -> io::Result<PathBuf> {
    let mut numbers = std::collections::BTreeMap::new();
    for slot in lines.iter().map(|(_, place)| place.pack).chain(runs.iter().flat_map(Run::slots)) {
        numbers.entry(slot).or_insert(0u32);
    }
    // Only packs that are durable under a name can be found again by another process.
    numbers.retain(|slot, _| name_of(*slot).is_some());
    let mut sources: Vec<Box<dyn Iterator<Item = Line> + '_>> = vec![Box::new(lines.into_iter())];
    sources.extend(runs.iter().map(|run| Box::new(run.lines()) as Box<dyn Iterator<Item = Line>>));

    let mut header = Vec::with_capacity(HEADER_LEN + numbers.len() * PACK_LEN + CHECK_LEN);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&u32::try_from(numbers.len()).map_err(io::Error::other)?.to_le_bytes());
    header.extend_from_slice(&0u64.to_le_bytes());
    for (number, (slot, own)) in (0u32..).zip(&mut numbers) {
        *own = number;
        let (name, len) = name_of(*slot).expect("packs without a name were dropped above");
        header.extend_from_slice(name.as_bytes());
        header.extend_from_slice(&len.to_le_bytes());
    }

    let stem = format!("{:016x}", RandomState::new().build_hasher().finish());
    let unfinished = directory.join(format!("{stem}.tmp"));
    let result = (|| {
        let file = File::create_new(&unfinished)?;
        let mut out = BufWriter::with_capacity(1 << 16, &file);
        out.write_all(&header)?;
        out.write_all(&[0; CHECK_LEN])?;
        let mut count = 0u64;
        for (name, place) in merge(sources) {
            let Some(pack) = numbers.get(&place.pack) else { continue };
            let mut line = [0; LINE_LEN];
            line[..32].copy_from_slice(name.as_bytes());
            let frame = place.frame;
            let plain = frame.plain_len << 1 | u32::from(frame.raw);
            let words = [*pack, frame.offset, frame.stored_len, plain, place.first, place.len];
            for (word, field) in words.iter().zip(line[32..CHECKED_LEN].chunks_exact_mut(4)) {
                field.copy_from_slice(&word.to_le_bytes());
            }
            let check = blake3::hash(&line[..CHECKED_LEN]);
            line[CHECKED_LEN..].copy_from_slice(&check.as_bytes()[..4]);
            out.write_all(&line)?;
            count += 1;
        }
        out.flush()?;
        drop(out);
        header[16..24].copy_from_slice(&count.to_le_bytes());
        let check = blake3::hash(&header);
        header.extend_from_slice(&check.as_bytes()[..CHECK_LEN]);
        std::os::unix::fs::FileExt::write_all_at(&file, &header, 0)?;
        file.sync_all()?;
        let path = directory.join(format!("{stem}.{EXTENSION}"));
        fs::rename(&unfinished, &path)?;
        Ok(path)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    result
}

/// Merges sorted sources; of equal names the first source's is kept.
fn merge<'a>(mut sources: Vec<Box<dyn Iterator<Item = Line> + 'a>>) -> impl Iterator<Item = Line> + 'a {
    let mut heads: Vec<Option<Line>> = Vec::new();
    std::iter::from_fn(move || {
        if heads.is_empty() {
            heads = sources.iter_mut().map(Iterator::next).collect();
        }
        let (least, _) = heads.iter().flatten().min_by_key(|(name, _)| *name).copied()?;
        let mut chosen = None;
        for (head, source) in heads.iter_mut().zip(sources.iter_mut()) {
            while head.as_ref().is_some_and(|(name, _)| *name == least) {
                chosen = chosen.or(*head);
                *head = source.next();
            }
        }
        chosen
    })
}

/// The first eight bytes as a number in the order of the names.
fn leading(name: &[u8]) -> u64 {
    name[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
