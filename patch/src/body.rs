//! The bytes of a target: differences from what the copies predict, and bytes that no copy has.

use std::ops::Range;

use crate::coder::{Bit, Bytes, Coder, Number, Signed, Slot, table};
use crate::copies::Copy;
use crate::predict::{Prediction, Predictor, SHAPES, SOURCES, Shape, number};

/// Bytes that share one bit for "all as in the base".
const SPAN: u32 = 16;

/// A caller shows at least this much of a copy, or its rest: the longest field, and a span.
pub(crate) const AHEAD: u32 = 32;

/// Addresses that are remembered because nothing else led to them.
const TARGETS: usize = 32;

/// All models of a body, and what they go by.
pub(crate) struct Body {
    predictor: Predictor,
    /// Whether a span differs from the base: by how the last four did.
    spans: [Bit; 16],
    recent: usize,
    /// Whether a byte of such a span differs: by it in the base and how the bytes of the span before it did; and by
    /// less of both with the byte before it in the target.
    by_old: Box<[Slot; 1 << 11]>,
    by_both: Box<[Slot; 1 << 16]>,
    different: Bytes,
    new: Bytes,
    /// Whether a prediction holds: by shape, by source, and by how the last two of the shape did.
    holds: Vec<Bit>,
    lately: [usize; SHAPES],
    others: [Bit; SHAPES],
    /// Addresses that were no guess, the last one first; by shape whether one is among them, and which.
    targets: [u64; TARGETS],
    recalled: [Bit; SHAPES],
    which: Number,
    corrections: [Signed; SHAPES],
    /// The last four bytes of the target, the last in the low bits.
    history: u32,
    /// The last difference, and the last one of each byte value.
    difference: u8,
    differences: [u8; 256],
}

impl Body {
    pub(crate) fn new(predictor: Predictor) -> Self {
        Self {
            predictor,
            spans: [Bit::default(); 16],
            recent: 0,
            by_old: table(Slot::default()),
            by_both: table(Slot::default()),
            different: Bytes::new(),
            new: Bytes::new(),
            holds: vec![Bit::default(); SHAPES * SOURCES * 4],
            lately: [0; SHAPES],
            others: [Bit::default(); SHAPES],
            targets: [0; TARGETS],
            recalled: [Bit::default(); SHAPES],
            which: Number::default(),
            corrections: Default::default(),
            history: 0,
            difference: 0,
            differences: [0; 256],
        }
    }

    /// Says or hears bytes that no copy has.
    pub(crate) fn inserted<C: Coder>(&mut self, coder: &mut C, target: &mut [u8]) {
        for byte in target {
            let last = self.history;
            let contexts = [last & 0xff, last & 0xffff, last & 0xff_ffff];
            *byte = self.new.code(coder, contexts, *byte);
            self.push(*byte);
        }
    }

    fn push(&mut self, byte: u8) {
        self.history = (self.history << 8) | u32::from(byte);
    }

    /// The last four bytes before `at` of `target`, of which more was before.
    #[inline]
    fn history(&self, target: &[u8], at: usize) -> u32 {
        let before = &target[..at];
        match before.last_chunk() {
            Some(&[a, b, c, d]) => u32::from_le_bytes([d, c, b, a]),
            None => before.iter().fold(self.history, |history, &byte| (history << 8) | u32::from(byte)),
        }
    }

    /// Says or hears bytes of `copy` from its byte `done` on. `bytes` are those that follow in the base, and become those
    /// of the target, of which a writer shows as many: `said`. Returns how many bytes it took: all if they are the rest of
    /// the copy, otherwise up to [`AHEAD`] less.
    pub(crate) fn copied<C: Coder>(
        &mut self,
        coder: &mut C,
        copy: &Copy,
        done: u32,
        bytes: &mut [u8],
        said: &[u8],
    ) -> usize {
        let start = copy.base + done;
        let shift = copy.target.wrapping_sub(copy.base);
        let end = copy.base_end();
        let mut at = start;
        let place = |at: u32| (at - start) as usize;
        let stop = bytes.len().saturating_sub(AHEAD as usize);
        let is_rest = bytes.len() >= (copy.len - done) as usize;
        let mut field = self.predictor.next(at, end);
        while at < end && (is_rest || place(at) < stop) {
            let next = field.map_or(end, |(next, _)| next);
            if at < next {
                let until = next.min(at + SPAN);
                self.span(coder, bytes, said, place(at)..place(until));
                at = until;
            } else if let Some((_, shape)) = field {
                let until = at + shape.len();
                let place = place(at)..place(until);
                let sides = (at.wrapping_add(shift), copy.base, end);
                if let Shape::CallSite(_) = shape {
                    for (number, shape) in self.predictor.numbers(at, &bytes[place.clone()]) {
                        let ahead = number - at;
                        let place = place.start + ahead as usize;
                        let sides = (sides.0.wrapping_add(ahead), copy.base, end);
                        self.predicted(coder, (number, shape), place, sides, bytes, said);
                    }
                } else {
                    self.predicted(coder, (at, shape), place.start, sides, bytes, said);
                }
                at = until;
                field = self.predictor.next(at, end);
            }
        }
        self.history = self.history(bytes, place(at));
        place(at)
    }

    /// Says or hears the field at `place` of `bytes`, which is at `to` in the target, in a copy of `from..end`.
    #[inline]
    fn predicted<C: Coder>(
        &mut self,
        coder: &mut C,
        (at, shape): (u32, Shape),
        place: usize,
        (to, from, end): (u32, u32, u32),
        bytes: &mut [u8],
        said: &[u8],
    ) {
        let prediction = self.predictor.predict((at, shape), &bytes[place..], to, (from, end));
        let place = place..place + shape.len() as usize;
        let said = if C::HEARS { 0 } else { number(&said[place.clone()]) };
        let said = self.field(coder, &prediction, said).to_le_bytes();
        bytes[place].iter_mut().zip(said).for_each(|(byte, said)| *byte = said);
    }

    #[inline]
    fn span<C: Coder>(&mut self, coder: &mut C, bytes: &mut [u8], said: &[u8], span: Range<usize>) {
        let says = !C::HEARS && bytes[span.clone()] != said[span.clone()];
        let differs = self.spans[self.recent].code(coder, says);
        self.recent = (self.recent << 1 | usize::from(differs)) & 15;
        if differs {
            let before = self.history(bytes, span.start);
            let said = if C::HEARS { said } else { &said[span.clone()] };
            self.changed(coder, &mut bytes[span], said, before);
        }
    }

    /// Says or hears the bytes of a span that differs, which follow those of `history`.
    #[inline]
    fn changed<C: Coder>(&mut self, coder: &mut C, bytes: &mut [u8], said: &[u8], mut history: u32) {
        // A one, and behind it a bit for each byte of the span so far.
        let mut so_far = 1_usize;
        for (at, byte) in bytes.iter_mut().enumerate() {
            let old = *byte;
            let new = if C::HEARS { old } else { said[at] };
            let before = (history & 0x7f) as usize;
            let one = &mut self.by_old[(so_far & 7) << 8 | usize::from(old)];
            let other = &mut self.by_both[(so_far & 3) << 14 | before << 7 | usize::from(old >> 1)];
            let differs = one.code_both(other, coder, old != new);
            so_far = so_far << 1 | usize::from(differs);
            if differs {
                *byte = self.replaced(coder, history, old, new);
            }
            history = (history << 8) | u32::from(*byte);
        }
    }

    /// Says or hears `new`, which stands for the `old` of the base and follows the bytes of `history`.
    fn replaced<C: Coder>(&mut self, coder: &mut C, history: u32, old: u8, new: u8) -> u8 {
        let last = &mut self.differences[usize::from(old)];
        let at_old = u32::from(old) << 8;
        let contexts = [u32::from(self.difference), at_old | (history & 0xff), at_old | u32::from(*last)];
        self.difference = self.different.code(coder, contexts, new.wrapping_sub(old));
        *last = self.difference;
        old.wrapping_add(self.difference)
    }

    #[inline]
    fn field<C: Coder>(&mut self, coder: &mut C, prediction: &Prediction, value: u64) -> u64 {
        let shape = prediction.shape;
        let kind = shape.number();
        let lately = &mut self.lately[kind];
        let context = (kind * SOURCES + prediction.source.number()) * 4 + *lately;
        let holds = self.holds[context].code(coder, value == prediction.value);
        *lately = (*lately << 1 | usize::from(holds)) & 3;
        let said = if holds {
            prediction.value
        } else {
            match prediction.other {
                Some(other) if self.others[kind].code(coder, value == other) => other,
                _ => self.corrected(coder, prediction, value),
            }
        };
        self.predictor.learn(prediction, said);
        said
    }

    /// Says or hears the value of a field that no guess was right for.
    fn corrected<C: Coder>(&mut self, coder: &mut C, prediction: &Prediction, value: u64) -> u64 {
        let shape = prediction.shape;
        let kind = shape.number();
        let is_target = prediction.is_whole();
        let leads = |&target: &u64| prediction.leading_to(target) == value;
        let known = if C::HEARS { None } else { self.targets.iter().position(leads) };
        let said = if is_target && self.recalled[kind].code(coder, known.is_some()) {
            let number = self.which.code(coder, known.unwrap_or(0) as u64);
            let number = usize::try_from(number).map_or(TARGETS - 1, |number| number.min(TARGETS - 1));
            prediction.leading_to(self.targets[number])
        } else {
            let correction = shape.ordered(value).wrapping_sub(shape.ordered(prediction.value));
            let said = self.corrections[kind].code(coder, correction);
            shape.unordered(shape.ordered(prediction.value).wrapping_add(said))
        };
        if is_target {
            let target = prediction.target(said);
            let place = self.targets.iter().position(|&known| known == target).unwrap_or(TARGETS - 1);
            self.targets[..=place].rotate_right(1);
            self.targets[0] = target;
        }
        said
    }
}
