//! Which zstd frames of a file come out the same when they are unpacked and packed again.
//!
//! `frames FILE LEVEL…` finds the frames that lie in FILE one behind the other, as in a squashfs image, and compresses
//! each at every LEVEL with the zstd that this program is linked with. It prints how many there are, their bytes, and
//! how many come out bit for bit.

#![expect(clippy::print_stdout, reason = "the counts are what the program is for")]

use std::fs;

use chunk_benches::measure::Outcome;
use rayon::prelude::*;
use zstd::zstd_safe::{find_frame_compressed_size, version_string};

/// What a frame starts with.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Longest plain block of squashfs.
const LONGEST: usize = 1 << 20;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: frames FILE LEVEL...";
    let file = fs::read(arguments.next().ok_or(usage)?)?;
    let levels = arguments.map(|level| level.parse::<i32>()).collect::<Result<Vec<_>, _>>()?;
    let frames = frames(&file);
    let stored: usize = frames.iter().map(|frame| frame.len()).sum();
    println!("zstd {}: {} frames of {stored} bytes in {}", version_string(), frames.len(), file.len());
    for level in levels {
        let same = frames.par_iter().filter(|frame| is_repeated(frame, level));
        let (count, bytes) =
            same.map(|frame| (1, frame.len())).reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        println!("level {level}: {count} frames of {bytes} bytes come out the same");
    }
    Ok(())
}

/// The frames of a file that are whole and can be decoded; what lies between them is skipped.
fn frames(file: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = file[at..].windows(MAGIC.len()).position(|bytes| bytes == MAGIC) {
        at += next;
        let frame = find_frame_compressed_size(&file[at..]).ok().map(|len| &file[at..at + len]);
        match frame.filter(|frame| zstd::bulk::decompress(frame, LONGEST).is_ok()) {
            Some(frame) => {
                found.push(frame);
                at += frame.len();
            }
            None => at += 1,
        }
    }
    found
}

fn is_repeated(frame: &[u8], level: i32) -> bool {
    let plain = zstd::bulk::decompress(frame, LONGEST);
    plain.and_then(|plain| zstd::bulk::compress(&plain, level)).is_ok_and(|again| again == frame)
}
