//! ELF files of 64 bits, little-endian, wherever they lie in a byte string.

use crate::layout::{Kind, Load, MOST_PARTS, Range};

/// What of a program matters for its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// Where the file starts.
    pub(crate) start: u32,
    /// Its loaded segments, each with its permissions.
    pub(crate) loads: Vec<(u32, Load)>,
    /// Where addresses lie that start out as zeros.
    pub(crate) zeros: Option<Load>,
    pub(crate) ranges: Vec<Range>,
}

const FILE_HEADER_LEN: usize = 64;
const SECTION_HEADER_LEN: usize = 64;
const PROGRAM_HEADER_LEN: usize = 56;
const X86_64: u16 = 62;
const AARCH64: u16 = 183;

/// All programs in `bytes`, in order. A file of which headers or contents are not all there is left out.
pub(crate) fn find(bytes: &[u8]) -> Vec<Program> {
    const MAGIC: &[u8] = b"\x7fELF\x02\x01\x01";
    let mut programs: Vec<Program> = Vec::new();
    let mut end = 0;
    // Files in archives and file systems start at multiples of much more than this.
    for start in (0..bytes.len()).step_by(4) {
        if start >= end
            && bytes[start..].starts_with(MAGIC)
            && let Some(program) = read(bytes, start)
        {
            end = program.ranges.iter().map(|range| range.end() as usize).max().unwrap_or(start);
            programs.push(program);
        }
    }
    programs
}

/// A field of `N` bytes at `at`.
fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    field(bytes, at).map(u16::from_le_bytes)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    field(bytes, at).map(u32::from_le_bytes)
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    field(bytes, at).map(u64::from_le_bytes)
}

/// A long that counts bytes of a file in memory.
fn count(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(long(bytes, at)?).ok()
}

fn read(bytes: &[u8], start: usize) -> Option<Program> {
    let file = &bytes[start..];
    let code = match half(file, 18)? {
        X86_64 => Kind::Code,
        AARCH64 => Kind::Code64,
        _ => return None,
    };
    let mut program =
        Program { start: u32::try_from(start).ok()?, loads: Vec::new(), zeros: None, ranges: Vec::new() };
    let headers = headers(file, count(file, 32)?, half(file, 56)?, PROGRAM_HEADER_LEN)?;
    for header in headers.chunks_exact(PROGRAM_HEADER_LEN) {
        program.load(file.len(), header)?;
    }
    program.loads.sort_by_key(|(_, load)| load.address);
    let headers = self::headers(file, count(file, 40)?, half(file, 60)?, SECTION_HEADER_LEN)?;
    let names = headers.chunks_exact(SECTION_HEADER_LEN).nth(usize::from(half(file, 62)?))?;
    let names = file.get(count(names, 24)?..)?;
    for header in headers.chunks_exact(SECTION_HEADER_LEN) {
        program.section(file.len(), header, names, code)?;
    }
    program.ranges.sort_by_key(|range| range.start);
    let apart = program.ranges.windows(2).all(|pair| pair[0].end() <= pair[1].start);
    (apart
        && !program.loads.is_empty()
        && !program.ranges.is_empty()
        && program.ranges.len() <= MOST_PARTS
        && program.loads.len() < MOST_PARTS)
        .then_some(program)
}

fn headers(file: &[u8], at: usize, number: u16, len: usize) -> Option<&[u8]> {
    if at < FILE_HEADER_LEN {
        return None;
    }
    file.get(at..)?.get(..usize::from(number) * len)
}

impl Program {
    /// Takes note of a program header.
    fn load(&mut self, file_len: usize, header: &[u8]) -> Option<()> {
        const LOAD: u32 = 1;
        if word(header, 0)? != LOAD {
            return Some(());
        }
        let (offset, len) = (count(header, 8)?, count(header, 32)?);
        if offset.checked_add(len)? > file_len {
            return None;
        }
        let start = self.start.checked_add(u32::try_from(offset).ok()?)?;
        let load = Load { start, len: u32::try_from(len).ok()?, address: long(header, 16)? };
        self.loads.push((word(header, 4)?, load));
        Some(())
    }

    /// Takes note of a section header.
    fn section(&mut self, file_len: usize, header: &[u8], names: &[u8], code: Kind) -> Option<()> {
        const WRITE: u64 = 1;
        const ALLOC: u64 = 2;
        const EXECUTE: u64 = 4;
        const THREAD: u64 = 0x400;
        let (kind, flags) = (word(header, 4)?, long(header, 8)?);
        let (address, offset, len) = (long(header, 16)?, count(header, 24)?, count(header, 32)?);
        let name = names.get(word(header, 0)? as usize..)?;
        let kind = match kind {
            // Bytes of the program's own.
            1 if flags & EXECUTE != 0 => code,
            1 if name.starts_with(b".eh_frame_hdr\0") => Kind::UnwindIndex,
            1 | 0x7000_0001 if name.starts_with(b".eh_frame\0") => Kind::Unwind,
            1 if name.starts_with(b".rodata") => Kind::Tables,
            1 if flags & (WRITE | ALLOC) == WRITE | ALLOC => Kind::Words,
            // Symbols, relocations, the dynamic section, lists of functions.
            2 | 4 | 6 | 11 | 14 | 15 => Kind::Words,
            8 if flags & (ALLOC | THREAD) == ALLOC => {
                self.zeros = Some(Load { start: 0, len: u32::try_from(len).ok()?, address });
                return Some(());
            }
            _ => return Some(()),
        };
        if offset.checked_add(len)? > file_len {
            return None;
        }
        if len > 0 {
            let start = self.start.checked_add(u32::try_from(offset).ok()?)?;
            self.ranges.push(Range { start, len: u32::try_from(len).ok()?, kind });
        }
        Some(())
    }
}
