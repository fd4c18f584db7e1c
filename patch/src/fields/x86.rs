//! How long an instruction of x86-64 is, and where in it an address is.
//!
//! Part of the format: a reader must find the same fields. It knows no more than lengths need; what is no
//! instruction has some length, too.

/// What a sweep needs to know of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) len: u8,
    /// Where in the instruction four bytes lie that count from the instruction's end to an address; 0 if there are none.
    pub(super) field: u8,
    /// Whether it takes that address for itself rather than what is there.
    pub(super) is_lea: bool,
}

/// What follows an opcode. Each letter of the maps below is one of these:
/// `.` nothing, `m` operands (a `ModRM` byte and what it brings), `b` a byte, `w` two bytes, `e` three bytes,
/// `z` four bytes (two with a 66 prefix), `v` as `z` or eight bytes with REX.W, `o` eight bytes (four with a 67
/// prefix), `B` operands and a byte, `Z` operands and `z`, `T` and `U` operands and `b` or `z` if the operands' middle
/// field is 0 or 1, `J` four bytes of relative address.
const ONE_BYTE: &[u8; 256] = b"\
mmmmbz..mmmmbz..mmmmbz..mmmmbz..\
mmmmbz..mmmmbz..mmmmbz..mmmmbz..\
................................\
...m....zZbB....bbbbbbbbbbbbbbbb\
BZ.Bmmmmmmmmmmmm................\
oooo....bz......bbbbbbbbvvvvvvvv\
BBw...BZe.w..b..mmmm....mmmmmmmm\
bbbbbbbbJJ.b..........TU......mm";

const TWO_BYTES: &[u8; 256] = b"\
mmmm.........m.Bmmmmmmmmmmmmmmmm\
mmmm....mmmmmmmm................\
mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm\
mmmmmmmmmmmmmmmmBBBBmmm.mmmmmmmm\
JJJJJJJJJJJJJJJJmmmmmmmmmmmmmmmm\
...mBmmm...mBmmmmmmmmmmmmmBmmmmm\
mmBmBBBmmmmmmmmmmmmmmmmmmmmmmmmm\
mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm";

/// What a letter says, as bits: whether there are operands, whether what follows them is only there if their middle
/// field is 0 or 1, and a row of [`LENGTHS`].
const OPERANDS: u8 = 0x80;
const TESTS: u8 = 0x40;
const LENGTH: u8 = 0x0f;

const fn meaning(letter: u8) -> u8 {
    match letter {
        b'b' => 1,
        b'w' => 2,
        b'e' => 3,
        b'z' => 4,
        b'v' => 5,
        b'o' => 6,
        b'J' => RELATIVE,
        b'm' => OPERANDS,
        b'B' => OPERANDS | 1,
        b'Z' => OPERANDS | 4,
        b'T' => OPERANDS | TESTS | 1,
        b'U' => OPERANDS | TESTS | 4,
        _ => 0,
    }
}

const RELATIVE: u8 = 7;

/// Of opcodes that more than one byte behind them belongs to.
const LONGER: u8 = 0x20;

/// What opcodes say, and behind that what those behind 0F say.
const SAYS: [u8; 512] = {
    let mut says = [0; 512];
    let mut opcode = 0;
    while opcode < 256 {
        says[opcode] = meaning(ONE_BYTE[opcode]);
        says[256 + opcode] = meaning(TWO_BYTES[opcode]);
        opcode += 1;
    }
    says[0xc4] = LONGER;
    says[0xc5] = LONGER;
    says[0x62] = LONGER;
    says[256 + 0x38] = LONGER;
    says[256 + 0x3a] = LONGER;
    says
};

/// What prefixes say, as bits; REX.W is one of them.
const NARROW: u8 = 1;
const SHORT_ADDRESSES: u8 = 2;
const WIDE: u8 = 4;
const OTHER: u8 = 8;

const PREFIXES: [u8; 256] = {
    let mut prefixes = [0; 256];
    let others = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0xf0, 0xf2, 0xf3];
    let mut at = 0;
    while at < others.len() {
        prefixes[others[at]] = OTHER;
        at += 1;
    }
    prefixes[0x66] = NARROW;
    prefixes[0x67] = SHORT_ADDRESSES;
    prefixes
};

/// Bytes behind opcode and operands, by what the letter says and by the prefixes.
const LENGTHS: [[u8; 8]; 8] = [
    [0; 8],
    [1; 8],
    [2; 8],
    [3; 8],
    [4, 2, 4, 2, 4, 4, 4, 4],
    [4, 2, 4, 2, 8, 8, 8, 8],
    [8, 8, 4, 4, 8, 8, 4, 4],
    [4; 8],
];

/// Bytes of operands by their first byte, that one included; the highest bit says that they are relative to the
/// instruction's end.
const OPERAND_LENGTHS: [u8; 256] = {
    let mut lengths = [0; 256];
    let mut operands = 0;
    while operands < 256 {
        let scaled = (operands & 7 == 4) as u8;
        lengths[operands] = match operands >> 6 {
            0 if operands & 7 == 5 => RELATIVE_OPERANDS | 5,
            0 => 1 + scaled,
            1 => 2 + scaled,
            2 => 5 + scaled,
            _ => 1,
        };
        operands += 1;
    }
    lengths
};

const RELATIVE_OPERANDS: u8 = 0x80;

/// Bytes that are looked at: more than prefixes, opcode and operands ever take.
const SHOWN: usize = 32;

/// Reads the instruction that `bytes` start with; what is missing counts as zeros. It has 31 bytes at most.
#[inline]
pub(super) fn read(bytes: &[u8]) -> Instruction {
    if let Some(shown) = bytes.first_chunk() {
        return read_shown(shown);
    }
    let mut shown = [0; SHOWN];
    shown.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    read_shown(&shown)
}

/// It has few branches: what comes next in code is what processors foretell worst.
#[inline]
fn read_shown(bytes: &[u8; SHOWN]) -> Instruction {
    let byte = |at: usize| bytes[at % SHOWN];
    let mut at = 0;
    let mut prefixes = 0;
    // No instruction is longer than 15 bytes, so no more prefixes than that.
    while at < 14 {
        let prefix = PREFIXES[usize::from(byte(at))];
        if prefix == 0 {
            break;
        }
        prefixes |= prefix;
        at += 1;
    }
    let is_rex = u8::from(byte(at) & 0xf0 == 0x40);
    prefixes |= (byte(at) & 8) / 8 * WIDE * is_rex;
    at += usize::from(is_rex);
    let opcode = byte(at);
    let is_second = usize::from(opcode == 0x0f);
    at += 1 + is_second;
    let mut says = SAYS[256 * is_second + usize::from(byte(at - 1))];
    if says == LONGER {
        let (longer, bytes) = longer(opcode, [0, 1, 2, 3, 4].map(|ahead| byte(at - 1 + ahead)));
        says = longer;
        at += bytes;
    }
    let operands = byte(at);
    let has_operands = u8::from(says & OPERANDS != 0);
    let len = OPERAND_LENGTHS[usize::from(operands)] * has_operands;
    // A scaled index without a register to add it to has four bytes of address.
    let is_bare = u8::from(operands & 0xc7 == 4) & u8::from(byte(at + 1) & 7 == 5) & has_operands;
    let is_left_out = says & TESTS != 0 && operands & 0x30 != 0;
    let behind = LENGTHS[usize::from(says & LENGTH) % 8][usize::from(prefixes & 7)];
    let is_relative = u8::from(len & RELATIVE_OPERANDS != 0);
    let has_field = is_relative | u8::from(says == RELATIVE);
    let field = (at + usize::from(is_relative)) * usize::from(has_field);
    at += usize::from(len & !RELATIVE_OPERANDS) + 4 * usize::from(is_bare);
    at += usize::from(behind * u8::from(!is_left_out));
    let small = |value: usize| {
        u8::try_from(value).expect("an instruction has at most 14 prefixes and 17 other bytes")
    };
    Instruction { len: small(at), field: small(field), is_lea: opcode == 0x8d && has_field == 1 }
}

/// What an instruction says whose opcode is behind others or behind a VEX or EVEX prefix, and how many bytes further on
/// its operands are. `bytes` are those from the last that was read.
#[cold]
fn longer(opcode: u8, bytes: [u8; 5]) -> (u8, usize) {
    match (opcode, bytes[0]) {
        (0x0f, 0x38) => (OPERANDS, 1),
        (0x0f, _) => (OPERANDS | 1, 1),
        (0xc5, _) => (vector(1, bytes[2]), 2),
        (0xc4, _) => (vector(bytes[1] & 0x1f, bytes[3]), 3),
        _ => (vector(bytes[1] & 7, bytes[4]), 4),
    }
}

/// What an opcode behind a VEX or EVEX prefix says, by the map that the prefix selects.
fn vector(map: u8, opcode: u8) -> u8 {
    match (map, TWO_BYTES[usize::from(opcode)]) {
        (1, b'B') | (3, _) => OPERANDS | 1,
        (1, b'.') => 0,
        _ => OPERANDS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_as_long_as_an_assembler_makes_them() {
        for (bytes, field, name) in [
            (&b"\x90"[..], None, "nop"),
            (b"\xc3", None, "ret"),
            (b"\x55", None, "push rbp"),
            (b"\x48\x89\xe5", None, "mov rbp, rsp"),
            (b"\x66\x0f\x1f\x84\x00\x00\x00\x00\x00", None, "nopw 0x0(rax,rax)"),
            (b"\xe8\x01\x02\x03\x04", Some(1), "call"),
            (b"\x0f\x84\x01\x02\x03\x04", Some(2), "je"),
            (b"\x74\x05", None, "je, short"),
            (b"\x48\x8b\x05\x01\x02\x03\x04", Some(3), "mov rax, [rip + x]"),
            (b"\x80\x3d\x01\x02\x03\x04\x07", Some(2), "cmp byte [rip + x], 7"),
            (b"\x66\xc7\x05\x01\x02\x03\x04\x07\x08", Some(3), "mov word [rip + x], 0x807"),
            (b"\x48\xc7\x05\x01\x02\x03\x04\x07\x08\x09\x0a", Some(3), "mov qword [rip + x], imm32"),
            (b"\xff\x15\x01\x02\x03\x04", Some(2), "call [rip + x]"),
            (b"\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08", None, "movabs rax, imm64"),
            (b"\xb8\x01\x02\x03\x04", None, "mov eax, imm32"),
            (b"\x66\xb8\x01\x02", None, "mov ax, imm16"),
            (b"\x48\x8d\x44\x24\x08", None, "lea rax, [rsp + 8]"),
            (b"\x8b\x84\x24\x01\x02\x03\x04", None, "mov eax, [rsp + disp32]"),
            (b"\x8b\x04\x25\x01\x02\x03\x04", None, "mov eax, [disp32]"),
            (b"\xf6\xc1\x01", None, "test cl, 1"),
            (b"\xf6\xd1", None, "not cl"),
            (b"\xf7\x05\x01\x02\x03\x04\x05\x06\x07\x08", Some(2), "test dword [rip + x], imm32"),
            (b"\x66\x0f\x3a\x0f\xc1\x08", None, "palignr xmm0, xmm1, 8"),
            (b"\x66\x0f\x38\x00\x05\x01\x02\x03\x04", Some(5), "pshufb xmm0, [rip + x]"),
            (b"\xc5\xf8\x77", None, "vzeroupper"),
            (b"\xc5\xfd\x6f\x05\x01\x02\x03\x04", Some(4), "vmovdqa ymm0, [rip + x]"),
            (b"\xc4\xe3\x7d\x39\xc1\x01", None, "vextracti128 xmm1, ymm0, 1"),
            (b"\x62\xf1\x7c\x48\x10\x05\x01\x02\x03\x04", Some(6), "vmovups zmm0, [rip + x]"),
            (b"\xc8\x01\x02\x03", None, "enter"),
            (b"\x0f\x05", None, "syscall"),
        ] {
            let mut padded = bytes.to_vec();
            padded.extend([0xcc; 16]);
            let read = read(&padded);
            let field = field.unwrap_or(0);
            assert_eq!((usize::from(read.len), read.field), (bytes.len(), field), "{name}");
        }
    }
}
