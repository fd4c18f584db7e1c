//! The same small programs for other machines.

use super::Function;

/// A machine, by its instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    A32,
    Thumb,
    RiscV,
}

impl Set {
    pub(crate) const ALL: [Self; 3] = [Self::A32, Self::Thumb, Self::RiscV];

    fn is_wide(self) -> bool {
        self == Self::RiscV
    }

    /// An instruction that has a byte of its own and no address.
    fn body(self, byte: u8) -> Vec<u8> {
        match self {
            // mov r0, #byte; movs r0, #byte; addi a0, zero, byte.
            Self::A32 => vec![byte, 0x00, 0xa0, 0xe3],
            Self::Thumb => vec![byte, 0x20],
            Self::RiscV => (0x0000_0513 | u32::from(byte) << 20).to_le_bytes().to_vec(),
        }
    }

    /// A call of `to` from `at`.
    fn call(self, at: usize, to: usize) -> Vec<u8> {
        let ahead = i32::try_from(to).unwrap() - i32::try_from(at).unwrap();
        match self {
            Self::A32 => {
                let number = ((ahead - 8) >> 2).cast_unsigned() & 0xff_ffff;
                (0xeb00_0000 | number).to_le_bytes().to_vec()
            }
            Self::Thumb => {
                let number = ((ahead - 4) >> 1).cast_unsigned();
                let bit = |bit: u32| (number >> bit) & 1;
                let sign = bit(23);
                let first = 0xf000 | sign << 10 | (number >> 11) & 0x3ff;
                let one = |bit: u32| 1 ^ bit ^ sign;
                let second = 0xd000 | one(bit(22)) << 13 | one(bit(21)) << 11 | number & 0x7ff;
                (second << 16 | first).to_le_bytes().to_vec()
            }
            Self::RiscV => {
                // auipc ra; jalr ra.
                let high = ((ahead + 0x800) >> 12).cast_unsigned();
                let low = ahead.cast_unsigned() & 0xfff;
                [(high << 12 | 0x97).to_le_bytes(), (low << 20 | 0x0000_80e7).to_le_bytes()].concat()
            }
        }
    }

    /// The end of a function at `at`, with a jump over nothing, and what takes the address of `to`.
    fn address(self, at: usize, to: usize) -> Vec<u8> {
        let ahead = |from: usize| i32::try_from(to).unwrap() - i32::try_from(from).unwrap();
        match self {
            Self::A32 => {
                // ldr r1, [pc, #4]; add r1, pc, r1; bx lr; literal.
                let code = [0xe59f_1004_u32, 0xe08f_1001, 0xe12f_ff1e];
                let code = code.into_iter().flat_map(u32::to_le_bytes);
                code.chain(ahead(at + 12).to_le_bytes()).collect()
            }
            Self::Thumb => {
                // At a whole word: ldr r1, [pc, #4]; add r1, pc; bx lr; nop; literal.
                let mut code = if at.is_multiple_of(4) { Vec::new() } else { vec![0x00, 0xbf] };
                let start = at + code.len();
                code.extend([0x01, 0x49, 0x79, 0x44, 0x70, 0x47, 0x00, 0xbf]);
                code.extend(ahead(start + 6).to_le_bytes());
                code
            }
            Self::RiscV => {
                // c.j over one; c.nop; auipc a0; c.nop; ld a0; c.jr ra.
                let high = ((ahead(at + 4) + 0x800) >> 12).cast_unsigned();
                let low = ahead(at + 4).cast_unsigned() & 0xfff;
                let mut code = vec![0x11, 0xa0, 0x01, 0x00];
                code.extend((high << 12 | 0x517).to_le_bytes());
                code.extend([0x01, 0x00]);
                code.extend((low << 20 | 0x0005_3503).to_le_bytes());
                code.extend([0x82, 0x80]);
                code
            }
        }
    }

    fn function(self, function: &Function, at: usize, starts: &[usize], data: usize) -> Vec<u8> {
        let mut code: Vec<u8> = function.body.iter().flat_map(|&byte| self.body(byte)).collect();
        for &callee in &function.calls {
            code.extend(self.call(at + code.len(), starts[callee]));
        }
        code.extend(self.address(at + code.len(), data));
        code
    }
}

const TEXT: usize = 0x1000;
const SECTIONS: u16 = 5;

/// An ELF file for a machine with `functions` in the `order` given, each of which takes the address of a pointer to
/// itself.
pub(crate) fn link_for(set: Set, functions: &[Function], order: &[usize]) -> Vec<u8> {
    // Neither the code's length nor where data lies depends on what lies where.
    let mut starts = vec![0; functions.len()];
    let mut at = TEXT;
    for &number in order {
        starts[number] = at;
        at += set.function(&functions[number], at, &vec![at; functions.len()], at).len();
        at = at.next_multiple_of(4);
    }
    let pointer = if set.is_wide() { 8 } else { 4 };
    let data = at.next_multiple_of(pointer);
    let mut file = vec![0; TEXT];
    for &number in order {
        file.resize(starts[number], 0);
        let code = set.function(&functions[number], file.len(), &starts, data + pointer * number);
        file.extend(code);
    }
    file.resize(data, 0);
    for start in &starts {
        file.extend(&u64::try_from(*start).unwrap().to_le_bytes()[..pointer]);
    }
    // An exception index, which says of each function that it is not unwound.
    let index = file.len();
    for &number in order {
        let ahead = i32::try_from(starts[number]).unwrap() - i32::try_from(file.len()).unwrap();
        file.extend((ahead.cast_unsigned() & 0x7fff_ffff).to_le_bytes());
        file.extend(1_u32.to_le_bytes());
    }
    let names = file.len();
    file.extend(b"\0.text\0.data\0.names\0.ARM.exidx\0");
    file.resize(file.len().next_multiple_of(8), 0);
    let sections = file.len();
    let index_kind = if set.is_wide() { 0x7000_0003 } else { 0x7000_0001 };
    for (name, kind, flags, start, len) in [
        (0, 0_u32, 0_u32, 0, 0),
        (1, 1, 6, TEXT, data - TEXT),
        (7, 1, 3, data, index - data),
        (13, 3, 0, names, 31),
        (20, index_kind, 2, index, names - index),
    ] {
        file.extend(u32::to_le_bytes(name));
        file.extend(kind.to_le_bytes());
        for long in [usize::try_from(flags).unwrap(), start, start, len] {
            file.extend(&u64::try_from(long).unwrap().to_le_bytes()[..pointer]);
        }
        file.extend([0; 8]);
        file.resize(file.len() + 2 * pointer, 0);
    }
    let header = header(set, names, sections);
    file[..header.len()].copy_from_slice(&header);
    file
}

/// File header and the header of the one segment, readable, writable and executable.
fn header(set: Set, len: usize, sections: usize) -> Vec<u8> {
    let pointer = if set.is_wide() { 8 } else { 4 };
    let long = |number: usize| u64::try_from(number).unwrap().to_le_bytes()[..pointer].to_vec();
    let (class, machine, header_len, program_len, section_len) =
        if set.is_wide() { (2, 243_u16, 64, 56, 64) } else { (1, 40, 52, 32, 40) };
    let mut header = b"\x7fELF".to_vec();
    header.extend([class, 1, 1]);
    header.resize(16, 0);
    header.extend(3_u16.to_le_bytes());
    header.extend(machine.to_le_bytes());
    header.extend(1_u32.to_le_bytes());
    header.extend([long(TEXT), long(header_len), long(sections)].concat());
    header.extend([0; 4]);
    let header_len = u16::try_from(header_len).unwrap();
    for half in [header_len, program_len, 1, section_len, SECTIONS, 3] {
        header.extend(half.to_le_bytes());
    }
    header.extend(1_u32.to_le_bytes());
    let flags = 7_u32.to_le_bytes();
    if set.is_wide() {
        header.extend(flags);
    }
    header.extend([long(0), long(0), long(0), long(len), long(len)].concat());
    if !set.is_wide() {
        header.extend(flags);
    }
    header.extend(long(0x1000));
    header
}
