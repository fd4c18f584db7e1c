//! The requests to the kernel that no library wraps.
#![expect(unsafe_code, reason = "ioctl has no safe form; the calls pass only a file and plain numbers")]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;

use rustix::ioctl::{NoArg, Opcode, Setter, opcode};

const BLKFLSBUF: Opcode = opcode::none(0x12, 97);
const BLKDISCARD: Opcode = opcode::none(0x12, 119);
const BLKZEROOUT: Opcode = opcode::none(0x12, 127);
const FICLONERANGE: Opcode = opcode::write::<CloneRange>(0x94, 13);

#[repr(C)]
struct CloneRange {
    source: i64,
    source_offset: u64,
    length: u64,
    offset: u64,
}

/// Makes `range` of a block device read as zeros, by the device's own means or by writing them.
pub(super) fn zero_out(device: &File, range: Range<u64>) -> io::Result<()> {
    let argument = [range.start, range.end.saturating_sub(range.start)];
    // SAFETY: BLKZEROOUT reads two u64 from the address that it gets, and `Setter` passes that of `argument`.
    let request = unsafe { Setter::<BLKZEROOUT, [u64; 2]>::new(argument) };
    // SAFETY: the request is what the opcode expects, see above; on other files the kernel refuses it.
    unsafe { rustix::ioctl::ioctl(device, request) }.map_err(io::Error::from)
}

/// Tells a block device that nobody needs what `range` holds. What is read of it then is anybody's guess.
pub(super) fn discard(device: &File, range: Range<u64>) -> io::Result<()> {
    let argument = [range.start, range.end.saturating_sub(range.start)];
    // SAFETY: BLKDISCARD reads two u64 from the address that it gets, and `Setter` passes that of `argument`.
    let request = unsafe { Setter::<BLKDISCARD, [u64; 2]>::new(argument) };
    // SAFETY: the request is what the opcode expects, see above; on other files the kernel refuses it.
    unsafe { rustix::ioctl::ioctl(device, request) }.map_err(io::Error::from)
}

/// Writes what is kept in memory of a block device to its medium, and keeps nothing of it, whoever has it open.
pub(super) fn drop_pages(device: &File) -> io::Result<()> {
    // SAFETY: BLKFLSBUF takes no argument.
    let request = unsafe { NoArg::<BLKFLSBUF>::new() };
    // SAFETY: the request is what the opcode expects, see above; on other files the kernel refuses it.
    unsafe { rustix::ioctl::ioctl(device, request) }.map_err(io::Error::from)
}

/// Lets `len` bytes of `target` at `offset` share the extents of `source` at `source_offset`.
pub(super) fn clone_range(
    source: &File,
    source_offset: u64,
    len: u64,
    target: &File,
    offset: u64,
) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let source = i64::from(source.as_fd().as_raw_fd());
    let argument = CloneRange { source, source_offset, length: len, offset };
    // SAFETY: FICLONERANGE reads a `struct file_clone_range`, which `CloneRange` mirrors, from its address.
    let request = unsafe { Setter::<FICLONERANGE, CloneRange>::new(argument) };
    // SAFETY: the request is what the opcode expects, see above; the descriptor is open while borrowed.
    unsafe { rustix::ioctl::ioctl(target, request) }.map_err(io::Error::from)
}
