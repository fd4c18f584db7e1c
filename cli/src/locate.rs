//! Finding the index that is meant: a file, or a line's version by label or id.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use chunk_index::{Head, HeadError, Index};
use chunk_store::line::{EXTENSION, Version};

use crate::exit::{Exit, Failure};

/// Fewest digits of an id that are taken for one.
const ID_DIGITS: usize = 8;
/// Bytes of an index read first: enough for most heads.
const HEAD_GUESS: u64 = 1 << 14;
/// Most bytes of an index that memory is reserved for before they are read.
const READ_AHEAD: usize = 1 << 26;
/// Bytes that every index starts with.
const MAGIC: &[u8; 8] = b"chunkidx";

/// An index in memory, and where it lies.
pub(crate) struct Located {
    pub(crate) path: PathBuf,
    pub(crate) index: Index<Vec<u8>>,
}

impl Located {
    /// The directory that the packs lie in.
    pub(crate) fn store(&self) -> &Path {
        parent(&self.path)
    }
}

/// Reads the index that `what` means: a file; or a file without its extension; or `NAME@ID`, where ID are at
/// least eight first digits of the version's id or of the image's BLAKE3.
pub(crate) fn open(what: &Path) -> Result<Located, Failure> {
    let path = find(what)?;
    let fails = |error: io::Error| {
        Failure::new(Exit::Missing, io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    };
    let damaged = |error| {
        Failure::new(Exit::Index, In { path: path.clone(), error })
            .hint("`chunk verify` tells which versions of a store are damaged")
    };
    // The head says how long an index is, so a whole image is not read because it was taken for one.
    let file_len = head(&path)?.file_len();
    let mut bytes = Vec::with_capacity(usize::try_from(file_len).unwrap_or(0).min(READ_AHEAD));
    let file = File::open(&path).map_err(fails)?;
    file.take(file_len.saturating_add(1)).read_to_end(&mut bytes).map_err(fails)?;
    let index = Index::decode(bytes).map_err(damaged)?;
    Ok(Located { path, index })
}

/// Whether a file starts as an index does.
pub(crate) fn is_index(path: &Path) -> bool {
    let mut magic = [0; 8];
    path.is_file()
        && File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok()
        && magic == *MAGIC
}

/// Reads no more than the head of an index.
pub(crate) fn head(path: &Path) -> Result<Head, Failure> {
    let mut file = File::open(path).map_err(|error| Failure::new(Exit::Missing, error))?;
    let mut bytes = Vec::new();
    let mut wanted = HEAD_GUESS;
    loop {
        let missing = wanted - bytes.len() as u64;
        let read = file.by_ref().take(missing).read_to_end(&mut bytes);
        let read = read.map_err(|error| Failure::new(Exit::Missing, error))?;
        match Head::decode(&bytes) {
            Ok(head) => return Ok(head),
            Err(HeadError::Incomplete { needed }) if read > 0 => wanted = needed,
            Err(error) => {
                return Err(Failure::new(Exit::Index, In { path: path.to_owned(), error })
                    .hint("`chunk verify` tells which versions of a store are damaged"));
            }
        }
    }
}

pub(crate) fn find(what: &Path) -> Result<PathBuf, Failure> {
    if what.is_file() {
        return Ok(what.to_owned());
    }
    if what.is_dir() {
        let message = format!("{} is a directory", what.display());
        return Err(
            Failure::new(Exit::Usage, message).hint("name an index in it; `chunk list DIR` shows them")
        );
    }
    if what.exists() {
        let message = format!("{} is not a file: an index is read more than once", what.display());
        return Err(Failure::new(Exit::Usage, message).hint("write it to a file first"));
    }
    let text = what.to_string_lossy();
    let text = text.strip_suffix(&format!(".{EXTENSION}")).unwrap_or(&text);
    let file = PathBuf::from(format!("{text}.{EXTENSION}"));
    if file.is_file() {
        return Ok(file);
    }
    let name = Path::new(text).file_name().and_then(|name| name.to_str());
    let by_id = name.and_then(|name| name.split_once('@')).map(|(name, id)| {
        let id = id.strip_prefix("blake3:").unwrap_or(id);
        by_id(parent(what), name, id)
    });
    by_id.transpose()?.flatten().ok_or_else(|| {
        // What looks like a URL may hold a password.
        let shown = if text.contains(":/") { "of that name".to_owned() } else { what.display().to_string() };
        Failure::new(Exit::Missing, format!("there is no index {shown}"))
            .hint("`chunk list DIR` shows the versions of a store")
    })
}

/// The version of line `name` in `store` whose id, or whose image's BLAKE3, starts with `id`.
fn by_id(store: &Path, name: &str, id: &str) -> Result<Option<PathBuf>, Failure> {
    if id.len() < ID_DIGITS || !id.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(None);
    }
    let mut found: Option<PathBuf> = None;
    for (version, path) in versions(store)? {
        if version.name.as_str() != name || version.label.is_none() {
            continue;
        }
        let Ok(head) = head(&path) else { continue };
        let image = blake3_text(&head.record().description().blake3);
        if !head.id().to_string().starts_with(id) && !image.starts_with(id) {
            continue;
        }
        if let Some(other) = &found {
            let message = format!("{id} could be {} or {}", other.display(), path.display());
            return Err(Failure::new(Exit::Usage, message));
        }
        found = Some(path);
    }
    Ok(found)
}

/// The indexes in a directory.
pub(crate) fn versions(store: &Path) -> Result<Vec<(Version, PathBuf)>, Failure> {
    let fails = |error: io::Error| {
        Failure::new(Exit::Missing, io::Error::new(error.kind(), format!("{}: {error}", store.display())))
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(store).map_err(fails)? {
        let entry = entry.map_err(fails)?;
        let version = entry.file_name().to_str().and_then(Version::from_file_name);
        // Only files: opening a pipe would wait for ever.
        if let Some(version) = version.filter(|_| entry.path().is_file()) {
            found.push((version, entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The text form of a hash.
pub(crate) fn blake3_text(digest: &[u8; 32]) -> String {
    chunk_chunker::Name::from_bytes(*digest).to_string()
}

pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// An error with the file it is about.
#[derive(Debug)]
pub(crate) struct In<E> {
    pub(crate) path: PathBuf,
    pub(crate) error: E,
}

impl<E> std::fmt::Display for In<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} cannot be used", self.path.display())
    }
}

impl<E: std::error::Error + 'static> std::error::Error for In<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
