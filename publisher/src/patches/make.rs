//! One patch: planned, encoded, weighed against the frames it spares, and stored.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use chunk_delta::{BuildError, Plan, Side};
use chunk_index::{Block, Digest, Entry, Index, PatchRef, Word};
use chunk_patch::Effort;
use chunk_store::{Backend, Key};
use rayon::ThreadPool;
use tempfile::SpooledTempFile;

use super::encode::{Failed, encode};
use super::image::StoredImage;
use super::worth::missing;
use crate::Observer;
use crate::error::MakeError;
use crate::places::IN_MEMORY;

/// Most entries of both images together: aligning takes some 60 bytes for each.
const MOST_ENTRIES: u64 = 1 << 24;

/// What became of a patch that was to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The label of the version that it starts from.
    pub base: Word,
    /// The patch, or why there is none.
    pub patch: Result<PatchRef, NoPatch>,
}

impl Made {
    /// None, from a base that cannot be used.
    pub(crate) fn failed(base: Word, error: &dyn Error) -> Self {
        Self { base, patch: Err(NoPatch::Failed(with_causes(error))) }
    }
}

/// Why there is no patch. A device that could have used it fetches frames.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoPatch {
    /// Both versions have the same image.
    Same,
    /// They are cut in different ways, so nobody knows what they share.
    Cut,
    /// They have too many chunks.
    Entries {
        /// Most that both together may have.
        limit: u64,
        /// What they have.
        found: u64,
    },
    /// Frames cost no more.
    Frames {
        /// Bytes of the frames that the base lacks.
        frames: u64,
        /// Bytes that the patch would have.
        patch: u64,
    },
    /// One of the images cannot be read from the store, or does not fit a patch.
    Failed(String),
}

impl fmt::Display for NoPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("it is the same image"),
            Self::Cut => f.write_str("it is cut in another way"),
            Self::Entries { limit, found } => write!(f, "{found} entries, at most {limit} are aligned"),
            Self::Frames { frames, patch } => {
                write!(f, "{patch} bytes of patch save nothing: the missing frames have {frames}")
            }
            Self::Failed(why) => f.write_str(why),
        }
    }
}

/// Makes patches.
pub(crate) struct Maker<'m> {
    pub(crate) backend: &'m dyn Backend,
    pub(crate) pool: &'m ThreadPool,
    pub(crate) observer: &'m dyn Observer,
    pub(crate) scratch: &'m Path,
    pub(crate) level: u8,
    /// What was made already for the same target.
    pub(crate) known: HashMap<Digest, Made>,
    /// Patches to the target that the store has, by what they start from: a larger one takes no place of theirs.
    pub(crate) held: HashMap<Digest, PatchRef>,
    /// Bytes of frames that the base lacks which lacks least.
    pub(crate) least: u64,
}

impl Maker<'_> {
    /// Makes the patch from `base` to `target`, and stores it.
    pub(crate) fn make<B, T>(&mut self, base: &Index<B>, target: &Index<T>) -> Result<Made, MakeError>
    where
        B: AsRef<[u8]> + Sync,
        T: AsRef<[u8]> + Sync,
    {
        let description = base.record().description();
        if let Some(made) = self.known.get(&description.blake3) {
            return Ok(made.clone());
        }
        let patch = match self.patch(base, target) {
            Ok(patch) => Ok(patch),
            Err(Refused::No(why)) => Err(why),
            Err(Refused::Failed(Failed::Stop(error))) => return Err(error),
            Err(Refused::Failed(Failed::Build(error))) => Err(NoPatch::Failed(with_causes(&error))),
        };
        let made = Made { base: description.label.clone(), patch };
        self.known.insert(description.blake3, made.clone());
        Ok(made)
    }

    fn patch<B, T>(&mut self, base: &Index<B>, target: &Index<T>) -> Result<PatchRef, Refused>
    where
        B: AsRef<[u8]> + Sync,
        T: AsRef<[u8]> + Sync,
    {
        let (old, new) = (base.record(), target.record());
        if old.description().blake3 == new.description().blake3 {
            return Err(Refused::No(NoPatch::Same));
        }
        if old.params() != new.params() {
            return Err(Refused::No(NoPatch::Cut));
        }
        let found = old.entries().saturating_add(new.entries());
        if found > MOST_ENTRIES {
            return Err(Refused::No(NoPatch::Entries { limit: MOST_ENTRIES, found }));
        }
        let frames = missing(base, target);
        self.least = self.least.min(frames);
        let (base_image, target_image) = (self.image(base)?, self.image(target)?);
        let plan = Plan::new(&side(base, &base_image), &side(target, &target_image))?;
        let mut groups = SpooledTempFile::new_in(IN_MEMORY, self.scratch);
        let effort = Effort::new(self.level);
        let group = |group: &chunk_delta::Spec| {
            // Each thread has its own: what one has decoded, the next hardly needs.
            let base = StoredImage::new(self.backend, base).map_err(BuildError::Base)?;
            let target = StoredImage::new(self.backend, target).map_err(BuildError::Target)?;
            group.encode(&base, &target, effort)
        };
        let lens = encode(&plan, self.pool, self.observer, group, &mut groups)?;
        let head = plan.head(&lens)?;
        let len = head.len() as u64 + lens.iter().sum::<u64>();
        if len >= frames {
            return Err(Refused::No(NoPatch::Frames { frames, patch: len }));
        }
        if let Some(held) = self.held.get(&old.description().blake3).filter(|held| held.len <= len) {
            return Ok(*held);
        }
        let name = self.store(&head, &mut groups)?;
        Ok(PatchRef { base: old.description().blake3, base_len: old.image_len(), name, len, next: None })
    }

    fn image<'i, B: AsRef<[u8]>>(&'i self, index: &'i Index<B>) -> Result<StoredImage<'i, B>, Refused> {
        Ok(StoredImage::new(self.backend, index)
            .map_err(MakeError::store("making a decoder"))
            .map_err(Failed::Stop)?)
    }

    /// Stores the patch of `head` and `groups`, and returns its name.
    fn store(&self, head: &[u8], groups: &mut SpooledTempFile) -> Result<Digest, Failed> {
        let fails = |error| Failed::Stop(MakeError::store("storing a patch")(error));
        let mut upload = self.backend.create().map_err(fails)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(head);
        upload.write_all(head).map_err(fails)?;
        groups.seek(SeekFrom::Start(0)).map_err(Failed::keeping)?;
        let mut piece = vec![0; 1 << 16];
        loop {
            match groups.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(&piece[..count]);
                    upload.write_all(&piece[..count]).map_err(fails)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failed::keeping(error)),
            }
        }
        let name = *hasher.finalize().as_bytes();
        upload.replace(&Key::Patch(name)).map_err(fails)?;
        Ok(name)
    }
}

enum Refused {
    No(NoPatch),
    Failed(Failed),
}

impl From<Failed> for Refused {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl From<BuildError> for Refused {
    fn from(error: BuildError) -> Self {
        Self::Failed(Failed::Build(error))
    }
}

fn side<'i, B: AsRef<[u8]>>(index: &Index<B>, image: &'i StoredImage<'_, B>) -> Side<'i> {
    Side {
        len: index.record().image_len(),
        blake3: index.record().description().blake3,
        entries: index.entries().map(|placed| placed.entry).collect::<Vec<Entry>>(),
        blocks: index.blocks().map(|(_, block)| block).collect::<Vec<Block>>(),
        image,
    }
}

fn with_causes(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_causes(cause)),
        None => error.to_string(),
    }
}
