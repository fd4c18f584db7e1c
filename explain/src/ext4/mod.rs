//! ext2, ext3 and ext4: where inodes say that their data lie, and the names that directories give them.
//!
//! The inode tables are read twice: for the directories, then for everything, so that a file's path is known when it
//! is added. Reads of directories and trees are counted against the blocks of the volume, so loops end.

#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

mod directory;
mod extents;
mod groups;
mod inode;
mod superblock;

use std::io;

use crate::layout::{Form, Layout, Metadata, Owner, Piece};
use crate::names::Names;
use crate::read::Volume;

use extents::Extent;
use groups::Group;
use inode::{Inode, Kind};
use superblock::Superblock;

/// Inode of the root directory.
const ROOT: u64 = 2;
/// Inode whose blocks are room for more group descriptors.
const RESIZE: u64 = 7;

/// Whether a volume says it is one of these, by a cheap look.
pub(crate) fn is_ext4(volume: &mut Volume<'_, '_>) -> io::Result<bool> {
    Ok(Superblock::read(volume)?.is_some())
}

/// Adds what lies in the volume to `layout`; paths get `prefix`.
pub(crate) fn read(volume: &mut Volume<'_, '_>, prefix: &str, layout: &mut Layout) -> io::Result<()> {
    let Some(superblock) = Superblock::read(volume)? else { return Ok(()) };
    layout.kinds.push(format!("{prefix}ext4"));
    layout.facts.extend(superblock.facts(prefix));
    let groups = groups::read(volume, &superblock, layout)?;
    let budget = superblock.blocks;
    let mut reader = Reader { volume, superblock, prefix, layout, names: Names::default(), budget };
    reader.each_inode(&groups, Reader::note_names)?;
    reader.budget = reader.superblock.blocks;
    reader.each_inode(&groups, Reader::note_contents)?;
    if reader.names.is_full() {
        layout.gap("ext4: more names than are kept in memory");
    }
    Ok(())
}

struct Reader<'r, 'v, 'a> {
    volume: &'r mut Volume<'v, 'a>,
    superblock: Superblock,
    prefix: &'r str,
    layout: &'r mut Layout,
    names: Names,
    /// Blocks of trees and directories that may still be read.
    budget: u64,
}

impl Reader<'_, '_, '_> {
    /// Shows every inode that is in use.
    fn each_inode(
        &mut self,
        groups: &[Group],
        mut show: impl FnMut(&mut Self, u64, &Inode) -> io::Result<()>,
    ) -> io::Result<()> {
        let size = self.superblock.inode_size;
        let mut left = self.volume.len();
        for group in groups {
            for index in 0..group.inodes {
                // Groups that all claim the same table do not take longer than tables that fill the volume.
                let Some(rest) = left.checked_sub(size) else { return Ok(()) };
                left = rest;
                let at = group.table.saturating_add(index.saturating_mul(size));
                let Some(bytes) = self.volume.get(at, size)? else {
                    self.layout.gap("ext4: an inode table outside of the volume");
                    break;
                };
                let number = group.first_inode.saturating_add(index);
                if let Some(inode) = Inode::decode(&bytes).filter(|inode| inode.links > 0 || number < 11) {
                    show(self, number, &inode)?;
                }
            }
        }
        Ok(())
    }

    fn note_names(&mut self, number: u64, inode: &Inode) -> io::Result<()> {
        if inode.kind != Kind::Directory {
            return Ok(());
        }
        for extent in self.extents(inode, None)? {
            for block in 0..extent.blocks {
                let Some(rest) = self.budget.checked_sub(1) else { return Ok(()) };
                self.budget = rest;
                let at = extent.at.saturating_add(block).saturating_mul(self.superblock.block_size);
                if let Some(bytes) = self.volume.get(at, self.superblock.block_size)? {
                    directory::read(&bytes, |child, name| self.names.add(number, u64::from(child), name));
                }
            }
        }
        Ok(())
    }

    fn note_contents(&mut self, number: u64, inode: &Inode) -> io::Result<()> {
        if let Some(block) = inode.attributes {
            self.claim(block, 1, Owner::Metadata(Metadata::Attributes));
        }
        let owner = match inode.kind {
            Kind::Directory => Owner::Metadata(Metadata::Directories),
            _ if number == RESIZE => Owner::Metadata(Metadata::GroupDescriptors),
            _ if number == self.superblock.journal => Owner::Metadata(Metadata::Journal),
            Kind::File | Kind::Symlink => {
                let path = self.names.path(ROOT, number);
                let path = path.unwrap_or_else(|| format!("inode {number}"));
                let path = format!("{}{path}", self.prefix);
                let Some(file) = self.layout.add_file(path, inode.len, inode.times, number) else {
                    return Ok(());
                };
                Owner::File(file)
            }
            Kind::Other => return Ok(()),
        };
        let extents = self.extents(inode, Some(Metadata::Maps))?;
        for extent in &extents {
            self.claim(extent.at, extent.blocks, owner);
        }
        if let Owner::File(_) = owner {
            self.add_pieces(inode, &extents);
        }
        Ok(())
    }

    /// Adds the content of the file that was added last, with what is not allocated between.
    fn add_pieces(&mut self, inode: &Inode, extents: &[Extent]) {
        let size = self.superblock.block_size;
        let mut at = 0_u64;
        let hole = |len| Piece { form: Form::Hole, image: 0..0, skip: 0, len };
        for extent in extents {
            let start = extent.logical.saturating_mul(size);
            let end = start.saturating_add(extent.blocks.saturating_mul(size)).min(inode.len);
            if start < at || end <= start {
                continue;
            }
            if start > at && !self.layout.add_piece(hole(start.saturating_sub(at))) {
                return;
            }
            let len = end.saturating_sub(start);
            let place = self.volume.place(extent.at.saturating_mul(size), len);
            let piece = match place {
                Some(image) if extent.written => Piece { form: Form::Stored, image, skip: 0, len },
                _ => hole(len),
            };
            if !self.layout.add_piece(piece) {
                return;
            }
            at = end;
        }
        if at < inode.len && inode.has_blocks {
            self.layout.add_piece(hole(inode.len.saturating_sub(at)));
        }
    }

    /// Says whose some blocks are, as far as they are there.
    fn claim(&mut self, block: u64, blocks: u64, owner: Owner) {
        let size = self.superblock.block_size;
        match self.volume.place(block.saturating_mul(size), blocks.saturating_mul(size)) {
            Some(place) => {
                self.layout.claim(place, owner);
            }
            None => self.layout.gap("ext4: blocks outside of the volume"),
        }
    }
}
