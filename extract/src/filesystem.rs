//! What file system a directory lies in.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The kind of file system that `path` lies in, as `mount` calls it; none if it cannot be told.
pub(crate) fn kind_of(path: &Path) -> Option<String> {
    let device = path.metadata().ok()?.dev();
    let number = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    kind_in(&fs::read_to_string("/proc/self/mountinfo").ok()?, &number)
}

/// The kind of the file system `number` in a list of mounts.
fn kind_in(mounts: &str, number: &str) -> Option<String> {
    let mount = mounts.lines().find(|mount| mount.split(' ').nth(2) == Some(number))?;
    // Before the dash there may be any number of fields.
    let (_, behind) = mount.split_once(" - ")?;
    behind.split(' ').next().map(str::to_owned)
}

/// The part of `path` that is there: itself, or the directory in which it would be made.
pub(crate) fn nearest(path: &Path) -> &Path {
    let mut ancestors = path.ancestors().filter(|path| !path.as_os_str().is_empty());
    ancestors.find(|path| path.symlink_metadata().is_ok()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_known_by_its_number() {
        let mounts = "22 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw\n\
                      25 22 0:23 / /tmp\\040dir rw - tmpfs tmpfs rw,size=1k\n";
        assert_eq!(kind_in(mounts, "254:0").as_deref(), Some("ext4"));
        assert_eq!(kind_in(mounts, "0:23").as_deref(), Some("tmpfs"));
        assert_eq!(kind_in(mounts, "0:2"), None);
        assert_eq!(kind_of(Path::new("/proc/self")).as_deref(), Some("proc"));
    }

    #[test]
    fn what_is_not_there_would_be_made_in_what_is() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(nearest(&directory.path().join("a/b/c")), directory.path());
        assert_eq!(nearest(directory.path()), directory.path());
        assert_eq!(nearest(Path::new("surely/not/here")), Path::new("."));
    }
}
