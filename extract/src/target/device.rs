//! Block devices.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use chunk_chunker::is_zero;
use rustix::fs::OFlags;

use crate::seed::Window;
use crate::target::{Media, Refusal, Share, Target, TargetError, expect_writable, guard};
use crate::verified::Verified;

/// Bytes looked at, and zeroed, at a time behind the image.
const STEP: usize = 1 << 20;

/// A block device, held for ourselves alone.
#[derive(Debug)]
pub(crate) struct Device {
    media: Media,
    len: u64,
    image_len: u64,
    zero_tail: bool,
}

impl Device {
    /// Opens the device at `path` for ourselves alone, if it is free and has room.
    pub(crate) fn open(path: &Path, image_len: u64, zero_tail: bool) -> Result<Self, TargetError> {
        let (file, len) = open_alone(path, image_len, true)?;
        Ok(Self { media: Media::device(Arc::new(file)), len, image_len, zero_tail })
    }

    /// Refuses a device that could not be opened so, and leaves it alone: who has opened a device for writing makes
    /// others look at it anew when he closes it.
    pub(crate) fn probe(path: &Path, image_len: u64) -> Result<(), TargetError> {
        open_alone(path, image_len, false)?;
        expect_writable(path).map_err(|error| TargetError::Open(path.to_owned(), error))
    }
}

/// The device at `path`, opened for ourselves alone, and how long it is.
fn open_alone(path: &Path, image_len: u64, writes: bool) -> Result<(File, u64), TargetError> {
    let refused = |refusal| TargetError::Refused(path.to_owned(), refusal);
    let flags = i32::try_from(OFlags::EXCL.bits()).expect("a flag fits");
    let opened = File::options().read(true).write(writes).custom_flags(flags).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::BUSY.raw_os_error() => refused(guard::holder_of(path)),
        _ => TargetError::Open(path.to_owned(), error),
    })?;
    let opens = |error| TargetError::Open(path.to_owned(), error);
    let number = file.metadata().map_err(opens)?.rdev();
    if guard::is_read_only(number) {
        return Err(opens(io::ErrorKind::ReadOnlyFilesystem.into()));
    }
    // The size in a block device's metadata is 0; its end is where its size shows.
    let len = (&file).seek(SeekFrom::End(0)).map_err(opens)?;
    if len < image_len {
        return Err(TargetError::Space { path: path.to_owned(), needed: image_len, available: len });
    }
    if let Some(mount) = guard::mounted_through(number) {
        return Err(refused(Refusal::Mounted(mount)));
    }
    if let Some(other) = guard::twin_in_use(number).or_else(|| guard::shown_by(number)) {
        return Err(refused(Refusal::Loop(other)));
    }
    Ok((file, len))
}

impl Target for Device {
    fn content(&self) -> Option<Window> {
        Window::of(Arc::clone(self.media.handle()), None).ok()
    }

    fn file(&self) -> Option<Arc<File>> {
        Some(Arc::clone(self.media.handle()))
    }

    fn put(&mut self, block: &Verified, shares: &[Share<'_>]) -> Result<u64, TargetError> {
        self.media.put(block, shares)
    }

    fn flush(&mut self) -> Result<(), TargetError> {
        self.media.flush()
    }

    /// Makes what lies behind the image zero, if that was asked for.
    fn finish(&mut self) -> Result<(), TargetError> {
        if !self.zero_tail || self.image_len == self.len {
            return Ok(());
        }
        let mut held = vec![0; STEP];
        let mut at = self.image_len;
        while at < self.len {
            let end = (at + 1).next_multiple_of(STEP as u64).min(self.len);
            let held = &mut held[..usize::try_from(end - at).expect("a step is in memory")];
            // What is zero already is not worn out by writing it again.
            let is_read = self.media.handle().read_exact_at(held, at).is_ok();
            if !(is_read && is_zero(held)) {
                held.fill(0);
                let is_whole = held.len() == STEP;
                if !is_whole || self.media.zero_out(at..end).is_err() {
                    let fails = |error| TargetError::Write { at, error };
                    self.media.handle().write_all_at(held, at).map_err(fails)?;
                }
            }
            at = end;
        }
        self.media.flush()
    }
}
