//! A block device of which some sectors fail.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::disk::LoopDevice;
use crate::export::Export;
use crate::system::or_skip;

/// Which request fails, with `EIO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSector {
    /// Reading the sector at this byte, always. No more than 4096 bytes may be written to the disk before they
    /// are synced.
    Read(u64),
    /// Writing the sector at this byte, always.
    Write(u64),
    /// Writing the sector at this byte, the first time.
    WriteOnce(u64),
    /// The first flush.
    FlushOnce,
}

/// A block device with bad sectors.
#[derive(Debug)]
pub struct BadDisk {
    device: Option<LoopDevice>,
    file: PathBuf,
    export: Export,
    len: u64,
    _files: TempDir,
}

impl BadDisk {
    /// A device of the bytes of `file`, where `bad` fails. None where that is not possible.
    pub fn start(file: &Path, bad: BadSector) -> Option<Self> {
        let mut disk = or_skip(Self::try_start(file, bad))?;
        disk.device = match bad {
            BadSector::Read(_) => disk.export.direct_device(disk.len),
            _ => disk.export.device(0..disk.len),
        };
        disk.device.is_some().then_some(disk)
    }

    fn try_start(file: &Path, bad: BadSector) -> io::Result<Self> {
        let files = tempfile::tempdir()?;
        let (kind, once, sector) = match bad {
            BadSector::Read(at) => ("read", false, Some(at / 512)),
            BadSector::Write(at) => ("write", false, Some(at / 512)),
            BadSector::WriteOnce(at) => ("write", true, Some(at / 512)),
            BadSector::FlushOnce => ("flush", true, None),
        };
        let sector = sector.map_or(String::new(), |sector| format!(r#","sector":{sector}"#));
        let error = format!(r#"{{"event":"none","iotype":"{kind}","errno":5,"once":{once}{sector}}}"#);
        let blockdevs = [
            format!("driver=file,node-name=file,filename={},locking=off", file.display()),
            format!(r#"{{"driver":"blkdebug","node-name":"bad","image":"file","inject-error":[{error}]}}"#),
            "driver=raw,node-name=shown,file=bad".to_owned(),
        ];
        let len = file.metadata()?.len();
        let export = Export::start(&blockdevs, "shown", files.path().join("shown"), len)?;
        Ok(Self { device: None, file: file.to_owned(), export, len, _files: files })
    }

    /// The device node.
    pub fn path(&self) -> &Path {
        self.device.as_ref().expect("it is attached when the disk is made").path()
    }

    /// What the disk holds, whatever the kernel believes of it.
    pub fn holds(&self) -> io::Result<Vec<u8>> {
        std::fs::read(&self.file)
    }
}
