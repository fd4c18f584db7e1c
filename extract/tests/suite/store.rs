//! Stores with published images.

use std::path::Path;

use chunk_chunker::Params;
use chunk_extract::index_lists;
use chunk_index::{Annotations, Index, LeafList};
use chunk_publisher::{Options, Patching, Publisher, Source, Wish};
use chunk_store::Directory;
use tempfile::TempDir;

use crate::counting::Counting;

/// A store in a directory of its own.
pub(crate) struct Store {
    root: TempDir,
    params: Params,
    frame_len: u32,
}

impl Store {
    /// One whose chunks are so small that small images have many of them.
    pub(crate) fn new() -> Self {
        Self::with(Params::new(256, 1024, 8192, 1).expect("within the limits"), 32 << 10)
    }

    pub(crate) fn with(params: Params, frame_len: u32) -> Self {
        Self { root: tempfile::tempdir().expect("a temporary directory"), params, frame_len }
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    /// A source that reads this store.
    pub(crate) fn source(&self) -> Counting {
        Counting::new(self.path())
    }

    /// Publishes `image` as the newest version of the line `name`, whose index is then called `NAME.cidx`.
    pub(crate) fn make(&self, name: &str, image: &[u8]) -> Index<Vec<u8>> {
        self.make_with(name, image, None)
    }

    /// The same, with a patch from the version before.
    pub(crate) fn make_patched(&self, name: &str, image: &[u8]) -> Index<Vec<u8>> {
        self.make_with(name, image, Some(Patching { level: 3, ..Patching::default() }))
    }

    fn make_with(&self, name: &str, image: &[u8], patches: Option<Patching>) -> Index<Vec<u8>> {
        let directory = Directory::open_for_writing(self.path()).expect("a store");
        let options = Options {
            params: self.params,
            level: 1,
            frame_len: self.frame_len,
            pack_len: 1 << 20,
            jobs: Some(2),
            patches,
            ..Options::for_directory(&directory)
        };
        let wish = Wish {
            name: name.parse().expect("a word"),
            label: None,
            release: None,
            annotations: Annotations::default(),
        };
        let source = Source::stream(std::io::Cursor::new(image.to_vec()));
        let mut publisher = Publisher::new(&directory, options).expect("a publisher");
        publisher.make(source, &wish, &()).expect("published");
        self.index(name)
    }

    pub(crate) fn index(&self, name: &str) -> Index<Vec<u8>> {
        Index::decode(self.index_bytes(name)).expect("a whole index")
    }

    /// What the index of `name` says of the chunks of its image.
    pub(crate) fn lists(&self, name: &str) -> Vec<LeafList> {
        index_lists(&self.index_bytes(name)).expect("a whole index")
    }

    fn index_bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(format!("{name}.cidx"))).expect("it was published")
    }
}
