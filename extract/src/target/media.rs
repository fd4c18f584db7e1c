//! Writing blocks to a file or device, and as little of them as possible.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use chunk_chunker::is_zero;
use rustix::fs::FallocateFlags;

use crate::target::scratch::Scratch;
use crate::target::{Share, TargetError, ioctl};
use crate::verified::Verified;

/// What is compared, written, punched and shared: a page, and the block of most file systems.
const PAGE: usize = 4096;
/// Fewest bytes worth a hole.
const HOLE: usize = 32 << 10;
/// Fewest bytes worth sharing.
const SHARED: u64 = 64 << 10;

/// How zeros are put on a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zeros {
    /// A file's hole.
    Hole,
    /// A device's own way.
    ZeroOut,
    /// Written like any other bytes.
    Write,
}

/// Something with offsets.
#[derive(Debug)]
pub(crate) struct Media {
    file: Arc<File>,
    /// Where extents are looked at before they are shared. There is one only if the file is known to read as zeros
    /// wherever nothing was written.
    scratch: Option<Scratch>,
    zeros: Zeros,
    old: Vec<u8>,
}

impl Media {
    /// A regular file. If it was made just now, its directory is given.
    pub(crate) fn file(file: Arc<File>, blank_in: Option<PathBuf>) -> Self {
        Self { file, scratch: blank_in.map(Scratch::new), zeros: Zeros::Hole, old: Vec::new() }
    }

    /// A block device.
    pub(crate) fn device(file: Arc<File>) -> Self {
        Self { file, scratch: None, zeros: Zeros::ZeroOut, old: Vec::new() }
    }

    fn is_blank(&self) -> bool {
        self.scratch.is_some()
    }

    pub(crate) fn handle(&self) -> &Arc<File> {
        &self.file
    }

    /// Writes what differs from what is there. Returns how many bytes that was.
    pub(crate) fn put(&mut self, block: &Verified, shares: &[Share<'_>]) -> Result<u64, TargetError> {
        let at = block.at();
        let fails = |error| TargetError::Write { at, error };
        let all = std::iter::once(0..block.bytes().len()).collect();
        let differing = if self.is_blank() { all } else { self.differing(block).unwrap_or(all) };
        let mut written = 0;
        for range in differing {
            written += self.write(block, range, shares).map_err(fails)?;
        }
        Ok(written)
    }

    /// Makes a range of a device zero by the device's own means.
    pub(super) fn zero_out(&self, range: Range<u64>) -> io::Result<()> {
        ioctl::zero_out(&self.file, range)
    }

    /// Tells a device that nobody needs what a range of it holds.
    pub(super) fn discard(&self, range: Range<u64>) -> io::Result<()> {
        ioctl::discard(&self.file, range)
    }

    /// Compares what is there before anything is written, zeros too, though the file was made just now.
    pub(super) fn doubt(&mut self) {
        self.scratch = None;
    }

    /// Waits until the medium has everything.
    pub(crate) fn flush(&self) -> Result<(), TargetError> {
        rustix::fs::fdatasync(self.file.as_fd()).map_err(|error| {
            // The kernel keeps pages that the medium has refused, and takes them for written. Without them the
            // next run sees what the medium has.
            let _ = rustix::fs::fadvise(self.file.as_fd(), 0, None, rustix::fs::Advice::DontNeed);
            TargetError::Flush(error.into())
        })
    }

    /// The pages of `block` that the medium holds otherwise; nothing if it does not let them be read.
    fn differing(&mut self, block: &Verified) -> Option<Vec<Range<usize>>> {
        let new = block.bytes();
        self.old.resize(new.len(), 0);
        self.file.read_exact_at(&mut self.old, block.at()).ok()?;
        let pages = new.chunks(PAGE).zip(self.old.chunks(PAGE)).enumerate();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (page, _) in pages.filter(|(_, (new, old))| new != old) {
            let range = page * PAGE..((page + 1) * PAGE).min(new.len());
            match ranges.last_mut().filter(|last| last.end == range.start) {
                Some(last) => last.end = range.end,
                None => ranges.push(range),
            }
        }
        Some(ranges)
    }

    fn write(&mut self, block: &Verified, range: Range<usize>, shares: &[Share<'_>]) -> io::Result<u64> {
        let mut written = 0;
        let mut at = range.start;
        while at < range.end {
            let zeros = zeros_from(&block.bytes()[at..range.end]);
            if zeros > 0 {
                written += self.zero(block.at(), at..at + zeros)?;
                at += zeros;
                continue;
            }
            let data = at..at + data_from(&block.bytes()[at..range.end]);
            at = data.end;
            written += self.write_data(block, data, shares)?;
        }
        Ok(written)
    }

    /// Writes a part of a block, or shares it.
    fn write_data(&mut self, block: &Verified, data: Range<usize>, shares: &[Share<'_>]) -> io::Result<u64> {
        let mut written = 0;
        let mut write = |part: Range<usize>| {
            written += part.len() as u64;
            self.file.write_all_at(&block.bytes()[part.clone()], block.at() + part.start as u64)
        };
        let mut at = data.start;
        if let Some(scratch) = &mut self.scratch {
            for share in shares {
                let Some(part) = shareable(share, block.at(), at..data.end) else { continue };
                let image = block.at() + part.start as u64;
                let offset = share.offset + (image - share.image.start);
                let shared =
                    scratch.share(share.file, offset, &block.bytes()[part.clone()], &self.file, image);
                if shared.is_ok() {
                    write(at..part.start)?;
                    at = part.end;
                }
            }
        }
        if at < data.end {
            write(at..data.end)?;
        }
        Ok(written)
    }

    /// Makes a part of the block that starts at `block` read as zeros.
    fn zero(&mut self, block: u64, part: Range<usize>) -> io::Result<u64> {
        let range = block + part.start as u64..block + part.end as u64;
        let len = range.end - range.start;
        match self.zeros {
            Zeros::Hole if self.is_blank() => return Ok(0),
            Zeros::Hole => {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                if rustix::fs::fallocate(self.file.as_fd(), flags, range.start, len).is_ok() {
                    return Ok(len);
                }
            }
            // The kernel takes whole sectors only; the image's last may be cut.
            Zeros::ZeroOut if len.is_multiple_of(PAGE as u64) => {
                if ioctl::zero_out(&self.file, range.clone()).is_ok() {
                    return Ok(len);
                }
            }
            Zeros::ZeroOut | Zeros::Write => {}
        }
        self.zeros = if len.is_multiple_of(PAGE as u64) { Zeros::Write } else { self.zeros };
        self.file.write_all_at(&vec![0; part.end - part.start], range.start)?;
        Ok(len)
    }
}

/// The whole pages of `data`, a part of the block at `block`, that a file system can take from `share`.
fn shareable(share: &Share<'_>, block: u64, data: Range<usize>) -> Option<Range<usize>> {
    let page = PAGE as u64;
    let start = share.image.start.max(block + data.start as u64).next_multiple_of(page);
    let end = share.image.end.min(block + data.end as u64) / page * page;
    let aligned = (share.offset + start.checked_sub(share.image.start)?).is_multiple_of(page);
    let within = |at: u64| usize::try_from(at - block).ok();
    if aligned && end.checked_sub(start)? >= SHARED { Some(within(start)?..within(end)?) } else { None }
}

/// How many zero bytes worth a hole `bytes` start with.
fn zeros_from(bytes: &[u8]) -> usize {
    let zeros: usize = bytes.chunks(PAGE).take_while(|page| is_zero(page)).map(<[u8]>::len).sum();
    if zeros >= HOLE || zeros == bytes.len() { zeros } else { 0 }
}

/// How many bytes come before the next zeros worth a hole.
fn data_from(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        let zeros: usize = bytes[at..].chunks(PAGE).take_while(|page| is_zero(page)).map(<[u8]>::len).sum();
        if zeros >= HOLE {
            return at;
        }
        at = (at + zeros + PAGE).min(bytes.len());
    }
    at
}
