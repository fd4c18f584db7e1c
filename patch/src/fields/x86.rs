//! How long an instruction of x86-64 is, and where in it an address is.
//!
//! Part of the format: a reader must find the same fields. It knows no more than lengths need; what is no
//! instruction has some length, too.

/// What a sweep needs to know of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) len: u8,
    /// Where in the instruction four bytes lie that count from the instruction's end to an address.
    pub(super) field: Option<u8>,
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

/// Reads the instruction that `bytes` start with; what is missing counts as zeros.
pub(super) fn read(bytes: &[u8]) -> Instruction {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let mut at = 0;
    let (mut narrow, mut short_addresses, mut wide) = (false, false, false);
    // No instruction is longer than 15 bytes, so no more prefixes than that.
    while at < 14 {
        match byte(at) {
            0x66 => narrow = true,
            0x67 => short_addresses = true,
            0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0xf0 | 0xf2 | 0xf3 => {}
            _ => break,
        }
        at += 1;
    }
    if byte(at) & 0xf0 == 0x40 {
        wide = byte(at) & 8 != 0;
        at += 1;
    }
    let opcode = byte(at);
    at += 1;
    let class = match opcode {
        0x0f => {
            let second = byte(at);
            at += 1;
            match second {
                0x38 | 0x3a => {
                    at += 1;
                    if second == 0x38 { b'm' } else { b'B' }
                }
                _ => TWO_BYTES[usize::from(second)],
            }
        }
        0xc5 => {
            at += 2;
            vector_class(1, byte(at - 1))
        }
        0xc4 => {
            at += 3;
            vector_class(byte(at - 3) & 0x1f, byte(at - 1))
        }
        0x62 => {
            at += 4;
            vector_class(byte(at - 4) & 7, byte(at - 1))
        }
        _ => ONE_BYTE[usize::from(opcode)],
    };
    let word = if narrow && !wide { 2 } else { 4 };
    let mut field = None;
    if class.is_ascii_uppercase() && class != b'J' || class == b'm' {
        let operands = byte(at);
        let (len, relative) = operands_len(operands, byte(at + 1));
        if relative {
            field = Some(at + 1);
        }
        at += len;
        let tests = operands & 0x30 == 0;
        at += match class {
            b'B' => 1,
            b'Z' => word,
            b'T' => usize::from(tests),
            b'U' => usize::from(tests) * word,
            _ => 0,
        };
    } else {
        if class == b'J' {
            field = Some(at);
        }
        at += match class {
            b'b' => 1,
            b'w' => 2,
            b'e' => 3,
            b'J' => 4,
            b'z' => word,
            b'v' => word.max(8 * usize::from(wide)),
            b'o' => 8 >> usize::from(short_addresses),
            _ => 0,
        };
    }
    let small = |value: usize| {
        u8::try_from(value).expect("an instruction has at most 14 prefixes and 17 other bytes")
    };
    Instruction { len: small(at), field: field.map(small), is_lea: opcode == 0x8d && field.is_some() }
}

/// The class of an opcode behind a VEX or EVEX prefix, by the map that the prefix selects.
fn vector_class(map: u8, opcode: u8) -> u8 {
    match (map, TWO_BYTES[usize::from(opcode)]) {
        (1, b'B') | (3, _) => b'B',
        (1, b'.') => b'.',
        _ => b'm',
    }
}

/// How many bytes the operands take from their `ModRM` byte on, and whether they are relative to the instruction's end.
fn operands_len(operands: u8, next: u8) -> (usize, bool) {
    let scaled = usize::from(operands & 7 == 4);
    match operands >> 6 {
        0 if operands & 7 == 5 => (5, true),
        0 if scaled == 1 && next & 7 == 5 => (6, false),
        0 => (1 + scaled, false),
        1 => (2 + scaled, false),
        2 => (5 + scaled, false),
        _ => (1, false),
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
            assert_eq!((usize::from(read.len), read.field), (bytes.len(), field), "{name}");
        }
    }
}
