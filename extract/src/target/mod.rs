//! Where the image goes.
//!
//! A target takes [`Verified`] blocks and nothing else. Success means that the medium has confirmed them.

mod device;
mod file;
pub(crate) mod guard;
mod ioctl;
pub(crate) mod mark;
mod media;
mod pipe;
mod place;
mod scratch;

pub(crate) use device::Device;
pub(crate) use file::{Replacement, expect_room, growth, part_of};
pub use guard::Refusal;
pub(crate) use media::Media;
pub(crate) use pipe::Pipe;
pub(crate) use place::{Place, directory_of};

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::job::{ExtractError, Observer};
use crate::seed::Window;
use crate::verified::Verified;

/// Where the image is to go.
pub enum Destination {
    /// A file or a block device.
    Path {
        /// Where.
        path: PathBuf,
        /// What may happen to a file that is there already.
        existing: Existing,
    },
    /// A pipe or anything else that takes bytes in order.
    Stream(Box<dyn io::Write + Send>),
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path { path, existing } => {
                f.debug_struct("Path").field("path", path).field("existing", existing).finish()
            }
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// What may happen to a regular file that is in the place of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Nothing, unless it is the image already.
    Keep,
    /// The new image takes its place when it is complete; until then there is room for both.
    Replace,
    /// It becomes the new image where it lies.
    Update,
}

/// Why nothing could be written, or not all.
#[derive(Debug)]
#[non_exhaustive]
pub enum TargetError {
    /// The target must not be written to.
    Refused(PathBuf, Refusal),
    /// It cannot be opened or made.
    Open(PathBuf, io::Error),
    /// It has no room for the image.
    Space {
        /// The target.
        path: PathBuf,
        /// Bytes needed.
        needed: u64,
        /// Bytes there.
        available: u64,
    },
    /// Writing failed.
    Write {
        /// Where in the target.
        at: u64,
        /// Why.
        error: io::Error,
    },
    /// The medium does not confirm what was written.
    Flush(io::Error),
    /// What is read back is not what was written.
    ReadBack {
        /// Where in the target.
        at: u64,
        /// Why, if it could not be read at all.
        error: Option<io::Error>,
    },
    /// The finished file cannot be put in its place.
    Rename(PathBuf, io::Error),
}

impl std::fmt::Display for TargetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(path, refusal) => write!(f, "{} {refusal}", path.display()),
            Self::Open(path, _) => write!(f, "{} cannot be opened for writing", path.display()),
            Self::Space { path, needed, available } => {
                write!(f, "{} has room for {available} bytes of {needed}", path.display())
            }
            Self::Write { at, .. } => write!(f, "the target cannot be written at byte {at}"),
            Self::Flush(_) => {
                f.write_str("the target does not confirm what was written; nothing of it is certain")
            }
            Self::ReadBack { at, .. } => {
                write!(f, "byte {at} and following read back otherwise than written, twice")
            }
            Self::Rename(path, _) => write!(f, "the finished image cannot be renamed to {}", path.display()),
        }
    }
}

impl std::error::Error for TargetError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open(_, cause) | Self::Rename(_, cause) | Self::Flush(cause) => Some(cause),
            Self::Write { error, .. } => Some(error),
            Self::ReadBack { error, .. } => error.as_ref().map(|error| error as _),
            _ => None,
        }
    }
}

/// Bytes that a file system may share instead of writing them.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    /// A regular file.
    pub file: &'a File,
    /// Where in it the bytes lie.
    pub offset: u64,
    /// Where in the image they belong.
    pub image: std::ops::Range<u64>,
}

/// An open target.
pub(crate) trait Target: Send {
    /// What it holds already, to be read.
    fn content(&self) -> Option<Window>;

    /// The file to read what was written from; none if that is impossible.
    fn file(&self) -> Option<Arc<File>>;

    /// Writes a block. Returns how many bytes had to be written.
    fn put(&mut self, block: &Verified, shares: &[Share<'_>]) -> Result<u64, TargetError>;

    /// Waits until the medium has everything written so far.
    fn flush(&mut self) -> Result<(), TargetError>;

    /// Expects nothing any more of what was written, nor of what was there before.
    fn doubt(&mut self) {}

    /// Clears what lies behind the image, as far as that was asked for. Returns the bytes that were.
    fn clear_tail(&mut self, observer: &dyn Observer) -> Result<Cleared, ExtractError> {
        let _ = observer;
        Ok(Cleared::default())
    }

    /// Puts the complete image, which the medium has, in its place.
    fn finish(&mut self) -> Result<(), TargetError>;
}

/// What may become of what lies behind the image on a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tail {
    /// Nothing.
    #[default]
    Leave,
    /// It reads as zeros.
    Zero,
    /// The device is told that nobody needs it. What it reads as then is not known.
    Discard,
}

/// What became of what lies behind the image, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Made zero; what was zero already is not counted.
    pub zeroed: u64,
    /// Discarded.
    pub discarded: u64,
}

/// Whether a block device lies at `path`.
pub(crate) fn is_device(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_block_device())
}

/// Writes what is kept in memory of a file or device to its medium, and keeps no page of it that nobody holds.
///
/// Where that is not allowed, what is read is what the system keeps: there is nothing else to try.
pub(crate) fn drop_pages(file: &File) {
    use std::os::unix::fs::FileTypeExt;
    let is_device = file.metadata().is_ok_and(|metadata| metadata.file_type().is_block_device());
    if !(is_device && ioctl::drop_pages(file).is_ok()) {
        let _ = rustix::fs::fdatasync(file);
        let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    }
}

/// Fails where we may not write, or nobody may.
pub(crate) fn expect_writable(path: &Path) -> io::Result<()> {
    let wanted = rustix::fs::Access::WRITE_OK;
    rustix::fs::accessat(rustix::fs::CWD, path, wanted, rustix::fs::AtFlags::EACCESS).map_err(io::Error::from)
}

/// Opens a file beside a target for reading and writing, making it if need be, and never through a link.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    private(path, File::options().read(true).write(true).create(true).truncate(false))
}

/// Opens such a file, which is there, without changing it.
pub(crate) fn look_private(path: &Path) -> io::Result<File> {
    private(path, File::options().read(true))
}

fn private(path: &Path, options: &mut std::fs::OpenOptions) -> io::Result<File> {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).expect("a flag fits");
    let file = options.custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    // Whoever owns a file can write to it whenever he likes.
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to somebody else"));
    }
    Ok(file)
}
