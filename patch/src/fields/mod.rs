//! Finds the fields of a base that hold addresses.
//!
//! Only the base is searched, which writer and reader both have, so what is found needs neither to be right nor to be
//! told: a field that is none costs a few bits.

mod aarch64;
mod arm;
mod instruction;
mod literals;
mod riscv;
mod scatter;
mod sites;
mod unwind;
mod window;
mod x86;

use std::io;

use crate::base::Base;
use crate::layout::{Kind, Layout, Module, Range};
use crate::marks::Marks;
pub(crate) use instruction::{Instruction, NUMBERS, Part};
pub(crate) use literals::Literal;
use literals::{Literals, Loads};
pub(crate) use sites::{Site, ordered, plain, unordered, written};
use window::Window;

/// The places of all fields, and, as they are multiples of four, the quarters of those where jump tables start or
/// literals are.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) marks: Marks,
    tables: Marks,
    literals: Literals,
    sites: sites::Tables,
}

impl Fields {
    /// Searches the ranges of `layout` in a base of `base_len` bytes.
    pub(crate) fn find<B: Base + ?Sized>(base: &B, base_len: u32, layout: &Layout) -> io::Result<Self> {
        let mut search = Search {
            window: Window::new(base, base_len),
            marks: Marks::new(base_len),
            tables: Marks::new(if layout.modules.is_empty() { 0 } else { base_len.div_ceil(4) }),
            literals: Literals::default(),
            sites: sites::Tables::default(),
        };
        for module in &layout.modules {
            // Tables come last: others say where they start.
            let is_table = |range: &&Range| matches!(range.kind, Kind::Tables | Kind::CallSites);
            let (tables, others): (Vec<&Range>, _) = module.ranges.iter().partition(is_table);
            for range in others {
                search.range(module, range)?;
            }
            search.sites.sort();
            for range in tables {
                search.range(module, range)?;
            }
        }
        search.literals.sort();
        let Search { marks, tables, literals, sites, .. } = search;
        Ok(Self { marks, tables, literals, sites })
    }

    /// The literal at `at`, if one with an address is there.
    pub(crate) fn literal(&self, at: u32) -> Option<Literal> {
        if self.is_table(at) { self.literals.find(at) } else { None }
    }

    /// The start of the function whose table of call sites `at` is in.
    pub(crate) fn function(&self, at: u32) -> Option<u32> {
        self.sites.function(at)
    }

    /// Whether a call site starts at the mark `at`, in a range of them.
    pub(crate) fn is_site(&self, at: u32) -> bool {
        self.marks.contains(at + 1) && !at.checked_sub(1).is_some_and(|before| self.marks.contains(before))
    }

    /// Whether a jump table starts at `at`.
    pub(crate) fn is_table(&self, at: u32) -> bool {
        at.is_multiple_of(4) && self.tables.contains(at / 4)
    }
}

struct Search<'a, B: ?Sized> {
    window: Window<'a, B>,
    marks: Marks,
    tables: Marks,
    literals: Literals,
    sites: sites::Tables,
}

impl<B: Base + ?Sized> Search<'_, B> {
    fn range(&mut self, module: &Module, range: &Range) -> io::Result<()> {
        match range.kind {
            Kind::Code => self.code(module, range),
            Kind::Code64 => self.code64(range),
            Kind::Words => self.words(module, range),
            Kind::Unwind => self.unwind(module, range),
            Kind::UnwindIndex => {
                for at in (range.start..range.end()).step_by(4).skip(3).filter(|at| range.end() - at >= 4) {
                    self.marks.insert(at);
                }
                Ok(())
            }
            Kind::Tables => self.jump_tables(module, range),
            Kind::Arm => self.arm(module, range, arm::Set::A32),
            Kind::Thumb => self.arm(module, range, arm::Set::Thumb),
            Kind::Words32 => self.words32(module, range, 4, 0),
            Kind::Symbols32 => self.words32(module, range, 16, 4),
            Kind::Relocations32 => self.words32(module, range, 8, 0),
            Kind::ExceptionIndex => self.exception_index(range),
            Kind::RiscV => self.riscv(module, range),
            Kind::CallSites => {
                for table in self.sites.within(range.start, range.end()) {
                    sites::sites(&mut self.window, table, |at| self.marks.insert(at))?;
                }
                Ok(())
            }
        }
    }

    /// The records of functions, which tell whose tables of call sites are where.
    fn unwind(&mut self, module: &Module, range: &Range) -> io::Result<()> {
        let place = |(field, ahead): (u32, u32)| {
            let ahead = i64::from(ahead.cast_signed()).cast_unsigned();
            module.base_of(module.base_address(field).wrapping_add(ahead))
        };
        let tell = |function: &unwind::Function| {
            if let (Some(start), Some(table)) = (place(function.start), place(function.pads)) {
                self.sites.insert(table, start);
            }
        };
        unwind::records(&mut self.window, range, |at| self.marks.insert(at), tell)
    }

    /// One instruction after the other, anew from each so many bytes of the range: several such lanes are read in turns,
    /// because the length of an instruction is waited for.
    fn code(&mut self, module: &Module, range: &Range) -> io::Result<()> {
        const LANE: u32 = 1 << 14;
        /// More than an instruction has.
        const AHEAD: u32 = 32;
        for from in (range.start..range.end()).step_by(4 << LANE.ilog2()) {
            let bytes = self.window.at(from, 4 * LANE + AHEAD)?;
            let mut lanes = [0, 1, 2, 3].map(|lane| from.saturating_add(lane * LANE).min(range.end()));
            let ends = lanes.map(|start| start.saturating_add(LANE).min(range.end()));
            while lanes != ends {
                for (at, end) in lanes.iter_mut().zip(ends) {
                    if *at >= end {
                        *at = end;
                        continue;
                    }
                    let rest = bytes.get((*at - from) as usize..).unwrap_or_default();
                    let read = x86::read(rest);
                    let field = *at + u32::from(read.field);
                    let fits = range.end() - field.min(range.end()) >= 4;
                    self.marks.insert_if(field, read.field != 0 && fits);
                    if read.is_lea && fits {
                        let ahead = rest.get(usize::from(read.len) - 4..).and_then(<[u8]>::first_chunk);
                        let ahead = ahead.map_or(0, |bytes| i32::from_le_bytes(*bytes));
                        let after = module.base_address(field).wrapping_add(4);
                        let address = after.wrapping_add(i64::from(ahead).cast_unsigned());
                        if let Some(table) = module.base_of(address).filter(|table| table % 4 == 0) {
                            self.tables.insert(table / 4);
                        }
                    }
                    *at += u32::from(read.len);
                }
            }
        }
        Ok(())
    }

    /// One instruction of four bytes after the other.
    fn code64(&mut self, range: &Range) -> io::Result<()> {
        let mut pairs = aarch64::Pairs::default();
        for at in (range.start..range.end()).step_by(4).filter(|at| range.end() - at >= 4) {
            if pairs.is_field(self.window.word(at)?) {
                self.marks.insert(at);
            }
        }
        Ok(())
    }

    /// Aligned words whose value is an address that the base has.
    fn words(&mut self, module: &Module, range: &Range) -> io::Result<()> {
        for at in (range.start..range.end()).step_by(8).filter(|at| range.end() - at >= 8) {
            let word = self.window.long(at)?;
            if module.is_address(word) {
                self.marks.insert(at);
            }
        }
        Ok(())
    }

    /// One word in each so many bytes, `ahead` of their start, whose value is an address that the base has.
    fn words32(&mut self, module: &Module, range: &Range, every: usize, ahead: u32) -> io::Result<()> {
        for at in (range.start + ahead..range.end()).step_by(every).filter(|at| range.end() - at >= 4) {
            if module.is_address(u64::from(self.window.word(at)?)) {
                self.marks.insert(at);
            }
        }
        Ok(())
    }

    /// Pairs of words: where a function is, and where what unwinds it, unless that is said right there.
    fn exception_index(&mut self, range: &Range) -> io::Result<()> {
        const SAID_HERE: u32 = 1 << 31;
        const CANNOT_UNWIND: u32 = 1;
        for at in (range.start..range.end()).step_by(8).filter(|at| range.end() - at >= 8) {
            self.marks.insert(at);
            let table = self.window.word(at + 4)?;
            if table & SAID_HERE == 0 && table != CANNOT_UNWIND {
                self.marks.insert(at + 4);
            }
        }
        Ok(())
    }

    /// One instruction of 32-bit ARM after the other, but what was found to be a literal.
    fn arm(&mut self, module: &Module, range: &Range, set: arm::Set) -> io::Result<()> {
        let mut loads = Loads::new(set);
        // Only where it is not moved when it is loaded does a program hold its addresses as they are.
        let is_fixed = module.segments.first().is_some_and(|first| first.base.address != 0);
        let mut at = range.start;
        while range.end() - at >= 4 {
            if at.is_multiple_of(4) && self.tables.contains(at / 4) {
                at += 4;
                continue;
            }
            let word = self.window.word(at)?;
            let is_here =
                |place: u32| place >= range.start && place.is_multiple_of(4) && place + 4 <= range.end();
            if set.form(word).is_some() {
                self.marks.insert(at);
            } else if let Some(literal) = loads.load(word, at).filter(|&literal| is_here(literal)) {
                self.tables.insert(literal / 4);
                if is_fixed && module.is_address(u64::from(self.window.word(literal)?)) {
                    self.literal(literal, Literal::Address);
                }
            } else if let Some((literal, anchor)) =
                loads.add(word, at).filter(|&(literal, _)| is_here(literal))
            {
                let ahead = i64::from(self.window.word(literal)?.cast_signed()).cast_unsigned();
                if module.is_address(module.base_address(anchor).wrapping_add(ahead)) {
                    self.literal(literal, Literal::From(anchor));
                }
            }
            at += set.len(word);
        }
        Ok(())
    }

    fn literal(&mut self, at: u32, literal: Literal) {
        if self.literals.insert(at, literal) {
            self.marks.insert(at);
        }
    }

    /// One instruction of RISC-V after the other. The second byte of a field of two is marked, too.
    fn riscv(&mut self, module: &Module, range: &Range) -> io::Result<()> {
        let mut pairs = riscv::Pairs::default();
        let mut at = range.start;
        while range.end() - at >= 4 {
            let word = self.window.word(at)?;
            let len = riscv::len(word);
            match pairs.see(word, at) {
                riscv::Seen::Other => {}
                seen => {
                    self.marks.insert(at);
                    if len == 2 {
                        self.marks.insert(at + 1);
                    }
                    if let riscv::Seen::Taken(high, distance) = seen {
                        let address = module.base_address(high).wrapping_add(distance);
                        if let Some(table) = module.base_of(address).filter(|table| table % 4 == 0) {
                            self.tables.insert(table / 4);
                        }
                    }
                }
            }
            at += len;
        }
        Ok(())
    }

    /// From each start that code mentions: four bytes at a time that count from the start to code.
    fn jump_tables(&mut self, module: &Module, range: &Range) -> io::Result<()> {
        let (mut from, last) = (range.start.div_ceil(4), range.end() / 4);
        while let Some(start) = self.tables.next(from, last) {
            from = start + 1;
            let end = 4 * self.tables.next(from, last).unwrap_or(last);
            let start = 4 * start;
            let address = module.base_address(start);
            for at in (start..end).step_by(4).filter(|at| end - at >= 4) {
                let ahead = self.window.word(at)?.cast_signed();
                let to = address.wrapping_add(i64::from(ahead).cast_unsigned());
                let kind = module.base_of(to).and_then(|to| module.kind_at(to));
                if !matches!(kind, Some(Kind::Code | Kind::RiscV)) {
                    break;
                }
                self.marks.insert(at);
            }
        }
        Ok(())
    }
}
