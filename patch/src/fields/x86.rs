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
/// `.` nothing, `m` operands (a ModRM byte and what it brings), `b` a byte, `w` two bytes, `e` three bytes,
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
        let immediate = operands & 0x30 == 0;
        at += match class {
            b'B' => 1,
            b'Z' => word,
            b'T' if immediate => 1,
            b'U' if immediate => word,
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
            b'z' => word,
            b'J' => 4,
            b'v' if wide => 8,
            b'v' => word,
            b'o' if short_addresses => 4,
            b'o' => 8,
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

/// How many bytes the operands take from their ModRM byte on, and whether they are relative to the instruction's end.
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
