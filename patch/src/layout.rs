//! Where programs lie in base and target, and at which addresses their bytes are loaded.
//!
//! A layout is arithmetic that the writer found useful and the reader takes as it is: no reader looks for programs.

use crate::coder::{Bit, Coder, Number, Signed};
use crate::error::DecodeError;

/// What a range of a program consists of, and so where its references are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Instructions of x86-64.
    Code,
    /// Instructions of `AArch64`.
    Code64,
    /// Words of 8 bytes, some of them addresses.
    Words,
    /// Records as in `.eh_frame`.
    Unwind,
    /// The table of `.eh_frame_hdr`.
    UnwindIndex,
    /// Constants among which are jump tables that code refers to.
    Tables,
    /// Instructions of 32-bit ARM, those of four bytes.
    Arm,
    /// Instructions of 32-bit ARM, those of two and four bytes.
    Thumb,
    /// Words of 4 bytes, some of them addresses.
    Words32,
    /// Records of 16 bytes, with an address in the second word of four.
    Symbols32,
    /// Records of 8 bytes that start with an address of four.
    Relocations32,
    /// The records of `.ARM.exidx`.
    ExceptionIndex,
    /// Instructions of RISC-V.
    RiscV,
    /// The tables of `.gcc_except_table`.
    CallSites,
}

impl Kind {
    const ALL: [Self; 14] = [
        Self::Code,
        Self::Code64,
        Self::Words,
        Self::Unwind,
        Self::UnwindIndex,
        Self::Tables,
        Self::Arm,
        Self::Thumb,
        Self::Words32,
        Self::Symbols32,
        Self::Relocations32,
        Self::ExceptionIndex,
        Self::RiscV,
        Self::CallSites,
    ];

    fn number(self) -> u64 {
        Self::ALL.iter().zip(0..).find(|(kind, _)| **kind == self).map_or(0, |(_, number)| number)
    }

    fn from_number(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// Bytes that are loaded together, in the base and in the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) base: Load,
    pub(crate) target: Load,
    /// Whether it only takes up addresses: no byte of base and target is loaded there.
    pub(crate) is_bare: bool,
}

/// Bytes `start..start + len`, loaded at `address`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) start: u32,
    pub(crate) len: u32,
    pub(crate) address: u64,
}

/// A range of the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: u32,
    pub(crate) len: u32,
    pub(crate) kind: Kind,
}

impl Range {
    pub(crate) fn end(&self) -> u32 {
        self.start + self.len
    }
}

/// A program in the base and what became of it in the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Module {
    /// In the order of base addresses.
    pub(crate) segments: Vec<Segment>,
    /// In the order of the base, apart from each other.
    pub(crate) ranges: Vec<Range>,
}

/// All programs of a group. The ranges of each lie before those of the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) modules: Vec<Module>,
}

impl Layout {
    /// Whether both say the same of the base, whatever they say of the target.
    pub(crate) fn is_alike_in_base(&self, other: &Self) -> bool {
        let segments = |module: &Module| -> Vec<(Load, bool)> {
            module.segments.iter().map(|segment| (segment.base, segment.is_bare)).collect()
        };
        let is_alike =
            |(one, two): (&Module, &Module)| one.ranges == two.ranges && segments(one) == segments(two);
        self.modules.len() == other.modules.len() && self.modules.iter().zip(&other.modules).all(is_alike)
    }
}

/// Most modules in a layout, most segments and ranges in a module.
pub(crate) const MOST_MODULES: usize = 1024;
pub(crate) const MOST_PARTS: usize = 32;

impl Module {
    /// The place in the base of what is loaded at `address`.
    pub(crate) fn base_of(&self, address: u64) -> Option<u32> {
        let segment = self.segment_of(address).filter(|segment| !segment.is_bare)?;
        let ahead = u32::try_from(address - segment.base.address).ok()?;
        if ahead < segment.base.len { segment.base.start.checked_add(ahead) } else { None }
    }

    /// The last segment that starts at or before `address` in the base.
    pub(crate) fn segment_of(&self, address: u64) -> Option<&Segment> {
        let count = self.segments.partition_point(|segment| segment.base.address <= address);
        self.segments.get(count.checked_sub(1)?)
    }

    /// Whether `value` looks like an address: small numbers are more often small numbers.
    pub(crate) fn is_address(&self, value: u64) -> bool {
        value >= 4096 && self.segment_of(value).is_some() && value < self.end()
    }

    /// The address behind all segments.
    fn end(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| segment.base.address.saturating_add(u64::from(segment.base.len)))
            .max()
            .unwrap_or(0)
    }

    /// What byte `at` of the base is part of.
    pub(crate) fn kind_at(&self, at: u32) -> Option<Kind> {
        let count = self.ranges.partition_point(|range| range.start <= at);
        self.ranges.get(count.checked_sub(1)?).filter(|range| at < range.end()).map(|range| range.kind)
    }

    /// The address of byte `at` of the base.
    pub(crate) fn base_address(&self, at: u32) -> u64 {
        address(self.loaded().map(|segment| &segment.base), i64::from(at))
    }

    /// The address of byte `at` of the target, which may lie outside of it.
    pub(crate) fn target_address(&self, at: i64) -> u64 {
        address(self.loaded().map(|segment| &segment.target), at)
    }

    fn loaded(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| !segment.is_bare)
    }
}

/// The address at which byte `at` is loaded, counted from the last load that starts at or before it, or else from the
/// first.
fn address<'a>(mut loads: impl Iterator<Item = &'a Load>, at: i64) -> u64 {
    let Some(mut best) = loads.next() else { return at.cast_unsigned() };
    for load in loads {
        if i64::from(load.start) <= at {
            best = load;
        }
    }
    best.address.wrapping_add(at.wrapping_sub(i64::from(best.start)).cast_unsigned())
}

#[derive(Default)]
struct Models {
    count: Number,
    place: Signed,
    len: Number,
    address: Signed,
    kind: Number,
    bare: Bit,
}

/// Says or hears a layout.
pub(crate) fn code<C: Coder>(coder: &mut C, layout: &Layout, base_len: u32) -> Result<Layout, DecodeError> {
    let broken = |rule| DecodeError::Rule { part: "layout", rule };
    let mut models = Models::default();
    let count = models.count.code(coder, layout.modules.len() as u64);
    let count = usize::try_from(count).ok().filter(|&count| count <= MOST_MODULES);
    let count = count.ok_or(broken("too many modules"))?;
    let mut heard = Layout::default();
    let mut end = 0;
    for at in 0..count {
        let module = layout.modules.get(at);
        let said = module.map_or(&[][..], |module| &module.segments);
        let segments =
            segments(coder, &mut models, said).ok_or(broken("segments out of order or too many"))?;
        let said = module.map_or(&[][..], |module| &module.ranges);
        let ranges = ranges(coder, &mut models, said, &mut end, base_len);
        let ranges = ranges.ok_or(broken("ranges beyond the base or too many"))?;
        heard.modules.push(Module { segments, ranges });
    }
    Ok(heard)
}

fn segments<C: Coder>(coder: &mut C, models: &mut Models, said: &[Segment]) -> Option<Vec<Segment>> {
    let count = usize::try_from(models.count.code(coder, said.len() as u64)).ok()?;
    if count > MOST_PARTS {
        return None;
    }
    let mut heard: Vec<Segment> = Vec::with_capacity(count);
    let mut before = Segment::default();
    for at in 0..count {
        let segment = said.get(at).copied().unwrap_or_default();
        let base = load(coder, models, &segment.base, &before.base)?;
        let target = load(coder, models, &segment.target, &before.target)?;
        if base.address < before.base.address {
            return None;
        }
        let is_bare = models.bare.code(coder, segment.is_bare);
        before = Segment { base, target, is_bare };
        heard.push(before);
    }
    Some(heard)
}

/// A load, told by where the one before it ends.
fn load<C: Coder>(coder: &mut C, models: &mut Models, said: &Load, before: &Load) -> Option<Load> {
    let expected = i64::from(before.start) + i64::from(before.len);
    let start = expected.checked_add(models.place.code(coder, i64::from(said.start) - expected))?;
    let len = models.len.code(coder, u64::from(said.len));
    let ahead = i64::try_from(len).ok().and_then(|len| start.checked_add(len))?;
    let (start, _) = (u32::try_from(start).ok()?, u32::try_from(ahead).ok()?);
    let expected = before.address.wrapping_add(u64::from(before.len));
    let address = expected.wrapping_add(
        models.address.code(coder, said.address.wrapping_sub(expected).cast_signed()).cast_unsigned(),
    );
    Some(Load { start, len: u32::try_from(len).ok()?, address })
}

fn ranges<C: Coder>(
    coder: &mut C,
    models: &mut Models,
    said: &[Range],
    end: &mut u32,
    base_len: u32,
) -> Option<Vec<Range>> {
    let count = usize::try_from(models.count.code(coder, said.len() as u64)).ok()?;
    if count > MOST_PARTS {
        return None;
    }
    let mut heard = Vec::with_capacity(count);
    for at in 0..count {
        let range = said.get(at).copied().unwrap_or(Range { start: *end, len: 0, kind: Kind::Code });
        let gap = models.len.code(coder, u64::from(range.start - *end));
        let start = u64::from(*end).checked_add(gap)?;
        let len = models.len.code(coder, u64::from(range.len));
        let kind = Kind::from_number(models.kind.code(coder, range.kind.number()))?;
        let next = start.checked_add(len)?;
        if next > u64::from(base_len) {
            return None;
        }
        let start = u32::try_from(start).ok()?;
        *end = u32::try_from(next).ok()?;
        heard.push(Range { start, len: *end - start, kind });
    }
    Some(heard)
}
