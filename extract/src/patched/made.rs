//! What comes out of the groups of all patches of a way but the last, kept until the image is made.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use chunk_delta::{Image, Stream};

use crate::seed::Seed;

use super::chain::{Root, visit};
use super::link::Link;

/// Most bytes that are kept in memory.
pub(super) const IN_MEMORY: u64 = 4 << 20;

/// Room for what comes out of groups, each in its place.
#[derive(Debug)]
pub(super) struct Made {
    bytes: Bytes,
    /// For each link and each of its groups: where its bytes start.
    places: Vec<Vec<Option<u64>>>,
}

#[derive(Debug)]
enum Bytes {
    Memory(RwLock<Vec<u8>>),
    /// A file without a name.
    File(File),
}

impl Made {
    /// Room for the needed groups of `links`, in memory or in an unnamed file in `directory`.
    pub(super) fn new(links: &[Link], directory: &Path) -> io::Result<Self> {
        let mut len = 0;
        let places = links.iter().map(|link| {
            let mut places = vec![None; link.patch.groups().len()];
            for group in &link.groups {
                let new = &link.patch.groups()[*group].new;
                places[*group] = Some(len);
                len += new.end - new.start;
            }
            places
        });
        let places = places.collect();
        let bytes = match usize::try_from(len) {
            Ok(room) if len <= IN_MEMORY => Bytes::Memory(RwLock::new(vec![0; room])),
            _ => Bytes::File(tempfile::tempfile_in(directory)?),
        };
        Ok(Self { bytes, places })
    }

    /// Bytes that the needed groups of `links` take outside of memory.
    pub(super) fn disk(links: &[Link]) -> u64 {
        let len = |link: &Link| {
            let groups = link.groups.iter().map(|group| &link.patch.groups()[*group].new);
            groups.map(|new| new.end - new.start).sum::<u64>()
        };
        let all: u64 = links.iter().map(len).sum();
        if all <= IN_MEMORY { 0 } else { all }
    }

    /// Keeps bytes that come out of link `number`, from `offset` of `stream` on. They come out of one group.
    pub(super) fn write(
        &self,
        links: &[Link],
        (number, stream, offset): (usize, Stream, u64),
        bytes: &[u8],
    ) -> io::Result<()> {
        let at = self.place(links, number, stream, offset)?;
        match &self.bytes {
            Bytes::Memory(memory) => {
                let mut memory = memory.write().unwrap_or_else(PoisonError::into_inner);
                let at = usize::try_from(at).expect("it is in memory");
                memory[at..at + bytes.len()].copy_from_slice(bytes);
                Ok(())
            }
            Bytes::File(file) => file.write_all_at(bytes, at),
        }
    }

    fn read(
        &self,
        links: &[Link],
        (number, stream, offset): (usize, Stream, u64),
        out: &mut [u8],
    ) -> io::Result<()> {
        let at = self.place(links, number, stream, offset)?;
        match &self.bytes {
            Bytes::Memory(memory) => {
                let memory = memory.read().unwrap_or_else(PoisonError::into_inner);
                let at = usize::try_from(at).expect("it is in memory");
                out.copy_from_slice(&memory[at..at + out.len()]);
                Ok(())
            }
            Bytes::File(file) => file.read_exact_at(out, at),
        }
    }

    fn place(&self, links: &[Link], number: usize, stream: Stream, offset: u64) -> io::Result<u64> {
        let patch = &links[number].patch;
        let group = patch.group_of(stream, offset).expect("the groups make all new bytes");
        let start = self.places[number][group];
        let start = start.ok_or_else(|| io::Error::other("bytes of a group that was not to be needed"))?;
        Ok(start + (offset - patch.groups()[group].new.start))
    }
}

/// The image that some links make of a seed.
pub(super) struct Old<'a> {
    pub(super) seed: &'a Seed,
    pub(super) links: &'a [Link],
    /// What comes out of their groups.
    pub(super) made: &'a Made,
}

impl Image for Old<'_> {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut result = Ok(());
        let range = offset..offset.saturating_add(out.len() as u64);
        visit(self.links, range, &mut |piece| {
            let within = |at: u64| usize::try_from(at - offset).expect("it is in memory");
            let part = &mut out[within(piece.image.start)..within(piece.image.end)];
            let read = match piece.root {
                Root::Zero => {
                    part.fill(0);
                    Ok(())
                }
                Root::Seed(offset) => self.seed.read(offset, part),
                Root::Group(link, stream, offset) => self.made.read(self.links, (link, stream, offset), part),
            };
            // The rest is read all the same: only blocks that need what cannot be read are lost.
            if result.is_ok() {
                result = read;
            }
        });
        result
    }
}
