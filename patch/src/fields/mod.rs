//! Finds the fields of a base that hold addresses.
//!
//! Only the base is searched, which writer and reader both have, so what is found needs neither to be right nor to be
//! told: a field that is none costs a few bits.

pub(crate) mod aarch64;
mod unwind;
mod window;
mod x86;

use std::io;

use crate::base::Base;
use crate::layout::{Kind, Layout, Module, Range};
use crate::marks::Marks;
use window::Window;

/// The places of all fields, and, as they are multiples of four, the quarters of those where jump tables start.
#[derive(Debug)]
pub(crate) struct Fields {
    pub(crate) marks: Marks,
    tables: Marks,
}

impl Fields {
    /// Searches the ranges of `layout` in a base of `base_len` bytes.
    pub(crate) fn find<B: Base + ?Sized>(base: &B, base_len: u32, layout: &Layout) -> io::Result<Self> {
        let mut search = Search {
            window: Window::new(base, base_len),
            marks: Marks::new(base_len),
            tables: Marks::new(if layout.modules.is_empty() { 0 } else { base_len.div_ceil(4) }),
        };
        for module in &layout.modules {
            // Jump tables come last: instructions say where they start.
            let (tables, others): (Vec<&Range>, _) =
                module.ranges.iter().partition(|range| range.kind == Kind::Tables);
            for range in others.iter().chain(&tables) {
                search.range(module, range)?;
            }
        }
        Ok(Self { marks: search.marks, tables: search.tables })
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
}

impl<B: Base + ?Sized> Search<'_, B> {
    fn range(&mut self, module: &Module, range: &Range) -> io::Result<()> {
        match range.kind {
            Kind::Code => self.code(module, range),
            Kind::Code64 => self.code64(range),
            Kind::Words => self.words(module, range),
            Kind::Unwind => unwind::records(&mut self.window, range, |at| self.marks.insert(at)),
            Kind::UnwindIndex => {
                for at in (range.start..range.end()).step_by(4).skip(3).filter(|at| range.end() - at >= 4) {
                    self.marks.insert(at);
                }
                Ok(())
            }
            Kind::Tables => self.jump_tables(module, range),
        }
    }

    /// One instruction after the other, from the start of the range.
    fn code(&mut self, module: &Module, range: &Range) -> io::Result<()> {
        /// Instructions are read while at least this much of a piece is left.
        const AHEAD: u32 = 32;
        let mut at = range.start;
        while at < range.end() {
            let bytes = self.window.at(at, AHEAD)?;
            let start = at;
            loop {
                let rest = &bytes[(at - start) as usize..];
                let read = x86::read(rest);
                if let Some(field) = read.field {
                    let field = at + u32::from(field);
                    if range.end().checked_sub(field).is_some_and(|left| left >= 4) {
                        self.marks.insert(field);
                        if read.is_lea {
                            let ahead = rest.get(usize::from(read.len) - 4..).and_then(<[u8]>::first_chunk);
                            let ahead = ahead.map_or(0, |bytes| i32::from_le_bytes(*bytes));
                            let after = module.base_address(field).wrapping_add(4);
                            let address = after.wrapping_add(i64::from(ahead).cast_unsigned());
                            if let Some(table) = module.base_of(address).filter(|table| table % 4 == 0) {
                                self.tables.insert(table / 4);
                            }
                        }
                    }
                }
                at += u32::from(read.len);
                if at >= range.end() || bytes.len() < (at - start + AHEAD) as usize {
                    break;
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
            // Small numbers are more often small numbers.
            if word >= 4096 && module.segment_of(word).is_some() && word < module.end() {
                self.marks.insert(at);
            }
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
                let in_code = module.base_of(to).is_some_and(|to| module.kind_at(to) == Some(Kind::Code));
                if !in_code {
                    break;
                }
                self.marks.insert(at);
            }
        }
        Ok(())
    }
}
