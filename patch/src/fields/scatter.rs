//! Numbers whose bits lie scattered in an instruction.

/// So many bits from `from` of the instruction are those from `to` of the number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    from: u32,
    len: u32,
    to: u32,
}

/// A piece of a number.
pub(super) const fn piece(from: u32, len: u32, to: u32) -> Piece {
    Piece { from, len, to }
}

impl Piece {
    fn mask(self) -> u32 {
        (1 << self.len) - 1
    }
}

/// The pieces of one number; together they are all its bits, and fewer than the instruction's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scattered(pub(super) &'static [Piece]);

impl Scattered {
    /// Bits of the number.
    pub(super) fn bits(self) -> u32 {
        self.0.iter().map(|piece| piece.len).sum()
    }

    /// The number in an instruction, without a sign.
    pub(super) fn number(self, word: u32) -> u32 {
        self.0.iter().fold(0, |number, piece| number | ((word >> piece.from) & piece.mask()) << piece.to)
    }

    /// The number in an instruction, its highest bit being its sign.
    pub(super) fn signed(self, word: u32) -> u64 {
        let above = u32::BITS - self.bits();
        let number = (self.number(word) << above).cast_signed() >> above;
        i64::from(number).cast_unsigned()
    }

    /// The instruction with the lowest bits of `number` as its number.
    pub(super) fn with(self, word: u32, number: u64) -> u32 {
        let [a, b, c, d, ..] = number.to_le_bytes();
        let number = u32::from_le_bytes([a, b, c, d]);
        self.0
            .iter()
            .fold(self.blank(word), |word, piece| word | ((number >> piece.to) & piece.mask()) << piece.from)
    }

    /// The instruction with zero as its number.
    pub(super) fn blank(self, word: u32) -> u32 {
        self.0.iter().fold(word, |word, piece| word & !(piece.mask() << piece.from))
    }

    /// The bits of an instruction in another order: those of the number are the lowest.
    pub(super) fn turned(self, word: u32) -> u32 {
        let (mut turned, mut at) = (self.number(word), self.bits());
        for bit in self.others() {
            turned |= ((word >> bit) & 1) << at;
            at += 1;
        }
        turned
    }

    /// Undoes [`Scattered::turned`].
    pub(super) fn restored(self, turned: u32) -> u32 {
        let (mut word, mut at) = (self.with(0, u64::from(turned)), self.bits());
        for bit in self.others() {
            word |= ((turned >> at) & 1) << bit;
            at += 1;
        }
        word
    }

    /// The bits of an instruction that are not of the number.
    fn others(self) -> impl Iterator<Item = u32> {
        let number = !self.blank(u32::MAX);
        (0..u32::BITS).filter(move |bit| (number >> bit) & 1 == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPLIT: Scattered = Scattered(&const { [piece(3, 4, 5), piece(20, 5, 0)] });
    const ONE: Scattered = Scattered(&const { [piece(0, 31, 0)] });

    #[test]
    fn a_number_in_pieces_is_read_as_it_was_written() {
        let scattered = SPLIT;
        assert_eq!(scattered.bits(), 9);
        let word = scattered.with(0xffff_ffff, 0b1010_00110);
        assert_eq!(word, 0xfe6f_ffd7);
        assert_eq!(scattered.number(word), 0b1010_00110);
        assert_eq!(scattered.signed(word).cast_signed(), 0b1010_00110 - 512);
        assert_eq!(scattered.blank(word), 0xfe0f_ff87);
        assert_eq!(scattered.turned(word) & 0x1ff, 0b1010_00110);
    }

    #[test]
    fn turning_and_restoring_an_instruction_gives_it_back() {
        for scattered in [SPLIT, ONE] {
            for word in (0..32).map(|bit| 1_u32 << bit).chain([0x1234_5678, u32::MAX]) {
                assert_eq!(scattered.restored(scattered.turned(word)), word, "{word:08x}");
            }
        }
    }
}
