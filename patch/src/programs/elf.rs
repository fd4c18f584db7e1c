//! ELF files, little-endian, wherever they lie in a byte string.

use super::class::{Class, machine, word};
use super::sets;
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

const X86_64: u16 = 62;
const AARCH64: u16 = 183;
const ARM: u16 = 40;
const RISCV: u16 = 243;

/// All programs in `bytes`, in order. A file of which headers or contents are not all there is left out.
pub(crate) fn find(bytes: &[u8]) -> Vec<Program> {
    let mut programs: Vec<Program> = Vec::new();
    let mut end = 0;
    // Files in archives and file systems start at multiples of much more than this.
    for start in (0..bytes.len()).step_by(4) {
        if start >= end
            && let Some(class) = Class::of(&bytes[start..])
            && let Some(program) = read(bytes, start, class)
        {
            end = program.ranges.iter().map(|range| range.end() as usize).max().unwrap_or(start);
            programs.push(program);
        }
    }
    programs
}

fn read(bytes: &[u8], start: usize, class: &Class) -> Option<Program> {
    let file = &bytes[start..];
    let is_wide = class.is_wide();
    let code = match (machine(file)?, is_wide) {
        (X86_64, true) => Kind::Code,
        (AARCH64, true) => Kind::Code64,
        (RISCV, true) => Kind::RiscV,
        // Or Thumb, section by section.
        (ARM, false) => Kind::Arm,
        _ => return None,
    };
    let mut program =
        Program { start: u32::try_from(start).ok()?, loads: Vec::new(), zeros: None, ranges: Vec::new() };
    for header in class.program_headers(file)? {
        program.load(file.len(), header, class)?;
    }
    program.loads.sort_by_key(|(_, load)| load.address);
    let names = class.section_names(file)?;
    for header in class.section_headers(file)? {
        program.section(file, header, names, (class, code))?;
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

impl Program {
    /// Takes note of a program header.
    fn load(&mut self, file_len: usize, header: &[u8], class: &Class) -> Option<()> {
        const LOAD: u32 = 1;
        if word(header, 0)? != LOAD {
            return Some(());
        }
        let (offset, len) = (class.count(header, class.load_offset)?, class.count(header, class.load_len)?);
        if offset.checked_add(len)? > file_len {
            return None;
        }
        let start = self.start.checked_add(u32::try_from(offset).ok()?)?;
        let load =
            Load { start, len: u32::try_from(len).ok()?, address: class.long(header, class.load_address)? };
        self.loads.push((word(header, class.load_flags)?, load));
        Some(())
    }

    /// Takes note of a section header.
    fn section(
        &mut self,
        file: &[u8],
        header: &[u8],
        names: &[u8],
        (class, code): (&Class, Kind),
    ) -> Option<()> {
        const WRITE: u64 = 1;
        const ALLOC: u64 = 2;
        const EXECUTE: u64 = 4;
        const THREAD: u64 = 0x400;
        let (kind, flags) = (word(header, 4)?, class.long(header, class.section_flags)?);
        let address = class.long(header, class.section_address)?;
        let (offset, len) = (class.section_offset(header)?, class.count(header, class.section_len)?);
        let name = names.get(word(header, 0)? as usize..)?;
        let words = if class.is_wide() { Kind::Words } else { Kind::Words32 };
        let mut kind = match kind {
            // Bytes of the program's own.
            1 if flags & EXECUTE != 0 => code,
            1 if name.starts_with(b".eh_frame_hdr\0") => Kind::UnwindIndex,
            1 | 0x7000_0001 if name.starts_with(b".eh_frame\0") => Kind::Unwind,
            1 if name.starts_with(b".rodata") => Kind::Tables,
            1 if name.starts_with(b".gcc_except_table") => Kind::CallSites,
            0x7000_0001 if name.starts_with(b".ARM.exidx\0") => Kind::ExceptionIndex,
            1 if flags & (WRITE | ALLOC) == WRITE | ALLOC => words,
            // Symbols and relocations; in files of 64 bits they are words of which some are addresses.
            2 | 11 if !class.is_wide() => Kind::Symbols32,
            9 if !class.is_wide() => Kind::Relocations32,
            // Symbols, relocations, the dynamic section, lists of functions.
            2 | 4 | 6 | 11 | 14 | 15 => words,
            8 if flags & (ALLOC | THREAD) == ALLOC => {
                self.zeros = Some(Load { start: 0, len: u32::try_from(len).ok()?, address });
                return Some(());
            }
            _ => return Some(()),
        };
        let bytes = file.get(offset..)?.get(..len)?;
        if kind == Kind::Arm && !sets::is_a32(bytes) {
            kind = Kind::Thumb;
        }
        if len > 0 {
            let start = self.start.checked_add(u32::try_from(offset).ok()?)?;
            self.ranges.push(Range { start, len: u32::try_from(len).ok()?, kind });
        }
        Some(())
    }
}
