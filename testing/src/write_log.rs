//! A block device of which every write is logged, so that the power can be cut afterwards, anywhere.
//!
//! `qemu-storage-daemon` writes the log in the form of Linux's `dm-log-writes`: a header sector, then for each
//! request a sector that describes it, followed by what it wrote. All numbers are little-endian.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use tempfile::TempDir;

use crate::disk::LoopDevice;
use crate::export::Export;
use crate::numbers::Numbers;
use crate::system::{or_skip, run, scratch};

/// The unit of the log.
const SECTOR: u64 = 512;
/// The log's first eight bytes.
const MAGIC: u64 = 0x006a_7366_7773_6872;
/// The log may be so many times as long as the device; it is sparse.
const LOG_ROOM: u64 = 64;

const FLUSH: u64 = 1;
const DISCARD: u64 = 4;

/// A logged block device, in use.
#[derive(Debug)]
pub struct WriteLog {
    export: Export,
    files: TempDir,
    len: u64,
}

impl WriteLog {
    /// A logged device that holds what the file `base` holds; `base` stays as it is. None where that is not
    /// possible.
    pub fn start(base: &Path) -> Option<Self> {
        or_skip(Self::try_start(base))
    }

    fn try_start(base: &Path) -> io::Result<Self> {
        let files = scratch()?;
        let path = |name: &str| files.path().join(name);
        let len = base.metadata()?.len();
        for name in ["base", "live"] {
            copy_sparse(base, &path(name))?;
        }
        File::create(path("log"))?.set_len(len * LOG_ROOM)?;
        let blockdevs = [
            format!("driver=file,node-name=live,filename={},locking=off", path("live").display()),
            format!("driver=file,node-name=log,filename={},locking=off", path("log").display()),
            "driver=blklogwrites,node-name=logged,file=live,log=log".to_owned(),
        ];
        let export = Export::start(&blockdevs, "logged", path("shown"), len)?;
        Ok(Self { export, files, len })
    }

    /// The device, or a part of it: what is written through several parts is one sequence. It must be dropped
    /// before the log is.
    pub fn device(&self, part: Range<u64>) -> Option<LoopDevice> {
        self.export.device(part)
    }

    /// How many requests the disk has confirmed by now: a cut behind them loses none of them.
    pub fn confirmed(&self) -> io::Result<usize> {
        let log = File::open(self.files.path().join("log"))?;
        // The daemon counts in the header at each flush and only then, for the first time at the first.
        let mut magic = [0; 8];
        log.read_exact_at(&mut magic, 0)?;
        if magic == [0; 8] { Ok(0) } else { Ok(header(&log)?.0) }
    }

    /// Ends the use of the device.
    pub fn finish(mut self) -> io::Result<Requests> {
        // What the kernel may still hold back.
        File::open(self.export.file())?.sync_all()?;
        self.export.end()?;
        Requests::read(self.files, self.len)
    }
}

/// What was asked of a disk, from first to last.
#[derive(Debug)]
pub struct Requests {
    files: TempDir,
    len: u64,
    log: File,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Where on the disk.
    at: u64,
    /// Where in the log the bytes written are; empty for a flush.
    bytes: Range<u64>,
    is_flush: bool,
}

impl Entry {
    /// The parts of the disk that it writes, cut where the disk's sectors of `len` bytes end.
    fn sectors(&self, len: u64) -> impl Iterator<Item = Range<u64>> + use<> {
        let (start, end) = (self.at, self.at + (self.bytes.end - self.bytes.start));
        let first = (start < end).then_some(start);
        std::iter::successors(first, move |at| Some((at / len + 1) * len).filter(|next| *next < end))
            .map(move |at| at..((at / len + 1) * len).min(end))
    }
}

/// What is left after a power cut.
#[derive(Clone, Debug)]
pub struct Cut {
    /// So many requests have taken place.
    pub whole: usize,
    /// Of each of those after them, the parts that have reached the disk.
    reached: Vec<Vec<Range<u64>>>,
}

impl Requests {
    fn read(files: TempDir, len: u64) -> io::Result<Self> {
        let log = File::open(files.path().join("log"))?;
        let (count, sector) = header(&log)?;
        let mut at = sector;
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            let mut entry = [0; 32];
            log.read_exact_at(&mut entry, at)?;
            let [start, sectors, flags, _] = [0, 8, 16, 24].map(|at| number(&entry, at));
            at += sector;
            // A discard says that the bytes are not needed any more; none are in the log.
            let stored = if flags & DISCARD == 0 { sectors * SECTOR } else { 0 };
            let start = start * SECTOR;
            if start.checked_add(stored).is_none_or(|end| end > len) {
                return Err(io::Error::other(format!("the log leaves the disk at byte {start}")));
            }
            entries.push(Entry { at: start, bytes: at..at + stored, is_flush: flags & FLUSH != 0 });
            at += stored;
        }
        Ok(Self { files, len, log, entries })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// All cuts right after a flush, and the one before the first request.
    pub fn flushes(&self) -> Vec<Cut> {
        let after = (1..).zip(&self.entries).filter(|(_, entry)| entry.is_flush).map(|(count, _)| count);
        std::iter::once(0).chain(after).map(Cut::after).collect()
    }

    /// A cut between `cut` and the next flush: of the writes there some are lost, some torn, some have taken place.
    /// The disk writes `sector` bytes wholly or not at all: with 512 no file system is safe, as the superblock of
    /// most is longer.
    pub fn tear(&self, cut: &Cut, sector: u64, numbers: &mut Numbers) -> Cut {
        // How much reaches the disk differs from cut to cut, or few would lose almost all or almost nothing.
        let percent = numbers.below(101);
        let writes = self.entries[cut.whole..].iter().take_while(|entry| !entry.is_flush);
        let reached = writes.map(|entry| {
            let is_torn = numbers.below(4) == 0;
            let arrives = numbers.below(100) < percent;
            let mut reaches = || if is_torn { numbers.below(100) < percent } else { arrives };
            entry.sectors(sector).filter(|_| reaches()).collect()
        });
        Cut { whole: cut.whole, reached: reached.collect() }
    }

    /// A cut between `cut` and the next flush: the later half of the writes there has taken place, the earlier half
    /// has not. Whoever counts on the order of writes is wrong.
    pub fn reorder(&self, cut: &Cut) -> Cut {
        let writes = self.entries[cut.whole..].iter().take_while(|entry| !entry.is_flush);
        let lost = writes.clone().count() / 2;
        let reached = writes.map(|entry| entry.sectors(self.len).collect());
        let reached = reached.enumerate().map(|(number, all)| if number < lost { Vec::new() } else { all });
        Cut { whole: cut.whole, reached: reached.collect() }
    }

    /// Makes the file `image` what the disk holds after the cut.
    pub fn restore(&self, cut: &Cut, image: &Path) -> io::Result<()> {
        copy_sparse(&self.files.path().join("base"), image)?;
        let image = File::options().write(true).open(image)?;
        image.set_len(self.len)?;
        for entry in &self.entries[..cut.whole] {
            image.write_all_at(&self.bytes(entry)?, entry.at)?;
        }
        for (entry, reached) in self.entries[cut.whole..].iter().zip(&cut.reached) {
            let bytes = self.bytes(entry)?;
            let within = |at: u64| usize::try_from(at - entry.at).map_err(io::Error::other);
            for part in reached {
                image.write_all_at(&bytes[within(part.start)?..within(part.end)?], part.start)?;
            }
        }
        Ok(())
    }

    fn bytes(&self, entry: &Entry) -> io::Result<Vec<u8>> {
        let len = usize::try_from(entry.bytes.end - entry.bytes.start).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        self.log.read_exact_at(&mut bytes, entry.bytes.start)?;
        Ok(bytes)
    }
}

impl Cut {
    /// After the first `count` requests, all of which have taken place, and nothing else.
    pub fn after(count: usize) -> Self {
        Self { whole: count, reached: Vec::new() }
    }

    /// Whether no request was under way.
    pub fn is_quiet(&self) -> bool {
        self.reached.is_empty()
    }
}

/// The count of requests and the length of a sector of the log.
fn header(log: &File) -> io::Result<(usize, u64)> {
    let mut header = [0; 32];
    log.read_exact_at(&mut header, 0)?;
    let magic = number(&header, 0);
    if magic != MAGIC {
        return Err(io::Error::other(format!("no log of writes: it starts with {magic:#x}")));
    }
    let count = usize::try_from(number(&header, 16)).map_err(io::Error::other)?;
    Ok((count, number(&header, 24) & u64::from(u32::MAX)))
}

fn number(bytes: &[u8; 32], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Copies a file, and makes holes of its zeros.
fn copy_sparse(from: &Path, to: &Path) -> io::Result<()> {
    run("cp", ["--sparse=always".as_ref(), from.as_os_str(), to.as_os_str()]).map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LEN: usize = 1 << 20;

    /// Writes `byte` to a whole part of the device, in a request of its own.
    fn write(device: &File, byte: u8, part: Range<usize>) {
        device.write_all_at(&vec![byte; part.len()], part.start as u64).expect("the device can be written");
    }

    fn restored(requests: &Requests, cut: &Cut) -> Vec<u8> {
        let image = requests.files.path().join("restored");
        requests.restore(cut, &image).expect("the log can be read");
        fs::read(image).expect("the image can be read")
    }

    #[test]
    fn a_cut_keeps_what_was_flushed_and_any_part_of_what_was_not() {
        let base = tempfile::NamedTempFile::new().expect("a temporary file");
        base.as_file().write_all_at(&vec![1; LEN], 0).expect("written");
        let Some(log) = WriteLog::start(base.path()) else { return };
        let parts = [0..LEN as u64 / 2, LEN as u64 / 2..LEN as u64];
        let [low, high] = parts.map(|part| log.device(part).expect("there was one log"));
        let open = |device: &LoopDevice| File::options().read(true).write(true).open(device.path());
        let [low_file, high_file] = [&low, &high].map(|device| open(device).expect("a device can be opened"));
        assert_eq!(log.confirmed().expect("a header"), 0);
        write(&low_file, 2, 0..LEN / 4);
        low_file.sync_all().expect("confirmed");
        let confirmed = log.confirmed().expect("a header");
        // Two parts that are not neighbours, so that they are two requests at least.
        write(&high_file, 3, 0..LEN / 8);
        write(&high_file, 3, LEN / 4..LEN * 3 / 8);
        high_file.sync_all().expect("confirmed");
        drop((low_file, high_file, low, high));
        let requests = log.finish().expect("a log");

        let cuts = requests.flushes();
        assert_eq!(cuts[1].whole, confirmed);
        let before = [vec![2; LEN / 4], vec![1; LEN * 3 / 4]].concat();
        assert!(restored(&requests, &cuts[0]) == vec![1; LEN]);
        assert!(restored(&requests, &cuts[1]) == before);
        let high =
            |first, second| [vec![first; LEN / 8], vec![1; LEN / 8], vec![second; LEN / 8], vec![1; LEN / 8]];
        assert!(restored(&requests, &cuts[2]) == [&before[..LEN / 2], &high(3, 3).concat()].concat());

        let reordered = restored(&requests, &requests.reorder(&cuts[1]));
        assert!(reordered == [&before[..LEN / 2], &high(1, 3).concat()].concat(), "the first part is lost");

        let mut numbers = Numbers::from_seed(1);
        let (mut lost, mut torn) = (0, 0);
        for _ in 0..50 {
            let image = restored(&requests, &requests.tear(&cuts[1], SECTOR, &mut numbers));
            assert!(image[..LEN / 2] == before[..LEN / 2]);
            let sectors = || image[LEN / 2..].chunks(512);
            assert!(sectors().all(|sector| sector == [1; 512] || sector == [3; 512]));
            lost += usize::from(sectors().any(|sector| sector == [1; 512]));
            torn += sectors().zip(sectors().skip(1)).filter(|(one, next)| one != next).count();
        }
        assert!(lost > 10 && torn > 100, "{lost} images lack writes, {torn} times within them");
        assert!(fs::read(base.path()).expect("readable") == vec![1; LEN], "the base stays as it is");
    }
}
