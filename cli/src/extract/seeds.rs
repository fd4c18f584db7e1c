//! Seeds as they are typed, opened.

use std::error::Error;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chunk_extract::{
    Directory, KnownImage, Scratch, Seed, SeedPart, State, StoreSeed, Window, index_lists_at,
};
use chunk_fetch::DirectorySource;
use chunk_index::LeafList;

use crate::exit::{Exit, Failure};
use crate::extract::Watch;
use crate::locate;
use crate::network::is_url;
use crate::size::Size;
use crate::stdin::Stdin;

/// What stands for stdin on the command line.
const STDIN: &str = "-";
/// Bytes taken from stdin at a time.
const STEP: usize = 1 << 20;

/// Opens the seed typed as `text`, whose chunks `index` tells if it is given. A seed is a hint: one that cannot be used,
/// and an index that cannot, are warned of, and it goes on without them.
pub(crate) fn open(
    text: &str,
    index: Option<&Path>,
    state: Option<&State>,
    scratch: &Scratch,
    watch: &Watch,
) -> Result<Option<SeedPart>, Failure> {
    if text == STDIN {
        return match spool(scratch, watch) {
            Ok(seed) => Ok(Some(match index {
                Some(index) => told(seed, STDIN, index, watch),
                None => seed.into(),
            })),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                Err(Failure::new(Exit::Interrupted, "interrupted"))
            }
            Err(error) => Ok(unusable("standard input", &error, watch)),
        };
    }
    if is_url(text) {
        // Not repeated here: it may hold a password.
        return Err(Failure::new(Exit::Usage, "a --seed is a URL: seeds are on this machine").hint(
            "--store names another place of the store; to have a seed from a server, download it first",
        ));
    }
    let (path, part) = split(text)?;
    if path.is_dir() {
        return Ok(match Directory::open(&path) {
            Ok(directory) => Some(Seed::directory(text.to_owned(), directory).into()),
            Err(error) => unusable(text, &error, watch),
        });
    }
    if locate::is_index(&path) && part.is_none() {
        return Ok(match locate::open(&path) {
            Ok(located) => {
                let source = Box::new(DirectorySource::new(located.store()));
                Some(Seed::store(text.to_owned(), StoreSeed::new(located.index, source)).into())
            }
            Err(failure) => unusable(text, failure.error(), watch),
        });
    }
    let window = match Window::open(&path, part.clone()) {
        Ok(window) => window,
        Err(error) => return Ok(unusable(text, &error, watch)),
    };
    let seed = Seed::window(text.to_owned(), window);
    if let Some(index) = index {
        return Ok(Some(told(seed, text, index, watch)));
    }
    if part.is_some() {
        return Ok(Some(seed.into()));
    }
    let index = beside(&path);
    let lists = index.as_deref().and_then(|index| index_lists_at(index).ok());
    let lists = lists.or_else(|| state?.lists(&path));
    let image = index.as_deref().and_then(KnownImage::of_index_at);
    let image = image.or_else(|| state?.image(&path));
    Ok(Some(SeedPart { seed, lists, image }))
}

/// A seed, and what `index` tells of it.
fn told(seed: Seed, name: &str, index: &Path, watch: &Watch) -> SeedPart {
    SeedPart { seed, lists: lists(name, index, watch), image: KnownImage::of_index_at(index) }
}

/// The chunks that `index` tells of `seed`; nothing if it is no index.
pub(crate) fn lists(seed: &str, index: &Path, watch: &Watch) -> Option<Vec<LeafList>> {
    let told = index_lists_at(index);
    told.inspect_err(|error| watch.misled(seed, &index.display().to_string(), error)).ok()
}

/// Tells that it goes on without `seed`.
fn unusable(seed: &str, error: &(dyn Error + 'static), watch: &Watch) -> Option<SeedPart> {
    watch.unusable(seed, error);
    None
}

/// Where the index of a seed would lie beside it.
fn beside(seed: &Path) -> Option<PathBuf> {
    let mut name = seed.file_name()?.to_owned();
    name.push(".cidx");
    Some(seed.with_file_name(name))
}

/// Stdin in a file without a name: chunks are taken from a seed in any order. What has no room is left out.
fn spool(scratch: &Scratch, watch: &Watch) -> io::Result<Seed> {
    let stop = watch.stop();
    let mut file = tempfile::tempfile_in(&scratch.directory)?;
    let mut stdin = Stdin::open(Arc::clone(&stop))?;
    let (mut buffer, mut len) = (vec![0; STEP], 0);
    loop {
        let read = stdin.read(&mut buffer)?;
        if stop.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if read == 0 {
            break;
        }
        let fits = usize::try_from(scratch.room - len).map_or(read, |room| room.min(read));
        let written = file.write_all(&buffer[..fits]);
        len += if written.is_ok() { fits as u64 } else { 0 };
        match written {
            Ok(()) if fits == read => {}
            Err(error) if error.kind() != io::ErrorKind::StorageFull => return Err(error),
            _ => {
                watch.cut(len, &scratch.directory);
                break;
            }
        }
    }
    Ok(Seed::window("standard input".to_owned(), Window::of(Arc::new(file), Some(0..len))?))
}

/// The path of the seed typed as `text`; none if it is stdin.
pub(super) fn path_of(text: &str) -> Option<PathBuf> {
    (text != STDIN).then(|| split(text).map_or_else(|_| PathBuf::from(text), |(path, _)| path))
}

/// The path and the part of it that PATH@OFFSET+LENGTH means. A file that is really called so is meant itself.
fn split(text: &str) -> Result<(PathBuf, Option<Range<u64>>), Failure> {
    let whole = PathBuf::from(text);
    let Some((path, part)) = text.rsplit_once('@').filter(|_| !whole.exists()) else {
        return Ok((whole, None));
    };
    let wrong = |why: String| {
        Failure::new(Exit::Usage, format!("seed {text}: {why}"))
            .hint("a part of a seed is PATH@OFFSET+LENGTH")
    };
    let Some((offset, length)) = part.split_once('+') else {
        // A file of that name that is not there is no seed, and no mistake either.
        let is_meant = Path::new(path).exists();
        let absent = || wrong(format!("{} does not exist", whole.display()));
        return if is_meant { Err(absent()) } else { Ok((whole, None)) };
    };
    let size = |text: &str| text.parse::<Size>().map(|Size(size)| size).map_err(wrong);
    let (offset, length) = (size(offset)?, size(length)?);
    Ok((PathBuf::from(path), Some(offset..offset.saturating_add(length))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_seed_is_split_off() {
        let (path, part) = split("/dev/sda@1MiB+64K").expect("right");
        assert_eq!((path, part), (PathBuf::from("/dev/sda"), Some(1 << 20..(1 << 20) + (64 << 10))));
        assert_eq!(split("/dev/sda").expect("right"), (PathBuf::from("/dev/sda"), None));
        assert!(split("/dev/sda@x+1").is_err());
        let (whole, named) = (PathBuf::from("/dev/null@1"), PathBuf::from("/none/image@1.2"));
        assert!(split(whole.to_str().expect("plain")).is_err());
        assert_eq!(split(named.to_str().expect("plain")).expect("a name"), (named, None));
    }
}
