//! The instructions of `AArch64` that hold an address or a part of one, and how they hold it.

/// How an instruction holds an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A distance in words, 26 bits from bit 0.
    Branch,
    /// A distance in words, 19 bits from bit 5.
    Near,
    /// A distance in words, 14 bits from bit 5.
    Test,
    /// A distance in bytes, split: ADR.
    Bytes,
    /// A distance in pages of 4096 bytes, split: ADRP.
    Pages,
    /// The place in a page, in units of 2^n bytes: ADD, loads and stores.
    Low(u32),
}

/// The bits of a register's number in the place of the first operand.
pub(crate) fn operand(word: u32) -> usize {
    ((word >> 5) & 31) as usize
}

/// The bits of a register's number in the place of the result.
pub(crate) fn result(word: u32) -> usize {
    (word & 31) as usize
}

/// The form of an instruction, if it has one of them.
pub(crate) fn form(word: u32) -> Option<Form> {
    let is = |mask: u32, bits: u32| word & mask == bits;
    if is(0x7c00_0000, 0x1400_0000) {
        Some(Form::Branch)
    } else if is(0xff00_0010, 0x5400_0000) || is(0x7e00_0000, 0x3400_0000) || is(0x3b00_0000, 0x1800_0000) {
        Some(Form::Near)
    } else if is(0x7e00_0000, 0x3600_0000) {
        Some(Form::Test)
    } else if is(0x9f00_0000, 0x1000_0000) {
        Some(Form::Bytes)
    } else if is(0x9f00_0000, 0x9000_0000) {
        Some(Form::Pages)
    } else if is(0xffc0_0000, 0x9100_0000) {
        Some(Form::Low(0))
    } else if is(0x3b00_0000, 0x3900_0000) {
        // A vector register of 128 bits has a size of its own.
        let whole_vector = is(0xff80_0000, 0x3d80_0000);
        Some(Form::Low(if whole_vector { 4 } else { word >> 30 }))
    } else {
        None
    }
}

impl Form {
    /// The instruction with its bits turned so that those of the address are the lowest.
    pub(crate) fn turned(self, word: u32) -> u32 {
        match self {
            Self::Branch => word,
            Self::Near | Self::Test => word.rotate_right(5),
            Self::Bytes | Self::Pages => {
                let rest = (word & 31) | ((word >> 19) & 0x3e0) | ((word >> 21) & 0x400);
                (rest << 21) | ((word >> 3) & 0x1f_fffc) | ((word >> 29) & 3)
            }
            Self::Low(_) => word.rotate_right(10),
        }
    }

    /// Undoes [`Form::turned`].
    pub(crate) fn restored(self, turned: u32) -> u32 {
        match self {
            Self::Branch => turned,
            Self::Near | Self::Test => turned.rotate_left(5),
            Self::Bytes | Self::Pages => {
                let rest = turned >> 21;
                let high = (rest & 31) | ((rest & 0x3e0) << 19) | ((rest & 0x400) << 21);
                high | ((turned & 0x1f_fffc) << 3) | ((turned & 3) << 29)
            }
            Self::Low(_) => turned.rotate_left(10),
        }
    }

    fn bits(self) -> u32 {
        match self {
            Self::Branch => 26,
            Self::Near => 19,
            Self::Test => 14,
            Self::Bytes | Self::Pages => 21,
            Self::Low(_) => 12,
        }
    }

    /// The instruction without the address it holds.
    pub(crate) fn blank(self, word: u32) -> u32 {
        self.restored(self.turned(word) & !((1 << self.bits()) - 1))
    }

    /// The address that the instruction `word` at `field` holds. `aside` is the rest of it where it holds a part: the
    /// address of the page, or the place in the page.
    pub(crate) fn address(self, word: u32, field: u64, aside: u64) -> u64 {
        let number = u64::from(self.turned(word)) & ((1 << self.bits()) - 1);
        let signed = {
            let above = u64::BITS - self.bits();
            ((number << above).cast_signed() >> above).cast_unsigned()
        };
        match self {
            Self::Branch | Self::Near | Self::Test => field.wrapping_add(signed << 2),
            Self::Bytes => field.wrapping_add(signed),
            Self::Pages => (field & !0xfff).wrapping_add(signed << 12).wrapping_add(aside),
            Self::Low(scale) => aside.wrapping_add(number << scale),
        }
    }

    /// The instruction `word` with `address` in it, at `field`.
    pub(crate) fn with(self, word: u32, address: u64, field: u64) -> u32 {
        let number = match self {
            Self::Branch | Self::Near | Self::Test => address.wrapping_sub(field) >> 2,
            Self::Bytes => address.wrapping_sub(field),
            Self::Pages => (address >> 12).wrapping_sub(field >> 12),
            Self::Low(scale) => (address & 0xfff) >> scale,
        };
        let [a, b, c, d, ..] = number.to_le_bytes();
        let mask = (1 << self.bits()) - 1;
        self.restored((self.turned(word) & !mask) | (u32::from_le_bytes([a, b, c, d]) & mask))
    }
}

/// The place in a page that belongs to the ADRP at the start of `bytes`, if one of the next instructions within `len`
/// bytes brings it.
pub(crate) fn place_in_page(bytes: &[u8], len: u32) -> u64 {
    let mut words = bytes[..bytes.len().min(len as usize)]
        .chunks_exact(4)
        .map(|bytes| bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)));
    let Some(page) = words.next() else { return 0 };
    for word in words.take(AHEAD) {
        if let Some(form @ Form::Low(_)) = form(word)
            && operand(word) == result(page)
        {
            return form.address(word, 0, 0);
        }
    }
    0
}

/// Words after an ADRP among which the place in the page is looked for.
const AHEAD: usize = 5;

/// Finds the places in pages that belong to an ADRP shortly before.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// For each register the word behind the last in which its page counts, words being counted from the start.
    until: [u32; 32],
    word: u32,
}

/// Words after an ADRP in which its page is looked for.
const REACH: u32 = 8;

impl Pairs {
    /// Whether the next instruction is a field.
    pub(super) fn is_field(&mut self, word: u32) -> bool {
        self.word += 1;
        match form(word) {
            Some(Form::Pages) => {
                self.until[result(word)] = self.word + REACH;
                true
            }
            Some(Form::Low(_)) => {
                let is_pair = self.word <= self.until[operand(word)];
                self.until[result(word)] = 0;
                is_pair
            }
            Some(_) => true,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turning_and_restoring_an_instruction_gives_it_back() {
        for form in [Form::Branch, Form::Near, Form::Test, Form::Bytes, Form::Pages, Form::Low(3)] {
            for bit in 0..32 {
                let word = 1_u32 << bit;
                assert_eq!(form.restored(form.turned(word)), word, "{form:?}, bit {bit}");
            }
        }
    }

    #[test]
    fn instructions_hold_the_addresses_an_assembler_gives_them() {
        // Assembled at 0x40_1000.
        for (word, address) in [
            (0x9400_0040_u32, 0x40_1100_u64), // bl 0x401100
            (0x17ff_ffff, 0x40_0ffc),         // b 0x400ffc
            (0x5400_0080, 0x40_1010),         // b.eq 0x401010
            (0xb400_0040, 0x40_1008),         // cbz x0, 0x401008
            (0x3708_0041, 0x40_1008),         // tbnz w1, #1, 0x401008
            (0x1000_0040, 0x40_1008),         // adr x0, 0x401008
            (0xb000_0000, 0x40_2000),         // adrp x0, 0x402000
        ] {
            let form = form(word).expect("it has a form");
            assert_eq!(form.address(word, 0x40_1000, 0), address, "{word:08x}");
            assert_eq!(form.with(word, address, 0x40_1000), word, "{word:08x}");
        }
        // ldr x1, [x0, #0x18] behind that page.
        let form = form(0xf940_0c01).expect("it has a form");
        assert_eq!(form.address(0xf940_0c01, 0x40_1004, 0x40_2000), 0x40_2018);
        assert_eq!(form.with(0xf940_0c01, 0x40_2020, 0x40_1004), 0xf940_1001);
    }
}
