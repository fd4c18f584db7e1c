//! Block devices, and what lies behind the image on them.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use chunk_chunker::is_zero;
use rustix::fs::OFlags;

use crate::job::{ExtractError, Notice, Observer, Progress};
use crate::seed::Window;
use crate::target::{Cleared, Media, Refusal, Share, Tail, Target, TargetError, expect_writable, guard};
use crate::verified::Verified;

/// Bytes looked at, and zeroed, at a time behind the image.
const STEP: usize = 1 << 20;
/// Longest sector of any device.
const SECTOR: u64 = 4096;

/// A block device, held for ourselves alone.
#[derive(Debug)]
pub(crate) struct Device {
    media: Media,
    len: u64,
    image_len: u64,
    tail: Tail,
}

impl Device {
    /// Opens the device at `path` for ourselves alone, if it is free and has room.
    pub(crate) fn open(path: &Path, image_len: u64, tail: Tail) -> Result<Self, TargetError> {
        let (file, len) = open_alone(path, image_len, true)?;
        Ok(Self { media: Media::device(Arc::new(file)), len, image_len, tail })
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

    fn clear_tail(&mut self, observer: &dyn Observer) -> Result<Cleared, ExtractError> {
        let range = self.image_len..self.len;
        match self.tail {
            Tail::Leave => Ok(Cleared::default()),
            Tail::Zero => {
                let media = &self.media;
                let zeroed = each_unclear(media.handle(), range, observer, |step| zero(media, step))?;
                self.media.flush()?;
                Ok(Cleared { zeroed, discarded: 0 })
            }
            Tail::Discard => {
                let range = discardable(range);
                if let Err(error) = self.media.discard(range.clone()) {
                    observer.notice(&Notice::Undiscarded { error: &error });
                    return Ok(Cleared::default());
                }
                Ok(Cleared { zeroed: 0, discarded: range.end - range.start })
            }
        }
    }

    fn finish(&mut self) -> Result<(), TargetError> {
        Ok(())
    }
}

impl Device {
    /// What clearing the tail of the device at `path` comes to, as far as that can be told beforehand.
    pub(crate) fn measure_tail(
        path: &Path,
        image_len: u64,
        tail: Tail,
        observer: &dyn Observer,
    ) -> Result<Cleared, ExtractError> {
        let opens = |error| TargetError::Open(path.to_owned(), error);
        let mut file = File::open(path).map_err(opens)?;
        let range = image_len..file.seek(SeekFrom::End(0)).map_err(opens)?.max(image_len);
        match tail {
            Tail::Leave => Ok(Cleared::default()),
            Tail::Zero => {
                let zeroed = each_unclear(&file, range, observer, |_| Ok(()))?;
                Ok(Cleared { zeroed, discarded: 0 })
            }
            Tail::Discard => {
                let range = discardable(range);
                Ok(Cleared { zeroed: 0, discarded: range.end - range.start })
            }
        }
    }
}

/// Does something to each part of `range` that is not known to be zero already. Returns how many bytes these have.
fn each_unclear(
    file: &File,
    range: Range<u64>,
    observer: &dyn Observer,
    mut act: impl FnMut(Range<u64>) -> Result<(), TargetError>,
) -> Result<u64, ExtractError> {
    let mut held = vec![0; STEP];
    let (mut at, mut unclear) = (range.start, 0);
    while at < range.end {
        if observer.is_cancelled() {
            return Err(ExtractError::Cancelled);
        }
        let end = (at + 1).next_multiple_of(STEP as u64).min(range.end);
        let held = &mut held[..usize::try_from(end - at).expect("a step is in memory")];
        // What is zero already is not worn out by writing it again.
        if !(file.read_exact_at(held, at).is_ok() && is_zero(held)) {
            act(at..end)?;
            unclear += end - at;
        }
        at = end;
        let (done, total) = (at - range.start, range.end - range.start);
        observer.progress(&Progress::Clearing { done, total });
    }
    Ok(unclear)
}

/// Makes `step` zero by the device's own means, or by writing.
fn zero(media: &Media, step: Range<u64>) -> Result<(), TargetError> {
    let len = usize::try_from(step.end - step.start).expect("a step is in memory");
    // The kernel takes whole sectors only, and the image may end within one.
    if len == STEP && media.zero_out(step.clone()).is_ok() {
        return Ok(());
    }
    let fails = |error| TargetError::Write { at: step.start, error };
    media.handle().write_all_at(&vec![0; len], step.start).map_err(fails)
}

/// The whole sectors of `range`, however long they are.
fn discardable(range: Range<u64>) -> Range<u64> {
    let start = range.start.next_multiple_of(SECTOR);
    start..(range.end / SECTOR * SECTOR).max(start)
}
