//! What a directory looks like, to tell whether anything in it was touched.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Stands for the bytes of a file; short, so that a difference can be read.
type Content = blake3::Hash;

/// What changes if a file is written to or replaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct File {
    inode: u64,
    modified: (i64, i64),
    content: Content,
}

/// All files under a directory.
pub(crate) fn fingerprint(root: &Path) -> BTreeMap<PathBuf, File> {
    let mut files = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("the directory is there") {
            let path = entry.expect("the directory can be listed").path();
            let metadata = path.symlink_metadata().expect("the file is there");
            if metadata.is_dir() {
                directories.push(path);
            } else {
                let modified = (metadata.mtime(), metadata.mtime_nsec());
                let content = blake3::hash(&fs::read(&path).expect("the file can be read"));
                files.insert(path, File { inode: metadata.ino(), modified, content });
            }
        }
    }
    files
}

/// What a server must show of a store, by relative path: indexes and packs.
pub(crate) fn served(store: &Path) -> BTreeMap<PathBuf, Content> {
    let relative = |path: PathBuf| path.strip_prefix(store).expect("it lies in the store").to_owned();
    let all = fingerprint(store).into_iter().map(|(path, file)| (relative(path), file.content));
    all.filter(|(path, _)| !path.starts_with("lookup") && !path.starts_with("tmp")).collect()
}
