//! The regular files below a directory, one behind the other.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Bytes between two files: what lies at the end of one never seems to touch what starts the next.
const GAP: u64 = 1;

/// The files below a directory. Symbolic links are not followed.
#[derive(Debug)]
pub struct Directory {
    files: Vec<Member>,
    size: u64,
}

#[derive(Debug)]
struct Member {
    path: PathBuf,
    range: Range<u64>,
}

impl Directory {
    /// Lists what lies below `root`. Directories that cannot be read are left out.
    pub fn open(root: &Path) -> io::Result<Self> {
        let mut files: Vec<(PathBuf, u64)> = Vec::new();
        let mut open = vec![root.to_owned()];
        while let Some(directory) = open.pop() {
            let entries = match std::fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if directory == root => return Err(error),
                Err(_) => continue,
            };
            for entry in entries.flatten() {
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_dir() {
                    open.push(entry.path());
                } else if metadata.is_file() && metadata.len() > 0 {
                    files.push((entry.path(), metadata.len()));
                }
            }
        }
        // The same tree is the same seed, however the file system lists it.
        files.sort_unstable();
        let mut size = 0;
        let files = files.into_iter().map(|(path, len)| {
            let range = size..size + len;
            size = range.end + GAP;
            Member { path, range }
        });
        let files = files.collect();
        Ok(Self { files, size })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn extents(&self) -> Vec<Range<u64>> {
        self.files.iter().map(|member| member.range.clone()).collect()
    }

    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let number = self.files.partition_point(|member| member.range.end <= offset);
        let member = self.files.get(number).filter(|member| {
            member.range.start <= offset && buffer.len() as u64 <= member.range.end - offset
        });
        let member = member.ok_or(io::ErrorKind::UnexpectedEof)?;
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).expect("flags fit");
        let file = File::options().read(true).custom_flags(flags).open(&member.path)?;
        file.read_exact_at(buffer, offset - member.range.start)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "plain files, written once")]
mod tests {
    use super::*;

    #[test]
    fn files_below_are_read_and_links_are_not_followed() {
        let root = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(root.path().join("sub")).expect("made");
        std::fs::write(root.path().join("a"), b"first").expect("written");
        std::fs::write(root.path().join("sub/b"), b"second").expect("written");
        std::fs::write(root.path().join("empty"), b"").expect("written");
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("link")).expect("linked");
        let directory = Directory::open(root.path()).expect("open");
        assert_eq!(directory.extents(), [0..5, 6..12]);
        let mut buffer = [0; 6];
        directory.read(6, &mut buffer).expect("readable");
        assert_eq!(&buffer, b"second");
        assert!(directory.read(3, &mut buffer).is_err(), "no read runs across two files");
    }
}
