//! What a device remembers of what it installed: the index of each target, so that it need not be scanned.
//!
//! It is a hint. It is written after the medium has the image, removed before anything of the image changes,
//! and believed no further than any other word about a seed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use chunk_chunker::Name;
use chunk_index::LeafList;

use crate::filesystem::{self, nearest};
use crate::known::KnownImage;
use crate::recipe::{Recipe, index_lists_at};
use crate::target::{expect_writable, open_private};

/// Characters of a path that are kept in the name of its file, of up to 4 bytes each.
const LONGEST_NAME: usize = 40;

/// What the name of a remembered image ends with.
const IMAGE: &str = "image";
/// What the name of a file ends with that is being written.
const PART: &str = "part";
/// File systems in which only the kernel makes files, whatever it says of who may write.
const KERNELS_OWN: [&str; 2] = ["proc", "sysfs"];

/// A directory of remembered indexes.
#[derive(Debug, Clone)]
pub struct State {
    directory: PathBuf,
}

impl State {
    /// The memory in `directory`, which is made if need be.
    pub fn open(directory: &Path) -> io::Result<Self> {
        Self::look(directory)?;
        fs::create_dir_all(directory)?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// The memory in `directory`, which need not be there, for somebody who only looks. Fails where nothing could be
    /// remembered.
    pub fn look(directory: &Path) -> io::Result<Self> {
        let there = nearest(directory);
        if !there.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        if filesystem::kind_of(there).is_some_and(|kind| KERNELS_OWN.contains(&kind.as_str())) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "no files can be made here"));
        }
        expect_writable(there)?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// The chunks of what was last installed at `target`; none if nothing is known.
    pub fn lists(&self, target: &Path) -> Option<Vec<LeafList>> {
        index_lists_at(&self.file(target)?).ok()
    }

    /// The image that was last installed at `target`; none if nothing is known. Somebody may have changed it since.
    pub fn image(&self, target: &Path) -> Option<KnownImage> {
        let file = self.file(target)?;
        KnownImage::decode(&fs::read(file.with_extension(IMAGE)).ok()?)
    }

    /// Forgets the chunks of what is at `target`, before it changes. What image it was is remembered until it is another:
    /// hashing shows how much of it is left.
    pub(crate) fn forget(&self, target: &Path) -> io::Result<()> {
        match self.file(target).map(fs::remove_file) {
            // After a power cut nothing may be remembered of a target that has changed.
            Some(Ok(())) => File::open(&self.directory)?.sync_all(),
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Remembers what is at `target` now: the chunks, as far as `recipe` tells, and the image.
    pub(crate) fn remember(
        &self,
        target: &Path,
        recipe: Option<&Recipe>,
        image: Option<&KnownImage>,
    ) -> io::Result<()> {
        let Some(path) = self.file(target) else { return Ok(()) };
        if let Some(recipe) = recipe.filter(|recipe| recipe.has_lists()) {
            replace(&path, recipe.bytes())?;
        }
        if let Some(image) = image {
            replace(&path.with_extension(IMAGE), &image.encode())?;
        }
        File::open(&self.directory)?.sync_all()
    }

    /// Where all that is kept lies.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where chunks are put aside for an in-place update of `target`.
    pub(crate) fn staged(&self, target: &Path) -> Option<PathBuf> {
        self.file(target).map(|file| file.with_extension("staged"))
    }

    /// Where what was fetched of patches for an in-place update of `target` is kept until their chunks are put aside.
    pub(crate) fn fetched(&self, target: &Path) -> Option<PathBuf> {
        self.file(target).map(|file| file.with_extension("fetched"))
    }

    /// Removes what was fetched of patches for `target`: it is used, or not needed.
    pub(crate) fn drop_fetched(&self, target: &Path) -> io::Result<()> {
        self.fetched(target).map_or(Ok(()), |fetched| unless_missing(fs::remove_dir_all(fetched)))
    }

    /// Removes what was put aside for `target`, and what was about to be written when a run was cut short.
    pub(crate) fn drop_staged(&self, target: &Path) -> io::Result<()> {
        self.drop_fetched(target)?;
        let Some(staged) = self.staged(target) else { return Ok(()) };
        let mut paths =
            [staged.with_extension("staged-part"), staged.with_extension(PART), staged].into_iter();
        paths.try_for_each(|path| unless_missing(fs::remove_file(path)))
    }

    /// Where the journal of an in-place update of `target` is.
    pub(crate) fn journal(&self, target: &Path) -> Option<PathBuf> {
        self.file(target).map(|file| file.with_extension("journal"))
    }

    /// The file for a target, by its real path.
    fn file(&self, target: &Path) -> Option<PathBuf> {
        let path = fs::canonicalize(target).ok()?;
        let name: String = path
            .to_str()?
            .trim_start_matches('/')
            .chars()
            .map(|c| match c {
                '%' => "%25".to_owned(),
                '/' => "%2f".to_owned(),
                c => c.to_string(),
            })
            .collect();
        // A file name has 255 bytes at most, and the journal needs some of them.
        let name = match name.char_indices().nth(LONGEST_NAME) {
            Some((end, _)) => format!("{}-{}", &name[..end], Name::of(name.as_bytes())),
            None => name,
        };
        Some(self.directory.join(name + ".cidx"))
    }
}

/// Puts `bytes` into the place of the file at `path`, whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // The name is the target's own, so that what a killed run has left is written over and not added to. Only one run at a
    // time has the target.
    let part = path.with_extension(PART);
    let mut file = open_private(&part)?;
    file.set_len(0)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(part, path)
}

/// Nobody minds that what was to be removed is not there.
fn unless_missing(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
