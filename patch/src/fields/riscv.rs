//! The instructions of RISC-V that hold an address or a part of one, and how they hold it.
//!
//! Instructions have two bytes or four. A word has the first two in its low half.

use super::scatter::{Scattered, piece};

/// How an instruction holds an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A distance in halves of words: JAL.
    Jump,
    /// A distance in halves of words: a branch.
    Branch,
    /// Two bytes, a distance in halves of words: C.J.
    ShortJump,
    /// Two bytes, a distance in halves of words: C.BEQZ, C.BNEZ.
    ShortBranch,
    /// A distance in units of 4096 bytes, to which another instruction adds: AUIPC.
    High,
    /// What is added: ADDI, loads and JALR.
    Low,
    /// What is added: stores.
    LowStore,
}

/// The number of a register, of which the lowest five bits count.
fn register(bits: u32) -> usize {
    (bits & 31) as usize
}

/// The register that an instruction of four bytes adds to.
pub(crate) fn operand(word: u32) -> usize {
    register(word >> 15)
}

/// The register that takes the result of an instruction of four bytes.
pub(crate) fn result(word: u32) -> usize {
    register(word >> 7)
}

/// Bytes of the instruction at the start of `word`.
pub(crate) fn len(word: u32) -> u32 {
    if word & 3 == 3 { 4 } else { 2 }
}

/// The form of an instruction, if it has one of them.
pub(crate) fn form(word: u32) -> Option<Form> {
    if len(word) == 2 {
        return match word & 0xe003 {
            0xa001 => Some(Form::ShortJump),
            0xc001 | 0xe001 => Some(Form::ShortBranch),
            _ => None,
        };
    }
    match (word & 0x7f, (word >> 12) & 7) {
        (0x6f, _) => Some(Form::Jump),
        (0x63, _) => Some(Form::Branch),
        (0x17, _) => Some(Form::High),
        // Loads of integers and of floating-point numbers, ADDI, JALR.
        (0x03 | 0x07, _) | (0x13 | 0x67, 0) => Some(Form::Low),
        (0x23 | 0x27, _) => Some(Form::LowStore),
        _ => None,
    }
}

impl Form {
    /// Bytes of the instruction.
    pub(crate) fn len(self) -> u32 {
        if matches!(self, Self::ShortJump | Self::ShortBranch) { 2 } else { 4 }
    }

    /// Whether it adds to what an AUIPC left.
    pub(crate) fn is_low(self) -> bool {
        matches!(self, Self::Low | Self::LowStore)
    }

    fn scattered(self) -> Scattered {
        Scattered(match self {
            Self::Jump => &const { [piece(21, 10, 0), piece(20, 1, 10), piece(12, 8, 11), piece(31, 1, 19)] },
            Self::Branch => &const { [piece(8, 4, 0), piece(25, 6, 4), piece(7, 1, 10), piece(31, 1, 11)] },
            Self::ShortJump => {
                &const {
                    [
                        piece(3, 3, 0),
                        piece(11, 1, 3),
                        piece(2, 1, 4),
                        piece(7, 1, 5),
                        piece(6, 1, 6),
                        piece(9, 2, 7),
                        piece(8, 1, 9),
                        piece(12, 1, 10),
                    ]
                }
            }
            Self::ShortBranch => {
                &const { [piece(3, 2, 0), piece(10, 2, 2), piece(2, 1, 4), piece(5, 2, 5), piece(12, 1, 7)] }
            }
            Self::High => &const { [piece(12, 20, 0)] },
            Self::Low => &const { [piece(20, 12, 0)] },
            Self::LowStore => &const { [piece(7, 5, 0), piece(25, 7, 5)] },
        })
    }

    /// The instruction with its bits turned so that those of the address are the lowest.
    pub(crate) fn turned(self, word: u32) -> u32 {
        self.scattered().turned(word)
    }

    /// Undoes [`Form::turned`].
    pub(crate) fn restored(self, turned: u32) -> u32 {
        self.scattered().restored(turned)
    }

    /// The instruction without the address it holds.
    pub(crate) fn blank(self, word: u32) -> u32 {
        self.scattered().blank(word)
    }

    /// The address that the instruction `word` at `field` holds. `aside` is the rest of it where it holds a part: what
    /// is added to an AUIPC, or what that left.
    pub(crate) fn address(self, word: u32, field: u64, aside: u64) -> u64 {
        let number = self.scattered().signed(word);
        match self {
            Self::Jump | Self::Branch | Self::ShortJump | Self::ShortBranch => {
                field.wrapping_add(number << 1)
            }
            Self::High => field.wrapping_add(number << 12).wrapping_add(aside),
            Self::Low | Self::LowStore => aside.wrapping_add(number),
        }
    }

    /// The instruction `word` with `address` in it, at `field`.
    pub(crate) fn with(self, word: u32, address: u64, field: u64, aside: u64) -> u32 {
        let number = match self {
            Self::Jump | Self::Branch | Self::ShortJump | Self::ShortBranch => {
                address.wrapping_sub(field) >> 1
            }
            // What is added has a sign.
            Self::High => address.wrapping_sub(field).wrapping_add(0x800) >> 12,
            Self::Low | Self::LowStore => address.wrapping_sub(aside),
        };
        self.scattered().with(word, number)
    }
}

/// Bytes behind an AUIPC among which what is added is looked for when the AUIPC is predicted.
const AHEAD: usize = 24;

/// What is added to the AUIPC at the start of `bytes`, if one of the next instructions within `len` bytes adds to it.
pub(crate) fn added(bytes: &[u8], len: u32) -> u64 {
    let bytes = &bytes[..bytes.len().min(len as usize).min(AHEAD)];
    let word = |at: usize| bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    let Some(high) = word(0) else { return 0 };
    let mut at = 4;
    while let Some(next) = word(at) {
        if let Some(form) = form(next)
            && form.is_low()
            && operand(next) == result(high)
        {
            return form.address(next, 0, 0);
        }
        at += len_in_memory(next);
    }
    0
}

fn len_in_memory(word: u32) -> usize {
    if len(word) == 4 { 4 } else { 2 }
}

/// What an instruction is to a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It holds no address.
    Other,
    /// It is a field of its own bytes.
    Field,
    /// It is one, and takes for itself this distance from the AUIPC at this place.
    Taken(u32, u64),
}

/// Finds what is added to an AUIPC shortly before.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// For each register the AUIPC that last wrote it: its place, the place behind the last where it counts, and its
    /// distance.
    highs: [(u32, u32, u64); 32],
}

/// Bytes behind an AUIPC in which what is added to it is looked for.
const REACH: u32 = 64;

impl Pairs {
    /// What the next instruction is, which lies at `at`.
    pub(super) fn see(&mut self, word: u32, at: u32) -> Seen {
        match form(word) {
            Some(form @ Form::High) => {
                self.highs[result(word)] = (at, at.saturating_add(REACH), form.address(word, 0, 0));
                Seen::Field
            }
            Some(form) if form.is_low() => {
                let (high, until, distance) = self.highs[operand(word)];
                if form == Form::Low {
                    self.highs[result(word)].1 = 0;
                }
                if at >= until {
                    Seen::Other
                } else if word & 0x7f == 0x13 {
                    Seen::Taken(high, form.address(word, 0, distance))
                } else {
                    Seen::Field
                }
            }
            Some(_) => Seen::Field,
            None => Seen::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turning_and_restoring_an_instruction_gives_it_back() {
        for form in [
            Form::Jump,
            Form::Branch,
            Form::ShortJump,
            Form::ShortBranch,
            Form::High,
            Form::Low,
            Form::LowStore,
        ] {
            for word in (0..32).map(|bit| 1_u32 << bit).chain([0, 0x1234_5678, u32::MAX]) {
                assert_eq!(form.restored(form.turned(word)), word, "{form:?}, {word:08x}");
            }
        }
    }

    #[test]
    fn instructions_hold_the_addresses_an_assembler_gives_them() {
        for (at, word, address) in [
            (0x90_007c_u64, 0xa735_u32, 0x90_07a8_u64), // c.j 0x9007a8
            (0x90_0080, 0xc119, 0x90_0086),             // c.beqz a0, 0x900086
            (0x90_00b4, 0x48d0_006f, 0x90_0d40),        // j 0x900d40
            (0x90_0126, 0x77a5_0563, 0x90_0890),        // beq a0, s10, 0x900890
            (0x90_017c, 0x13a5_10e3, 0x90_0a9c),        // bne a0, s10, 0x900a9c
        ] {
            let form = form(word).expect("it has a form");
            assert_eq!(len(word), form.len());
            assert_eq!(form.address(word, at, 0), address, "{word:08x}");
            assert_eq!(form.with(word, address, at, 0), word, "{word:08x}");
            assert_eq!(form.with(form.blank(word), address, at, 0), word, "{word:08x}");
        }
    }

    #[test]
    fn an_auipc_and_what_adds_to_it_hold_an_address_together() {
        for (at, high, low, address) in [
            (0x40_06cc_u64, 0x00bd_8697_u32, 0xc8c6_a683_u32, 0xfd_8358_u64), // lw a3, -884(a3)
            (0x90_00a8, 0xfff3_c097, 0x08a0_80e7, 0x83_c132),                 // jalr 138(ra)
            (0x1000, 0x0000_2517, 0x3721_3023, 0x3000 + 864),                 // sd s2, 864(sp)
        ] {
            let (first, second) = (form(high).expect("an AUIPC"), form(low).expect("it adds"));
            assert!(first == Form::High && second.is_low());
            let rest = second.address(low, at + 4, 0);
            assert_eq!(first.address(high, at, rest), address, "{high:08x}");
            let sum = first.address(high, at, 0);
            assert_eq!(second.address(low, at + 4, sum), address, "{low:08x}");
            assert_eq!(first.with(first.blank(high), address, at, 0), high);
            assert_eq!(second.with(second.blank(low), address, at + 4, sum), low);
        }
    }

    #[test]
    fn what_is_added_is_found_behind_other_instructions() {
        // auipc a1, 0; c.nop; lw a0, 8(a0); addi a1, a1, -2.
        let words = [0x0000_0597_u32, 0x2503_0001, 0x8593_0085, 0x0000_ffe5];
        let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        assert_eq!(added(&bytes, 16).cast_signed(), -2);
        assert_eq!(added(&bytes, 13), 0, "the copy ends within what adds");
        let mut pairs = Pairs::default();
        assert_eq!(pairs.see(0x0000_0597, 100), Seen::Field);
        assert_eq!(pairs.see(0x0085_2503, 106), Seen::Other, "another register");
        assert_eq!(pairs.see(0xffe5_8593, 110), Seen::Taken(100, 2_u64.wrapping_neg()));
        assert_eq!(pairs.see(0xffe5_8593, 114), Seen::Other, "the register has another value");
        assert_eq!(pairs.see(0x0000_0597, 200), Seen::Field);
        assert_eq!(pairs.see(0xffe5_8593, 200 + REACH), Seen::Other, "too far away");
    }
}
