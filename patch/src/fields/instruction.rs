//! Instructions that hold an address or a part of one, of all sets that have a fixed place for it.

use super::{aarch64, arm, riscv};

/// An instruction, by its set and how it holds the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instruction {
    A64(aarch64::Form),
    Arm(arm::Set, arm::Form),
    RiscV(riscv::Form),
}

/// How many numbers [`Instruction::number`] gives.
pub(crate) const NUMBERS: usize = 12;

/// What an instruction has to do with those around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It holds the whole address.
    Whole,
    /// It leaves a part of the address in this register.
    First(usize),
    /// It has the rest for what this register holds.
    Rest(usize),
}

impl Instruction {
    /// An instruction of each set, of four or of two bytes, for places of which no more is known.
    pub(crate) const ANY_A64: Self = Self::A64(aarch64::Form::Branch);
    pub(crate) const ANY_A32: Self = Self::Arm(arm::Set::A32, arm::Form::Branch);
    pub(crate) const ANY_THUMB: Self = Self::Arm(arm::Set::Thumb, arm::Form::Wide);
    pub(crate) const ANY_RISCV: Self = Self::RiscV(riscv::Form::Jump);
    pub(crate) const ANY_SHORT_RISCV: Self = Self::RiscV(riscv::Form::ShortJump);
    /// A word of an exception index of ARM.
    pub(crate) const INDEX: Self = Self::Arm(arm::Set::A32, arm::Form::Word);

    /// The instruction of the same set and length that `word` is, if it holds an address.
    pub(crate) fn read(self, word: u32) -> Option<Self> {
        match self {
            Self::A64(_) => aarch64::form(word).map(Self::A64),
            Self::Arm(_, arm::Form::Word) => Some(self),
            Self::Arm(set, _) => set.form(word).map(|form| Self::Arm(set, form)),
            Self::RiscV(any) => riscv::form(word).filter(|form| form.len() == any.len()).map(Self::RiscV),
        }
    }

    /// A number below [`NUMBERS`] that tells apart what is predicted not equally well.
    pub(crate) fn number(self) -> usize {
        match self {
            Self::A64(aarch64::Form::Branch) => 0,
            Self::A64(aarch64::Form::Near | aarch64::Form::Test) => 1,
            Self::A64(aarch64::Form::Bytes | aarch64::Form::Pages) => 2,
            Self::A64(aarch64::Form::Low(_)) => 3,
            Self::Arm(_, arm::Form::Branch | arm::Form::Wide) => 4,
            Self::Arm(_, arm::Form::Exchange | arm::Form::WideExchange) => 5,
            Self::Arm(_, arm::Form::Conditional) => 6,
            Self::Arm(_, arm::Form::Word) => 7,
            Self::RiscV(riscv::Form::Jump) => 8,
            Self::RiscV(riscv::Form::Branch | riscv::Form::ShortJump | riscv::Form::ShortBranch) => 9,
            Self::RiscV(riscv::Form::High) => 10,
            Self::RiscV(riscv::Form::Low | riscv::Form::LowStore) => 11,
        }
    }

    /// Bytes of the instruction.
    pub(crate) fn len(self) -> u32 {
        match self {
            Self::A64(_) | Self::Arm(..) => 4,
            Self::RiscV(form) => form.len(),
        }
    }

    /// What part of the address `word` is.
    pub(crate) fn part(self, word: u32) -> Part {
        match self {
            Self::A64(aarch64::Form::Pages) => Part::First(aarch64::result(word)),
            Self::A64(aarch64::Form::Low(_)) => Part::Rest(aarch64::operand(word)),
            Self::RiscV(riscv::Form::High) => Part::First(riscv::result(word)),
            Self::RiscV(form) if form.is_low() => Part::Rest(riscv::operand(word)),
            _ => Part::Whole,
        }
    }

    /// What the instructions at the start of `bytes`, within `len` of them, add to the part of the address that the
    /// first of them leaves.
    pub(crate) fn rest(self, bytes: &[u8], len: u32) -> u64 {
        match self {
            Self::A64(_) => aarch64::place_in_page(bytes, len),
            Self::Arm(..) => 0,
            Self::RiscV(_) => riscv::added(bytes, len),
        }
    }

    /// The instruction with its bits turned so that those of the address are the lowest.
    pub(crate) fn turned(self, word: u32) -> u32 {
        match self {
            Self::A64(form) => form.turned(word),
            Self::Arm(_, form) => form.turned(word),
            Self::RiscV(form) => form.turned(word),
        }
    }

    /// Undoes [`Instruction::turned`].
    pub(crate) fn restored(self, turned: u32) -> u32 {
        match self {
            Self::A64(form) => form.restored(turned),
            Self::Arm(_, form) => form.restored(turned),
            Self::RiscV(form) => form.restored(turned),
        }
    }

    /// The instruction without the address it holds.
    pub(crate) fn blank(self, word: u32) -> u32 {
        match self {
            Self::A64(form) => form.blank(word),
            Self::Arm(_, form) => form.blank(word),
            Self::RiscV(form) => form.blank(word),
        }
    }

    /// The address that the instruction `word` at `field` holds. `aside` is the part of it that others hold.
    pub(crate) fn address(self, word: u32, field: u64, aside: u64) -> u64 {
        match self {
            Self::A64(form) => form.address(word, field, aside),
            Self::Arm(_, form) => form.address(word, field),
            Self::RiscV(form) => form.address(word, field, aside),
        }
    }

    /// The instruction `word` with `address` in it, at `field`.
    pub(crate) fn with(self, word: u32, address: u64, field: u64, aside: u64) -> u32 {
        match self {
            Self::A64(form) => form.with(word, address, field),
            Self::Arm(_, form) => form.with(word, address, field),
            Self::RiscV(form) => form.with(word, address, field, aside),
        }
    }
}
