//! Whether two files hold the same bytes, without reading the holes that both have.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::SeekFrom;

use crate::measure::Outcome;

/// Bytes compared at a time.
const STEP: usize = 1 << 20;

/// Whether the files at `one` and `other` are the same to their last byte.
pub fn is_same(one: &Path, other: &Path) -> Outcome<bool> {
    let files = [File::open(one)?, File::open(other)?];
    let len = files[0].metadata()?.len();
    if files[1].metadata()?.len() != len {
        return Ok(false);
    }
    let mut buffers = [Vec::new(), Vec::new()];
    for file in &files {
        for range in data(file, len) {
            for at in range.clone().step_by(STEP) {
                let step = usize::try_from(range.end - at)?.min(STEP);
                for (file, buffer) in files.iter().zip(&mut buffers) {
                    buffer.resize(step, 0);
                    file.read_exact_at(buffer, at)?;
                }
                if buffers[0] != buffers[1] {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// Where a file of `len` bytes has data, as its file system says.
fn data(file: &File, len: u64) -> Vec<Range<u64>> {
    let seek = |whence| rustix::fs::seek(file.as_fd(), whence).unwrap_or(len);
    let (mut ranges, mut at) = (Vec::new(), 0);
    while at < len {
        let start = seek(SeekFrom::Data(at));
        at = seek(SeekFrom::Hole(start.min(len)));
        if start < len {
            ranges.push(start..at.min(len));
        }
    }
    ranges
}
