//! What a program has for calls that may throw.

use super::{Function, distance};

/// Appends the table of a function of which each call has a landing pad, the return; says where it starts.
pub(super) fn sites(file: &mut Vec<u8>, function: &Function) -> usize {
    let start = file.len();
    let body = function.body.len();
    let mut sites = Vec::new();
    for call in 0..function.calls.len() {
        number(&mut sites, body + 5 * call);
        number(&mut sites, 5);
        number(&mut sites, body + 5 * function.calls.len());
        number(&mut sites, 0);
    }
    file.extend([0xff, 0xff, 1]);
    number(file, sites.len());
    file.extend(sites);
    start
}

/// Appends the record of a function and its table.
pub(super) fn record(file: &mut Vec<u8>, function: usize, table: usize) {
    let at = file.len();
    file.extend(24_u32.to_le_bytes());
    file.extend(4_u32.to_le_bytes());
    file.extend(distance(at + 8, function));
    file.extend([16, 0, 0, 0, 4]);
    file.extend(distance(at + 17, table));
    file.resize(at + 28, 0);
}

fn number(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
}
