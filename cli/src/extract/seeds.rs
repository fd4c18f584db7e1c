//! Seeds as they are typed, opened.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chunk_extract::{Directory, Seed, SeedPart, State, StoreSeed, Window, index_lists_at};
use chunk_fetch::DirectorySource;
use chunk_index::LeafList;

use crate::exit::{Exit, Failure};
use crate::locate::{self, In};
use crate::size::Size;
use crate::stdin::Stdin;

/// What stands for stdin on the command line.
const STDIN: &str = "-";

/// Opens the seed typed as `text`, whose chunks `index` tells if it is given.
pub(crate) fn open(
    text: &str,
    index: Option<&Path>,
    state: Option<&State>,
    stop: &Arc<AtomicBool>,
) -> Result<SeedPart, Failure> {
    if text == STDIN {
        let seed = spool(stop).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => Failure::new(Exit::Interrupted, "interrupted"),
            _ => fails(Path::new("standard input"), error),
        })?;
        return Ok(SeedPart { seed, lists: index.map(lists).transpose()? });
    }
    let (path, part) = split(text)?;
    let opens = |error| fails(&path, error);
    if path.is_dir() {
        let directory = Directory::open(&path).map_err(opens)?;
        return Ok(SeedPart { seed: Seed::directory(text.to_owned(), directory), lists: None });
    }
    if locate::is_index(&path) && part.is_none() {
        let located = locate::open(&path)?;
        let source = Box::new(DirectorySource::new(located.store()));
        let seed = Seed::store(text.to_owned(), StoreSeed::new(located.index, source));
        return Ok(SeedPart { seed, lists: None });
    }
    let window = Window::open(&path, part.clone()).map_err(opens)?;
    let lists = match index {
        Some(index) => Some(lists(index)?),
        None if part.is_none() => beside(&path).or_else(|| state?.lists(&path)),
        None => None,
    };
    Ok(SeedPart { seed: Seed::window(text.to_owned(), window), lists })
}

/// The chunks that an index tells.
pub(crate) fn lists(index: &Path) -> Result<Vec<LeafList>, Failure> {
    index_lists_at(index).map_err(|error| Failure::new(Exit::Index, In { path: index.to_owned(), error }))
}

/// The chunks that an index beside the seed tells, if there is one that can be read.
fn beside(seed: &Path) -> Option<Vec<LeafList>> {
    let mut name = seed.file_name()?.to_owned();
    name.push(".cidx");
    index_lists_at(&seed.with_file_name(name)).ok()
}

/// Stdin in a file without a name: chunks are taken from a seed in any order.
fn spool(stop: &Arc<AtomicBool>) -> io::Result<Seed> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut Stdin::open(Arc::clone(stop))?, &mut file)?;
    if stop.load(Ordering::Relaxed) {
        return Err(io::ErrorKind::Interrupted.into());
    }
    Ok(Seed::window("standard input".to_owned(), Window::of(Arc::new(file), None)?))
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
    let (offset, length) =
        part.split_once('+').ok_or_else(|| wrong(format!("{} does not exist", whole.display())))?;
    let size = |text: &str| text.parse::<Size>().map(|Size(size)| size).map_err(wrong);
    let (offset, length) = (size(offset)?, size(length)?);
    Ok((PathBuf::from(path), Some(offset..offset.saturating_add(length))))
}

fn fails(path: &Path, error: io::Error) -> Failure {
    Failure::new(Exit::Source, In { path: path.to_owned(), error })
        .hint("a seed is a file, block device, directory or index that can be read")
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
        assert!(split("/dev/sda@1").is_err());
    }
}
