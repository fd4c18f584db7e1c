//! What an extraction writes beside the image must land neither in the image nor in what that is made of.

use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};
use crate::locate::{self, parent};

use super::args::What;
use super::{STDOUT, seeds};

/// What a name leads to.
#[derive(PartialEq, Eq)]
enum Lies {
    /// A file or pipe, by file system and inode.
    File(u64, u64),
    /// A block device, by number: it may have several nodes.
    Device(u64),
    /// Nothing yet; it would be made here.
    Nowhere(PathBuf),
}

impl Lies {
    /// Where `path` leads; none if nothing could lie there, or if it is a character device: a terminal or `/dev/null` may be
    /// any number of things at a time.
    fn at(path: &Path) -> Option<Self> {
        match path.metadata() {
            Ok(found) if found.file_type().is_block_device() => Some(Self::Device(found.rdev())),
            Ok(found) if found.file_type().is_char_device() => None,
            Ok(found) => Some(Self::File(found.dev(), found.ino())),
            Err(_) => Some(Self::Nowhere(parent(path).canonicalize().ok()?.join(path.file_name()?))),
        }
    }
}

/// What the image is made of and where it goes, each with what it is called.
pub(super) struct Used(Vec<(&'static str, Lies)>);

impl Used {
    /// What `what` names, with `target` as the target if it names none.
    pub(super) fn of(what: &What, target: Option<&str>) -> Self {
        let mut used = Vec::new();
        let mut add = |called, path: &Path| used.extend(Lies::at(path).map(|lies| (called, lies)));
        let target = what.target.as_deref().or(target.map(Path::new));
        match target {
            Some(target) if target == Path::new(STDOUT) => add("standard output", Path::new("/dev/fd/1")),
            Some(target) => {
                // What a link leads to may be replaced, not the link.
                let target = target.canonicalize().unwrap_or_else(|_| target.to_owned());
                add("the target", &target);
                let mut part = target.into_os_string();
                part.push(".part");
                add("the file that the image grows in", Path::new(&part));
            }
            None => {}
        }
        add("the index", &locate::find(&what.index).unwrap_or_else(|_| what.index.clone()));
        for seed in &what.seed {
            match seeds::path_of(seed) {
                Some(path) => add("a seed", &path),
                None => add("a seed", Path::new("/dev/fd/0")),
            }
        }
        for index in &what.seed_index {
            add("the index of a seed", index);
        }
        Self(used)
    }

    /// Refuses to have `option` write to `path` if that is something else already.
    pub(super) fn expect_apart(&self, option: &str, path: &Path) -> Result<(), Failure> {
        let lies = Lies::at(path);
        match self.0.iter().find(|(_, used)| Some(used) == lies.as_ref()) {
            Some((called, _)) => Err(Failure::new(
                Exit::Usage,
                format!("{option}: {} is {called}, which must not be written to", path.display()),
            )
            .hint("give it a file or descriptor of its own")),
            None => Ok(()),
        }
    }
}

/// Refuses to make the image out of an index, or among the objects of the store that `index` lies in.
pub(super) fn expect_no_store(target: &Path, index: &Path) -> Result<(), Failure> {
    let refused = |why: &str| {
        let message = format!("the target {} {why}", target.display());
        Err(Failure::new(Exit::Usage, message)
            .hint("the target is what the image is written to: INDEX comes first"))
    };
    if locate::is_index(target) {
        return refused("is an index, which must not be overwritten");
    }
    let real = |path: &Path| path.canonicalize().ok();
    let directory =
        real(target).map_or_else(|| real(parent(target)), |target| Some(parent(&target).to_owned()));
    let Ok(index) = locate::find(index) else { return Ok(()) };
    let objects = ["packs", "patches"].map(|objects| real(&parent(&index).join(objects)));
    let is_object = directory
        .is_some_and(|directory| objects.iter().flatten().any(|objects| directory.starts_with(objects)));
    if is_object { refused("is a part of the store, which must not be overwritten") } else { Ok(()) }
}

/// The path by which the open descriptor `fd` is found.
pub(super) fn descriptor(fd: u32) -> PathBuf {
    PathBuf::from(format!("/dev/fd/{fd}"))
}

/// Fails unless the descriptor `fd` is open, and for writing.
pub(super) fn expect_open_for_writing(fd: u32) -> io::Result<()> {
    /// The bits of a descriptor's flags that tell what it is open for, and what they are for reading alone.
    const ACCESS: u32 = 3;
    const READING: u32 = 0;
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{fd}"))?;
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    if flags.is_none_or(|flags| flags & ACCESS == READING) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is not open for writing"));
    }
    Ok(())
}

/// Refuses a device that a report would overwrite. A terminal is none, nor is what forgets everything.
pub(super) fn expect_no_device(path: &Path) -> Result<(), Failure> {
    let Ok(found) = path.metadata() else { return Ok(()) };
    let kind = found.file_type();
    let is_null = kind.is_char_device() && found.rdev() == rustix::fs::makedev(1, 3);
    let is_terminal = || fs::File::options().append(true).open(path).is_ok_and(|file| file.is_terminal());
    if kind.is_block_device() || (kind.is_char_device() && !is_null && !is_terminal()) {
        return Err(Failure::new(Exit::Usage, format!("--report: {} is a device", path.display()))
            .hint("--report names a file that can be written"));
    }
    Ok(())
}
