//! Small programs, linked as often as a test wants: the same functions at other addresses.

mod sets;
mod unwinding;

pub(crate) use sets::{Set, link_for};

/// A function: bytes that are only its own, and the numbers of the functions it calls.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) body: Vec<u8>,
    pub(crate) calls: Vec<usize>,
}

/// Every so many functions one has a jump table, with so many entries.
const TABLE_EVERY: usize = 50;
const TABLE_ENTRIES: usize = 2500;

/// Tables lead to the first so many functions, of which a program has no fewer.
const TABLE_REACH: usize = 300;

const TEXT: usize = 0x1000;
const ADDRESS: u64 = 0x40_0000;

/// An ELF file of x86-64 with `functions` in the `order` given, jump tables to some, and pointers to all of them.
pub(crate) fn link(functions: &[Function], order: &[usize]) -> Vec<u8> {
    build(functions, order, false)
}

/// The same, with a landing pad for each call.
pub(crate) fn link_with_pads(functions: &[Function], order: &[usize]) -> Vec<u8> {
    build(functions, order, true)
}

fn build(functions: &[Function], order: &[usize], has_pads: bool) -> Vec<u8> {
    let mut starts = vec![0; functions.len()];
    let mut at = TEXT;
    for &number in order {
        starts[number] = at;
        at += functions[number].body.len() + 5 * functions[number].calls.len() + 7 + 1;
        at = at.next_multiple_of(16);
    }
    let text_len = at - TEXT;
    let tables = at;
    let table = |number: usize| tables + number / TABLE_EVERY * TABLE_ENTRIES * 4;
    let tables_len = table(functions.len() - 1) + TABLE_ENTRIES * 4 - tables;
    let mut file = vec![0xcc; at];
    file[..TEXT].fill(0);
    for &number in order {
        let Function { body, calls } = &functions[number];
        let mut at = starts[number];
        // Each byte of the body becomes an instruction that takes it: mov al, byte.
        for pair in body.chunks(2) {
            file[at] = 0xb0;
            if let [_, value] = pair {
                file[at + 1] = *value;
            }
            at += pair.len();
        }
        for &callee in calls {
            file[at] = 0xe8;
            file[at + 1..at + 5].copy_from_slice(&distance(at + 5, starts[callee]));
            at += 5;
        }
        if number % TABLE_EVERY == 0 {
            // lea rax, [rip + table]
            file[at..at + 3].copy_from_slice(&[0x48, 0x8d, 0x05]);
            file[at + 3..at + 7].copy_from_slice(&distance(at + 7, table(number)));
            at += 7;
        }
        file[at] = 0xc3;
    }
    for number in (0..functions.len()).step_by(TABLE_EVERY) {
        for entry in 0..TABLE_ENTRIES {
            file.extend(distance(table(number), starts[(number + entry * entry) % TABLE_REACH]));
        }
    }
    let data = file.len();
    for start in &starts {
        file.extend((ADDRESS + u64::try_from(*start).unwrap()).to_le_bytes());
    }
    let data_len = file.len() - data;
    let pads = file.len();
    let tables_of: Vec<usize> = if has_pads {
        functions.iter().map(|function| unwinding::sites(&mut file, function)).collect()
    } else {
        Vec::new()
    };
    file.resize(file.len().next_multiple_of(8), 0);
    let unwind = file.len();
    for (number, table) in tables_of.iter().enumerate() {
        unwinding::record(&mut file, starts[number], *table);
    }
    let names = file.len();
    file.extend(b"\0.text\0.data\0.names\0.rodata\0.gcc_except_table\0.eh_frame\0");
    file.resize(file.len().next_multiple_of(8), 0);
    let sections = file.len();
    for (name, kind, flags, start, len) in [
        (0, 0_u32, 0_u64, 0, 0),
        (1, 1, 6, TEXT, text_len),
        (7, 1, 3, data, data_len),
        (13, 3, 0, names, 56),
        (20, 1, 2, tables, tables_len),
        (28, 1, 2, pads, unwind - pads),
        (46, 1, 2, unwind, names - unwind),
    ] {
        file.extend(u32::to_le_bytes(name));
        file.extend(kind.to_le_bytes());
        file.extend(flags.to_le_bytes());
        for word in [ADDRESS + long(start), long(start), long(len), 0, 16, 0] {
            file.extend(word.to_le_bytes());
        }
    }
    let end = long(names);
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(16, 0);
    for half in [3_u16, 62] {
        header.extend(half.to_le_bytes());
    }
    header.extend(1_u32.to_le_bytes());
    for word in [ADDRESS + long(TEXT), 64, long(sections)] {
        header.extend(word.to_le_bytes());
    }
    header.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 7, 3] {
        header.extend(half.to_le_bytes());
    }
    // One segment, readable, writable and executable.
    header.extend(1_u32.to_le_bytes());
    header.extend(7_u32.to_le_bytes());
    for word in [0, ADDRESS, ADDRESS, end, end, 0x1000] {
        header.extend(word.to_le_bytes());
    }
    file[..header.len()].copy_from_slice(&header);
    file
}

/// How far it is from one place to another, as a field says it.
fn distance(from: usize, to: usize) -> [u8; 4] {
    let ahead = i64::try_from(to).unwrap() - i64::try_from(from).unwrap();
    i32::try_from(ahead).unwrap().to_le_bytes()
}

fn long(value: usize) -> u64 {
    u64::try_from(value).unwrap()
}

/// `count` functions that differ, made from a seed.
pub(crate) fn functions(count: usize, seed: u64) -> Vec<Function> {
    let mut state = seed | 1;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    (0..count)
        .map(|_| Function {
            body: (0..20 + random(60)).map(|_| u8::try_from(random(256)).unwrap()).collect(),
            calls: (0..random(12)).map(|_| random(count)).collect(),
        })
        .collect()
}
