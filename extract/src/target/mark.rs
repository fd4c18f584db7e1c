//! Telling the file in which an image grows from a file that somebody else has put there.
//!
//! The name alone is no proof: browsers call their downloads so, too. So the file carries an extended attribute,
//! which is durable before the first byte of the image is. Where a file system has no attributes the name has to
//! do.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

const NAME: &str = "user.chunk";
const VALUE: &[u8] = b"part";

/// Whether nothing is lost if the image grows in `file`: it is empty, or an earlier run has begun it.
pub(crate) fn is_ours(file: &File) -> io::Result<bool> {
    let mut value = [0; VALUE.len()];
    match rustix::fs::fgetxattr(file.as_fd(), NAME, &mut value[..]) {
        Ok(len) if &value[..len] == VALUE => Ok(true),
        Err(Errno::NOTSUP) => Ok(true),
        Ok(_) | Err(Errno::NODATA | Errno::RANGE) => Ok(file.metadata()?.len() == 0),
        Err(error) => Err(error.into()),
    }
}

/// Makes `file`, in which nothing is yet, known as ours.
pub(super) fn claim(file: &File) -> io::Result<()> {
    match rustix::fs::fsetxattr(file.as_fd(), NAME, VALUE, XattrFlags::empty()) {
        // After a power cut there must be no bytes without it.
        Ok(()) => file.sync_all(),
        Err(Errno::NOTSUP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Takes the mark from `file`, which is the image now.
pub(super) fn release(file: &File) {
    // It does no harm where it cannot be taken.
    let _ = rustix::fs::fremovexattr(file.as_fd(), NAME);
}
