//! What a field of the base becomes in the target: its address, mapped.

use std::sync::Arc;

use crate::fields::{self, Fields, Instruction, Literal, NUMBERS, Part, Site};
use crate::layout::{Kind, Layout, Module, Range};
use crate::map::{Map, Place};

/// How a field says an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Four bytes: the distance from the field's end, or from its start, to the address.
    FromEnd,
    FromStart,
    /// Four bytes: the distance back from the field's start.
    Back,
    /// Four bytes: the distance from an anchor, of which this is the place in the base.
    FromAnchor(u32),
    /// Eight bytes: the address.
    Absolute,
    /// Four bytes: the address.
    Absolute32,
    /// Four bytes: the distance from an instruction that adds it to where it is, of which this is the place in the base.
    Literal(u32),
    /// Four or two bytes: an instruction that holds the address or a part of it.
    Instruction(Instruction),
    /// So many bytes: a call site, which [`Predictor::numbers`] takes apart.
    CallSite(u8),
    /// So many bytes: a number of a call site, the distance from an anchor, of which this is the place in the base.
    Site(Site, u8, u32),
}

/// How many numbers [`Shape::number`] gives.
pub(crate) const SHAPES: usize = 10 + NUMBERS;

impl Shape {
    /// Bytes of the field.
    pub(crate) fn len(self) -> u32 {
        match self {
            Self::Absolute => 8,
            Self::Instruction(instruction) => instruction.len(),
            Self::CallSite(len) | Self::Site(_, len, _) => u32::from(len),
            _ => 4,
        }
    }

    /// A number below [`SHAPES`] that tells shapes apart.
    pub(crate) fn number(self) -> usize {
        match self {
            Self::FromEnd => 0,
            Self::FromStart => 1,
            Self::Back => 2,
            Self::FromAnchor(_) => 3,
            Self::Absolute => 4,
            Self::Instruction(instruction) => 5 + instruction.number(),
            Self::Absolute32 => 5 + NUMBERS,
            Self::Literal(_) => 6 + NUMBERS,
            Self::CallSite(_) | Self::Site(Site::Start, ..) => 7 + NUMBERS,
            Self::Site(Site::Len, ..) => 8 + NUMBERS,
            Self::Site(Site::Pad, ..) => 9 + NUMBERS,
        }
    }

    /// The address that `value` says in a field at `field`, with the anchor at `anchor`.
    fn address(self, value: u64, field: u64, anchor: u64) -> u64 {
        let distance = i64::from(low(value).cast_signed()).cast_unsigned();
        match self {
            Self::FromEnd => field.wrapping_add(4).wrapping_add(distance),
            Self::FromStart => field.wrapping_add(distance),
            Self::Back => field.wrapping_sub(distance),
            Self::FromAnchor(_) | Self::Literal(_) => anchor.wrapping_add(distance),
            Self::Absolute => value,
            Self::Absolute32 => u64::from(low(value)),
            // The last byte counts, because what comes behind it may have been moved away from it.
            Self::Site(Site::Len, len, _) => anchor.wrapping_add(fields::plain(value, len)).wrapping_sub(1),
            Self::CallSite(len) | Self::Site(_, len, _) => anchor.wrapping_add(fields::plain(value, len)),
            Self::Instruction(instruction) => instruction.address(low(value), field, anchor),
        }
    }

    /// The field's value as a number that neighbouring addresses are neighbours in.
    pub(crate) fn ordered(self, value: u64) -> i64 {
        match self {
            Self::Absolute => value.cast_signed(),
            Self::Instruction(instruction) => i64::from(instruction.turned(low(value)).cast_signed()),
            Self::CallSite(len) | Self::Site(_, len, _) => fields::ordered(value, len).cast_signed(),
            _ => i64::from(low(value).cast_signed()),
        }
    }

    /// Undoes [`Shape::ordered`].
    pub(crate) fn unordered(self, number: i64) -> u64 {
        let value = number.cast_unsigned();
        match self {
            Self::Absolute => value,
            Self::Instruction(instruction) => u64::from(instruction.restored(low(value))),
            Self::CallSite(len) | Self::Site(_, len, _) => fields::unordered(value, len),
            _ => u64::from(low(value)),
        }
    }

    /// The value with which a field at `field` says `address`, if it has the value `old` in the base.
    fn value(self, address: u64, field: u64, anchor: u64, old: u64) -> u64 {
        let distance = match self {
            Self::FromEnd => address.wrapping_sub(field).wrapping_sub(4),
            Self::FromStart => address.wrapping_sub(field),
            Self::Back => field.wrapping_sub(address),
            Self::FromAnchor(_) | Self::Literal(_) => address.wrapping_sub(anchor),
            Self::Absolute => return address,
            Self::Absolute32 => address,
            Self::Site(Site::Len, len, _) => {
                return fields::written(address.wrapping_add(1).wrapping_sub(anchor), len);
            }
            Self::CallSite(len) | Self::Site(_, len, _) => {
                return fields::written(address.wrapping_sub(anchor), len);
            }
            Self::Instruction(instruction) => {
                return u64::from(instruction.with(low(old), address, field, anchor));
            }
        };
        u64::from(low(distance))
    }
}

/// The lower half of a number.
pub(crate) fn low(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Where a prediction comes from, which tells how far to trust it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An earlier field with this address in the base was told its address in the target.
    Learnt,
    /// The address is copied by the same copy as the field.
    Same,
    /// It is copied by another copy.
    Copied,
    /// It is copied by none.
    Near,
    /// It is in no file.
    Outside,
}

/// How many numbers [`Source::number`] gives.
pub(crate) const SOURCES: usize = 5;

impl Source {
    /// A number below [`SOURCES`] that tells sources apart.
    pub(crate) fn number(self) -> usize {
        match self {
            Self::Learnt => 0,
            Self::Same => 1,
            Self::Copied => 2,
            Self::Near => 3,
            Self::Outside => 4,
        }
    }
}

/// A predicted field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prediction {
    pub(crate) value: u64,
    pub(crate) source: Source,
    /// What else it may be.
    pub(crate) other: Option<u64>,
    pub(crate) shape: Shape,
    /// The field's address in the base, and in the target with its anchor's.
    base_field: u64,
    field: u64,
    anchor: u64,
    /// The address in the base, and the field's value there.
    address: u64,
    old: u64,
}

impl Prediction {
    /// Whether the field holds a whole address, and one of its own.
    pub(crate) fn is_whole(&self) -> bool {
        match self.shape {
            Shape::Instruction(instruction) => instruction.part(low(self.old)) == Part::Whole,
            Shape::CallSite(_) | Shape::Site(..) => false,
            _ => true,
        }
    }

    /// The value that leads to an address in the target.
    pub(crate) fn leading_to(&self, target: u64) -> u64 {
        self.shape.value(target, self.field, self.anchor, self.old)
    }

    /// The address in the target to which a value leads.
    pub(crate) fn target(&self, value: u64) -> u64 {
        self.shape.address(value, self.field, self.anchor)
    }

    /// Whether the field is the zero that says that a call has no landing pad.
    fn is_nowhere(&self) -> bool {
        matches!(self.shape, Shape::Site(Site::Pad, ..)) && self.old == 0
    }
}

/// Log2 of the addresses that are remembered.
const SLOT_BITS: u32 = 16;

/// Knows the layout and the map, and what fields so far taught.
pub(crate) struct Predictor {
    layout: Layout,
    fields: Arc<Fields>,
    map: Map,
    /// All ranges in the order of the base, with the number of their module.
    ranges: Vec<(Range, usize)>,
    /// The range of the last field.
    range: usize,
    /// Pairs of addresses: in the base, in the target; and a byte of each one's hash. Nearly always that byte tells that
    /// an address is not there, and the bytes stay in a cache, which the pairs do not.
    learnt: Vec<(u64, u64)>,
    tags: Vec<u8>,
    /// The last field of a jump table, and where that table starts.
    table: (u32, u32),
    /// For each register, the part of an address last put there, in the base and in the target.
    parts: [(u64, u64); 32],
    /// Where in the target the calls of the last site start.
    site: u64,
}

impl Predictor {
    pub(crate) fn new(layout: Layout, fields: Arc<Fields>, map: Map) -> Self {
        let modules = layout.modules.iter().enumerate();
        let ranges =
            modules.flat_map(|(at, module)| module.ranges.iter().map(move |range| (*range, at))).collect();
        let slots = if layout.modules.is_empty() { 0 } else { 1 << SLOT_BITS };
        let (learnt, tags) = (vec![(u64::MAX, 0); slots], vec![0; slots]);
        Self {
            layout,
            fields,
            map,
            ranges,
            range: 0,
            learnt,
            tags,
            table: (0, 0),
            parts: [(0, 0); 32],
            site: 0,
        }
    }

    /// The first field at or after `from`, if it ends by `end`.
    #[inline]
    pub(crate) fn next(&mut self, from: u32, end: u32) -> Option<(u32, Shape)> {
        let mut at = self.fields.marks.next(from, end)?;
        let (mut range, _) = self.range_of(at)?;
        if range.kind == Kind::RiscV && (at - range.start) % 2 == 1 {
            // The second byte of a field of two, of which the first is not in the copy.
            at = self.fields.marks.next(at + 1, end)?;
            (range, _) = self.range_of(at)?;
        }
        if range.kind == Kind::CallSites && !self.fields.is_site(at) {
            // The rest of a site that does not start in the copy. Two marks further on at most, one does.
            return self.next(at + 1, end);
        }
        let shape = match range.kind {
            Kind::Code => Shape::FromEnd,
            // Which one it is, the instruction says.
            Kind::Code64 => Shape::Instruction(Instruction::ANY_A64),
            Kind::RiscV if self.fields.marks.contains(at + 1) => {
                Shape::Instruction(Instruction::ANY_SHORT_RISCV)
            }
            Kind::RiscV => Shape::Instruction(Instruction::ANY_RISCV),
            Kind::Arm | Kind::Thumb => match self.fields.literal(at) {
                Some(Literal::From(anchor)) => Shape::Literal(anchor),
                Some(Literal::Address) => Shape::Absolute32,
                None if range.kind == Kind::Arm => Shape::Instruction(Instruction::ANY_A32),
                None => Shape::Instruction(Instruction::ANY_THUMB),
            },
            Kind::ExceptionIndex => Shape::Instruction(Instruction::INDEX),
            Kind::Words32 | Kind::Symbols32 | Kind::Relocations32 => Shape::Absolute32,
            Kind::Words => Shape::Absolute,
            Kind::UnwindIndex => Shape::FromAnchor(range.start),
            Kind::Unwind if self.fields.marks.contains(at + 4) => Shape::Back,
            Kind::Unwind => Shape::FromStart,
            Kind::Tables => Shape::FromAnchor(self.table_of(at, range.start)),
            Kind::CallSites => {
                let last = self.fields.marks.next(at + 2, end.min(at.saturating_add(8)))?;
                Shape::CallSite(u8::try_from(last + 1 - at).ok()?)
            }
        };
        (end - at >= shape.len()).then_some((at, shape))
    }

    /// The numbers of the call site at `at` that has these `bytes` in the base: their places and shapes.
    pub(crate) fn numbers(&self, at: u32, bytes: &[u8]) -> [(u32, Shape); 3] {
        let function = self.fields.function(at).unwrap_or(at);
        let (mut from, mut start) = (0, 0);
        Site::ALL.map(|number_of| {
            let place = at + u32::try_from(from).expect("a site has few bytes");
            let rest = &bytes[from..];
            let digits = number_of.len(rest);
            let len = u8::try_from(digits).expect("a site has few bytes");
            let shape = match number_of {
                Site::Len => Shape::Site(number_of, len, function.wrapping_add(start)),
                _ => Shape::Site(number_of, len, function),
            };
            if number_of == Site::Start {
                start = low(fields::plain(number(&rest[..digits]), len));
            }
            from += digits;
            (place, shape)
        })
    }

    fn range_of(&mut self, at: u32) -> Option<(Range, usize)> {
        let (range, module) = *self.ranges.get(self.range)?;
        if at >= range.start && at < range.end() {
            return Some((range, module));
        }
        let count = self.ranges.partition_point(|(range, _)| range.start <= at);
        self.range = count.checked_sub(1)?;
        self.ranges.get(self.range).copied()
    }

    /// The start of the jump table with an entry at `at`.
    fn table_of(&mut self, at: u32, start: u32) -> u32 {
        /// How far back a start is looked for when a copy begins within a table.
        const ENTRIES: u32 = 1024;
        let (last, table) = self.table;
        let is_start = |at: u32| self.fields.is_table(at);
        // The same field may be asked for again where a piece of the copy ends.
        let table = if !is_start(at) && (at == last || at == last.wrapping_add(4)) {
            table
        } else {
            let entries =
                (0..ENTRIES).map_while(|back| at.checked_sub(4 * back)).take_while(|&entry| entry >= start);
            entries.into_iter().find(|&entry| is_start(entry)).unwrap_or(at)
        };
        self.table = (at, table);
        table
    }

    /// What a field at the start of `bytes` of the base is at `to` in the target. The copy that the field is in has the
    /// base bytes `from..end`; `bytes` go on to its end or at least as far as a few instructions.
    #[inline]
    pub(crate) fn predict(
        &self,
        (at, shape): (u32, Shape),
        bytes: &[u8],
        to: u32,
        (from, end): (u32, u32),
    ) -> Prediction {
        let module = self.module();
        let old = number(&bytes[..shape.len() as usize]);
        let base_field = module.base_address(at);
        let field = module.target_address(i64::from(to));
        let (shape, base_anchor, anchor) = match shape {
            Shape::FromAnchor(place) | Shape::Literal(place) => {
                let (Place::Near(mapped, _) | Place::Copied(mapped)) = self.map.place(place);
                (shape, module.base_address(place), module.target_address(mapped))
            }
            Shape::Site(Site::Len, _, place) => (shape, module.base_address(place), self.site),
            Shape::Site(_, _, place) => {
                let address = module.base_address(place);
                let (mapped, ..) = self.map_address(module, address, 0, (0, 0));
                (shape, address, self.learnt(address).unwrap_or(mapped))
            }
            Shape::Instruction(any) => {
                let instruction = any.read(low(old)).unwrap_or(any);
                let (base_aside, aside) = match instruction.part(low(old)) {
                    Part::Whole => (0, 0),
                    Part::First(_) => (instruction.rest(bytes, end - at), 0),
                    Part::Rest(register) => self.parts[register],
                };
                (Shape::Instruction(instruction), base_aside, aside)
            }
            _ => (shape, 0, 0),
        };
        let address = shape.address(old, base_field, base_anchor);
        let (mapped, source, second) = self.map_address(module, address, to.wrapping_sub(at), (from, end));
        let (target, source, other) = match self.learnt(address) {
            Some(learnt) => (learnt, Source::Learnt, mapped),
            None => (mapped, source, second),
        };
        let value = shape.value(target, field, anchor, old);
        let (source, other) = match shape {
            // Numbers of a function that did not change did not either, wherever the map thinks it is.
            Shape::Site(..) => (if value == old { Source::Same } else { source }, old),
            _ => (source, shape.value(other, field, anchor, old)),
        };
        Prediction {
            value,
            source,
            other: (other != value).then_some(other),
            shape,
            base_field,
            field,
            anchor,
            address,
            old,
        }
    }

    /// What an earlier field taught of an address in the base.
    #[inline]
    fn learnt(&self, address: u64) -> Option<u64> {
        let (slot, tag) = slot(address);
        let learnt = (self.tags[slot] == tag).then(|| self.learnt[slot]);
        learnt.filter(|(known, _)| *known == address).map(|(_, learnt)| learnt)
    }

    /// The address in the target of what a field of the base refers to, if a copy has it.
    pub(crate) fn label(&self, (at, shape): (u32, Shape), value: u64) -> Option<u64> {
        let module = self.module();
        let anchor = if let Shape::FromAnchor(place) | Shape::Literal(place) | Shape::Site(.., place) = shape
        {
            module.base_address(place)
        } else {
            0
        };
        self.copied(shape.address(value, module.base_address(at), anchor))
    }

    /// What a number of a call site is in the target, if copies have what it lies between. Where a function is as it was,
    /// so are its numbers.
    pub(crate) fn moved(&self, (at, shape): (u32, Shape), value: u64) -> Option<u64> {
        let Shape::Site(.., place) = shape else { return None };
        let anchor = self.copied(self.module().base_address(place))?;
        let address = self.label((at, shape), value)?;
        Some(shape.value(address, 0, anchor, value))
    }

    /// The address in the target for one in the base that a copy has.
    fn copied(&self, address: u64) -> Option<u64> {
        match self.map_address(self.module(), address, 0, (0, 0)) {
            (address, Source::Copied, _) => Some(address),
            _ => None,
        }
    }

    /// Takes note of what a field that was predicted really is.
    #[inline]
    pub(crate) fn learn(&mut self, prediction: &Prediction, value: u64) {
        let Prediction { shape, field, anchor, .. } = *prediction;
        if let Shape::Instruction(instruction) = shape
            && let Part::First(register) = instruction.part(low(prediction.old))
        {
            // The rest of the address comes with another instruction.
            let base = instruction.address(low(prediction.old), prediction.base_field, 0);
            let target = instruction.address(low(value), field, 0);
            self.parts[register] = (base, target);
        } else if value != prediction.value && !prediction.is_nowhere() {
            let (slot, tag) = slot(prediction.address);
            self.learnt[slot] = (prediction.address, shape.address(value, field, anchor));
            self.tags[slot] = tag;
        }
        if let Shape::Site(Site::Start, ..) = shape {
            self.site = shape.address(value, field, anchor);
        }
    }

    fn module(&self) -> &Module {
        let (_, module) = self.ranges[self.range];
        &self.layout.modules[module]
    }

    /// The address in the target for one in the base, why, and the second guess.
    fn map_address(
        &self,
        module: &Module,
        address: u64,
        shift: u32,
        (from, end): (u32, u32),
    ) -> (u64, Source, u64) {
        match module.base_of(address) {
            Some(place) if place >= from && place < end => {
                let address = module.target_address(i64::from(place.wrapping_add(shift)));
                (address, Source::Same, address)
            }
            Some(place) => match self.map.place(place) {
                Place::Copied(place) => {
                    let address = module.target_address(place);
                    (address, Source::Copied, address)
                }
                Place::Near(first, second) => {
                    (module.target_address(first), Source::Near, module.target_address(second))
                }
            },
            None => {
                let moved = module.segment_of(address).map_or(0, |segment| {
                    let (base, target) = (&segment.base, &segment.target);
                    if segment.is_bare {
                        target.address.wrapping_sub(base.address)
                    } else {
                        let base_end = base.address.wrapping_add(u64::from(base.len));
                        target.address.wrapping_add(u64::from(target.len)).wrapping_sub(base_end)
                    }
                });
                let address = address.wrapping_add(moved);
                (address, Source::Outside, address)
            }
        }
    }
}

/// The number that little-endian `bytes` are.
pub(crate) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| (number << 8) | u64::from(byte))
}

/// The slot of an address, and the byte that tells it apart from most others there.
#[inline]
fn slot(address: u64) -> (usize, u8) {
    let hash = address.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let slot = usize::try_from(hash >> (64 - SLOT_BITS)).expect("a slot's number has 16 bits");
    (slot, hash.to_le_bytes()[5])
}
