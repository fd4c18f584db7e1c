//! The instructions of 32-bit ARM, of both sets, that hold an address, and how they hold it.
//!
//! A32 has instructions of four bytes, Thumb of two or of two times two. A word of Thumb has the first two bytes in its
//! low half.

use super::scatter::{Scattered, piece};

/// Which of the sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    A32,
    Thumb,
}

/// How an instruction, or a word beside it, holds an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A32: a distance in words. B and BL.
    Branch,
    /// A32: a distance in halves of words. BLX.
    Exchange,
    /// Thumb: a distance in halves of words. B and BL.
    Wide,
    /// Thumb: a distance in halves of words, from a whole word. BLX.
    WideExchange,
    /// Thumb: a distance in halves of words. B with a condition.
    Conditional,
    /// A distance in bytes, of 31 bits.
    Word,
}

/// The two bits of a Thumb distance that are turned over if it is not negative.
const TURNED_OVER: u32 = 0x2800_0000;
const NEGATIVE: u32 = 1 << 10;

impl Set {
    /// Bytes from an instruction to what counts as its own address.
    pub(super) fn ahead(self) -> u32 {
        match self {
            Self::A32 => 8,
            Self::Thumb => 4,
        }
    }

    /// Bytes of the instruction at the start of `word`.
    pub(super) fn len(self, word: u32) -> u32 {
        match self {
            Self::Thumb if word & 0xf800 <= 0xe000 => 2,
            _ => 4,
        }
    }

    /// The form of an instruction, if it has one of them.
    pub(crate) fn form(self, word: u32) -> Option<Form> {
        let is = |mask: u32, bits: u32| word & mask == bits;
        match self {
            Self::A32 if is(0xfe00_0000, 0xfa00_0000) => Some(Form::Exchange),
            Self::A32 if is(0x0e00_0000, 0x0a00_0000) => Some(Form::Branch),
            Self::Thumb if is(0xd000_f800, 0xd000_f000) || is(0xd000_f800, 0x9000_f000) => Some(Form::Wide),
            Self::Thumb if is(0xd001_f800, 0xc000_f000) => Some(Form::WideExchange),
            // Of the sixteen conditions, two are other instructions.
            Self::Thumb if is(0xd000_f800, 0x8000_f000) && !is(0x0380, 0x0380) => Some(Form::Conditional),
            _ => None,
        }
    }

    /// What a load from beside the code loads: the register, and the literal's distance from the instruction's own
    /// address, of which a Thumb instruction ignores the lowest two bits.
    pub(super) fn load(self, word: u32) -> Option<(usize, i64)> {
        let is = |mask: u32, bits: u32| word & mask == bits;
        let signed = |number: u32, add: u32| if add == 0 { -i64::from(number) } else { i64::from(number) };
        match self {
            Self::A32 if is(0x0f7f_0000, 0x051f_0000) => {
                Some((register(word >> 12), signed(word & 0xfff, word & 1 << 23)))
            }
            Self::Thumb if is(0xf800, 0x4800) => {
                Some((register(word >> 8 & 7), i64::from(4 * (word & 0xff))))
            }
            Self::Thumb if is(0xff7f, 0xf85f) => {
                Some((register(word >> 28), signed((word >> 16) & 0xfff, word & 1 << 7)))
            }
            _ => None,
        }
    }

    /// The register that an instruction adds its own address to.
    pub(super) fn added(self, word: u32) -> Option<usize> {
        let is = |mask: u32, bits: u32| word & mask == bits;
        match self {
            // add rd, pc, rm, and ldr rt, [pc, rm]; add rd, rn, pc.
            Self::A32 if is(0x0fff_0ff0, 0x008f_0000) || is(0x0fff_0ff0, 0x079f_0000) => Some(register(word)),
            Self::A32 if is(0x0ff0_0fff, 0x0080_000f) => Some(register(word >> 16)),
            Self::Thumb if is(0xff78, 0x4478) => Some(register((word >> 4 & 8) | (word & 7))),
            _ => None,
        }
    }
}

/// The number of a register, of which the lowest four bits count.
fn register(bits: u32) -> usize {
    (bits & 15) as usize
}

impl Form {
    fn scattered(self) -> Scattered {
        Scattered(match self {
            Self::Branch => &const { [piece(0, 24, 0)] },
            Self::Exchange => &const { [piece(24, 1, 0), piece(0, 24, 1)] },
            Self::Wide | Self::WideExchange => {
                &const {
                    [piece(16, 11, 0), piece(0, 10, 11), piece(27, 1, 21), piece(29, 1, 22), piece(10, 1, 23)]
                }
            }
            Self::Conditional => {
                &const { [piece(16, 11, 0), piece(0, 6, 11), piece(29, 1, 17), piece(27, 1, 18), piece(10, 1, 19)] }
            }
            Self::Word => &const { [piece(0, 31, 0)] },
        })
    }

    /// The instruction with bits that stand for the distance alone, or again as it is.
    fn straight(self, word: u32) -> u32 {
        match self {
            Self::Wide | Self::WideExchange if word & NEGATIVE == 0 => word ^ TURNED_OVER,
            _ => word,
        }
    }

    /// Where the distance counts from, the instruction being at `field`, and log2 of the bytes it counts.
    fn origin(self, field: u64) -> (u64, u32) {
        match self {
            Self::Branch => (field.wrapping_add(8), 2),
            Self::Exchange => (field.wrapping_add(8), 1),
            Self::Wide | Self::Conditional => (field.wrapping_add(4), 1),
            Self::WideExchange => (field.wrapping_add(4) & !3, 1),
            Self::Word => (field, 0),
        }
    }

    /// The instruction with its bits turned so that those of the distance are the lowest.
    pub(crate) fn turned(self, word: u32) -> u32 {
        self.scattered().turned(self.straight(word))
    }

    /// Undoes [`Form::turned`].
    pub(crate) fn restored(self, turned: u32) -> u32 {
        self.straight(self.scattered().restored(turned))
    }

    /// The instruction without its distance.
    pub(crate) fn blank(self, word: u32) -> u32 {
        self.scattered().blank(word)
    }

    /// The address that the instruction `word` at `field` holds.
    pub(crate) fn address(self, word: u32, field: u64) -> u64 {
        let (origin, scale) = self.origin(field);
        origin.wrapping_add(self.scattered().signed(self.straight(word)) << scale)
    }

    /// The instruction `word` with `address` in it, at `field`.
    pub(crate) fn with(self, word: u32, address: u64, field: u64) -> u32 {
        let (origin, scale) = self.origin(field);
        self.straight(self.scattered().with(self.straight(word), address.wrapping_sub(origin) >> scale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMS: [Form; 6] =
        [Form::Branch, Form::Exchange, Form::Wide, Form::WideExchange, Form::Conditional, Form::Word];

    #[test]
    fn turning_and_restoring_an_instruction_gives_it_back() {
        for form in FORMS {
            for word in (0..32).map(|bit| 1_u32 << bit).chain([0, 0x1234_5678, u32::MAX]) {
                assert_eq!(form.restored(form.turned(word)), word, "{form:?}, {word:08x}");
            }
        }
    }
    #[test]
    fn instructions_hold_the_addresses_an_assembler_gives_them() {
        for (set, at, word, address) in [
            (Set::A32, 0x20_0010_u64, 0xebff_be79_u32, 0x1e_f9fc_u64), // bl 0x1ef9fc
            (Set::A32, 0x20_0018, 0x1a00_0032, 0x20_00e8),             // bne 0x2000e8
            (Set::A32, 0x20_003c, 0xeaff_ffbc, 0x1f_ff34),             // b 0x1fff34
            (Set::A32, 0x1000, 0xfb00_0001, 0x100e),                   // blx 0x100e
            (Set::Thumb, 0x3_0024, 0xfe88_f012, 0x4_2d38),             // bl 0x42d38
            (Set::Thumb, 0x3_002e, 0xf81d_f7f5, 0x2_506c),             // bl 0x2506c
            (Set::Thumb, 0x3_0048, 0xeea0_f7f0, 0x2_0d8c),             // blx 0x20d8c
            (Set::Thumb, 0x3_0056, 0xee9a_f7f0, 0x2_0d8c),             // blx 0x20d8c, from between words
            (Set::Thumb, 0x3_0014, 0x80ad_f040, 0x3_0172),             // bne.w 0x30172
            (Set::Thumb, 0x3_003c, 0x8084_f000, 0x3_0148),             // beq.w 0x30148
        ] {
            let form = set.form(word).expect("it has a form");
            assert_eq!(set.len(word), 4);
            assert_eq!(form.address(word, at), address, "{word:08x}");
            assert_eq!(form.with(word, address, at), word, "{word:08x}");
            assert_eq!(form.with(form.blank(word), address, at), word, "{word:08x}");
        }
        // A word of an exception index: 0x100 behind itself, and what the highest bit says.
        assert_eq!(Form::Word.address(0x8000_0100, 0x1000), 0x1100);
        assert_eq!(Form::Word.with(0x8000_0100, 0xff0, 0x1000), 0xffff_fff0);
    }

    #[test]
    fn other_instructions_hold_no_address() {
        for (set, word) in [
            (Set::A32, 0xe354_0000_u32), // cmp r4, #0
            (Set::A32, 0xe59f_2708),     // ldr r2, [pc, #1800]
            (Set::Thumb, 0x0300_f04f),   // mov.w r3, #0
            (Set::Thumb, 0x0f00_f1b8),   // cmp.w r8, #0
            (Set::Thumb, 0x3000_f898),   // ldrb.w r3, [r8]
            (Set::Thumb, 0x8f5b_f3bf),   // dmb ish
            (Set::Thumb, 0xd1b9_4620),   // mov r0, r4; bne
        ] {
            assert_eq!(set.form(word), None, "{word:08x}");
        }
    }

    #[test]
    fn loads_of_literals_and_what_makes_addresses_of_them_are_known() {
        for (set, word, load) in [
            (Set::A32, 0xe59f_2708_u32, Some((2, 1800))), // ldr r2, [pc, #1800]
            (Set::A32, 0xe51f_1010, Some((1, -16))),      // ldr r1, [pc, #-16]
            (Set::A32, 0xe59d_004c, None),                // ldr r0, [sp, #76]
            (Set::Thumb, 0x4b5d_4a62, Some((2, 392))),    // ldr r2, [pc, #392]
            (Set::Thumb, 0x1170_f8df, Some((1, 368))),    // ldr.w r1, [pc, #368]
            (Set::Thumb, 0x8008_f85f, Some((8, -8))),     // ldr.w r8, [pc, #-8]
            (Set::Thumb, 0x0000_58d3, None),              // ldr r3, [r2, r3]
        ] {
            assert_eq!(set.load(word), load, "{word:08x}");
        }
        for (set, word, register) in [
            (Set::A32, 0xe08f_2002_u32, Some(2)), // add r2, pc, r2
            (Set::A32, 0xe080_000f, Some(0)),     // add r0, r0, pc
            (Set::A32, 0xe79f_3003, Some(3)),     // ldr r3, [pc, r3]
            (Set::A32, 0xe080_1002, None),        // add r1, r0, r2
            (Set::Thumb, 0x447a, Some(2)),        // add r2, pc
            (Set::Thumb, 0x44f9, Some(9)),        // add r9, pc
            (Set::Thumb, 0x4418, None),           // add r0, r3
        ] {
            assert_eq!(set.added(word), register, "{word:08x}");
        }
    }
}
