//! What lies where an image is to go, and whether it may go there: all that can be told without writing anything.

use std::path::Path;

use crate::target::{Destination, Device, Existing, Refusal, Replacement, TargetError, is_device};

/// How an image gets to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A block device is written.
    Device,
    /// A new file is made.
    New,
    /// The file that is there must be the image already.
    Compared,
    /// The file that is there gives way to a new one.
    Replaced,
    /// The file that is there becomes the image.
    Updated,
}

impl Place {
    /// How an image of `image_len` bytes, if that is known, gets to `path`.
    pub(crate) fn at(path: &Path, existing: Existing, image_len: Option<u64>) -> Result<Self, TargetError> {
        let refused = |refusal| Err(TargetError::Refused(path.to_owned(), refusal));
        let Ok(metadata) = path.metadata() else {
            if path.symlink_metadata().is_ok() {
                return refused(Refusal::Kind);
            }
            let parent = directory_of(path);
            if path.starts_with("/dev") || parent.canonicalize().is_ok_and(|real| real.starts_with("/dev")) {
                return refused(Refusal::Device);
            }
            return if parent.is_dir() { Ok(Self::New) } else { refused(Refusal::Parent) };
        };
        if is_device(path) {
            return Ok(Self::Device);
        }
        if !metadata.is_file() {
            return refused(Refusal::Kind);
        }
        match existing {
            Existing::Keep if image_len.is_some_and(|len| len != metadata.len()) => refused(Refusal::Exists),
            Existing::Keep => Ok(Self::Compared),
            Existing::Replace => Ok(Self::Replaced),
            Existing::Update => Ok(Self::Updated),
        }
    }
}

impl Destination {
    /// The file or device that it is, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Path { path, .. } => Some(path),
            Self::Stream(_) => None,
        }
    }

    /// Refuses what a run would refuse to write an image of `image_len` bytes to, if that is known, and writes nothing.
    /// Whether a file that may not change is the image already is not looked at.
    pub fn probe(&self, image_len: Option<u64>) -> Result<(), TargetError> {
        let Self::Path { path, existing } = self else { return Ok(()) };
        match Place::at(path, *existing, image_len)? {
            Place::Device => Device::probe(path, image_len.unwrap_or(0)),
            Place::New | Place::Replaced => Replacement::probe_beside(path),
            Place::Compared => Ok(()),
            Place::Updated => Replacement::probe_within(path),
        }
    }
}

/// The directory that `path` is a name in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
