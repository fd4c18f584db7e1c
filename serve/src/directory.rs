//! The files of a directory.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use crate::site::{Lifetime, Object, Site};

/// Directories whose files are named by their content.
const IMMUTABLE: [&str; 2] = ["packs", "patches"];
/// Directories that are the publisher's own.
const PRIVATE: [&str; 2] = ["lookup", "tmp"];

/// The regular files below a directory, but for hidden ones and the publisher's own. No link leads out of it.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// The files below `root`.
    pub fn open(root: &Path) -> io::Result<Self> {
        let root = fs::canonicalize(root)?;
        if root.is_dir() { Ok(Self { root }) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// Whether the file `found` may be shown as `relative`: by neither way does it lie outside, or in private.
    fn is_public(&self, relative: &Path, found: &Path) -> bool {
        let is_private = |path: &Path| PRIVATE.iter().any(|directory| path.starts_with(directory));
        !is_private(relative) && found.strip_prefix(&self.root).is_ok_and(|inside| !is_private(inside))
    }
}

impl Site for Directory {
    fn find(&self, path: &str) -> io::Result<Option<Arc<dyn Object>>> {
        let relative = Path::new(path.trim_start_matches('/'));
        let is_plain = |part: Component<'_>| match part {
            Component::Normal(name) => !name.as_encoded_bytes().starts_with(b"."),
            _ => false,
        };
        if path.contains('\0') || path.ends_with('/') || !relative.components().all(is_plain) {
            return Ok(None);
        }
        let found = match fs::canonicalize(self.root.join(relative)) {
            Ok(found) if self.is_public(relative, &found) => found,
            Err(error) if !is_absence(&error) => return Err(error),
            _ => return Ok(None),
        };
        // A pipe would block whoever opens it.
        let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOFOLLOW).bits()).expect("flags fit");
        let file = match File::options().read(true).custom_flags(flags).open(found) {
            Ok(file) => file,
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let is_immutable = IMMUTABLE.iter().any(|directory| relative.starts_with(directory));
        let (size, seconds, nanos) = (metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        let tag = format!("{size:x}-{seconds:x}-{nanos:x}-{:x}", metadata.ino());
        let lifetime = if is_immutable { Lifetime::Immutable } else { Lifetime::Revalidate };
        Ok(Some(Arc::new(Served { file, size, tag, lifetime })))
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename
    ) || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

struct Served {
    file: File,
    size: u64,
    tag: String,
    lifetime: Lifetime,
}

impl Object for Served {
    fn size(&self) -> u64 {
        self.size
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let len = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test's files need not outlive a crash")]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_inside_are_found() {
        let root = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir_all(root.path().join("site/packs")).expect("made");
        fs::write(root.path().join("secret"), b"secret").expect("written");
        let site_root = root.path().join("site");
        fs::write(site_root.join("a.cidx"), b"index").expect("written");
        fs::write(site_root.join("packs/1.pack"), b"pack").expect("written");
        fs::write(site_root.join(".hidden"), b"hidden").expect("written");
        std::os::unix::fs::symlink("../secret", site_root.join("out")).expect("linked");
        std::os::unix::fs::symlink("a.cidx", site_root.join("in")).expect("linked");
        for private in ["lookup", "tmp", "packs/tmp"] {
            fs::create_dir(site_root.join(private)).expect("made");
            fs::write(site_root.join(private).join("own"), b"own").expect("written");
        }
        std::os::unix::fs::symlink("lookup/own", site_root.join("aside")).expect("linked");
        let site = Directory::open(&site_root).expect("a site");
        let find = |path: &str| site.find(path).expect("no error");
        for path in ["/a.cidx", "/in"] {
            let object = find(path).expect("there");
            assert_eq!((object.size(), object.lifetime()), (5, Lifetime::Revalidate), "{path}");
            assert_eq!(object.read(1..3).expect("readable"), b"nd");
        }
        assert_eq!(find("/packs/1.pack").expect("there").lifetime(), Lifetime::Immutable);
        assert_eq!(find("/packs/tmp/own").expect("private at the top only").size(), 3);
        for path in [
            "/lookup/own",
            "/tmp/own",
            "//tmp/own",
            "/aside",
            "/",
            "/packs",
            "/packs/",
            "/../secret",
            "/packs/../a.cidx",
            "/out",
            "/.hidden",
            "/none",
            "/a.cidx/x",
            "/a\0b",
        ] {
            assert!(find(path).is_none(), "{path}");
        }
    }
}
