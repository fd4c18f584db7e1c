//! squashfs: tables of inodes and directories, and files in blocks that are compressed one by one.
//!
//! All inodes are read in the order of their table, all directories by what their inodes say; so nothing is followed,
//! and nothing can lead in a circle.

#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

mod directory;
mod fragments;
mod inode;
mod superblock;
mod table;

use std::io;
use std::ops::Range;

use crate::layout::{Form, Layout, Metadata, Owner, Piece};
use crate::names::Names;
use crate::read::{Fields as _, Volume};

use fragments::Block;
use inode::{Content, Inode, Inodes};
use superblock::Superblock;
use table::Table;

/// Whether a volume says it is one.
pub(crate) fn is_squashfs(volume: &mut Volume<'_, '_>) -> io::Result<bool> {
    Ok(Superblock::read(volume)?.is_some())
}

/// Adds what lies in the volume to `layout`; paths get `prefix`.
pub(crate) fn read(volume: &mut Volume<'_, '_>, prefix: &str, layout: &mut Layout) -> io::Result<()> {
    let Some(superblock) = Superblock::read(volume)? else { return Ok(()) };
    layout.kinds.push(format!("{prefix}squashfs ({})", superblock.compressor()));
    layout.facts.extend(superblock.facts(prefix));
    let fragments = fragments::read(volume, &superblock)?;
    let first_share = layout.shares.len();
    layout.shares.extend(fragments.iter().map(|_| Vec::new()));
    let directories_end = superblock.end_of_directories(volume)?;
    let claims = [
        (0, superblock::LEN, Metadata::Superblock),
        (superblock.inodes, superblock.directories, Metadata::Inodes),
        (superblock.directories, directories_end, Metadata::Directories),
        (directories_end, superblock.end, Metadata::Tables),
    ];
    for (start, end, what) in claims {
        if let Some(place) = volume.place(start, end.saturating_sub(start)) {
            layout.claim(place, Owner::Metadata(what));
        }
    }
    let inodes = Table::read(volume, superblock.inodes..superblock.directories, superblock.form)?;
    let directories = Table::read(volume, superblock.directories..directories_end, superblock.form)?;
    if !inodes.whole || !directories.whole {
        layout.gap(format!("squashfs: tables compressed with {} or damaged", superblock.compressor()));
    }
    let names = names(&superblock, &inodes, &directories);
    if names.is_full() {
        layout.gap("squashfs: more names than are kept in memory");
    }
    let root = superblock.root_number(&inodes).unwrap_or(0);
    let mut reader = Reader { volume, superblock, layout, fragments, first_share };
    for inode in Inodes::new(&inodes.plain, reader.superblock.block_size) {
        if let Content::File(file) = &inode.content {
            let path = names.path(root, u64::from(inode.number));
            let path = path.unwrap_or_else(|| format!("inode {}", inode.number));
            reader.add(&inode, file, &format!("{prefix}{path}"));
        }
    }
    Ok(())
}

/// What all directories say.
fn names(superblock: &Superblock, inodes: &Table, directories: &Table) -> Names {
    let mut names = Names::default();
    // Directories do not share their lists, so all of them are as long as the table.
    let mut left = directories.plain.len();
    for Inode { number, content, .. } in Inodes::new(&inodes.plain, superblock.block_size) {
        let Content::Directory { block, offset, len } = content else { continue };
        let Some(rest) = left.checked_sub(len) else { break };
        left = rest;
        if let Some(list) = directories.at(u64::from(block), usize::from(offset)) {
            let list = list.get(..len).unwrap_or(list);
            directory::read(list, |child, name| names.add(u64::from(number), u64::from(child), name));
        }
    }
    names
}

struct Reader<'r, 'v, 'a> {
    volume: &'r Volume<'v, 'a>,
    superblock: Superblock,
    layout: &'r mut Layout,
    fragments: Vec<Block>,
    first_share: usize,
}

impl Reader<'_, '_, '_> {
    /// Adds a file, its blocks and its share of a fragment.
    fn add(&mut self, inode: &Inode, file: &inode::File<'_>, path: &str) {
        let (times, inode) = (u64::from(inode.mtime), u64::from(inode.number));
        let Some(number) = self.layout.add_file(path.to_owned(), file.len, times, inode) else {
            return;
        };
        let mut at = file.start;
        let mut left = file.len;
        for size in file.blocks.chunks_exact(4).filter_map(|size| size.u32(0)) {
            let block = Block::new(at, size);
            let len = left.min(self.superblock.block_size);
            let Some(image) = self.volume.place(at, block.stored) else {
                self.layout.gap("squashfs: blocks outside of the volume");
                return;
            };
            at = at.saturating_add(block.stored);
            left = left.saturating_sub(len);
            self.layout.claim(image.clone(), Owner::File(number));
            let form = if block.stored == 0 { Form::Hole } else { self.form(&block) };
            if !self.layout.add_piece(Piece { form, image, skip: 0, len }) {
                return;
            }
        }
        if let Some((fragment, skip)) = file.fragment.filter(|_| left > 0) {
            self.add_tail(number, fragment, u64::from(skip), left);
        }
    }

    fn add_tail(&mut self, file: usize, fragment: u32, skip: u64, len: u64) {
        let index = usize::try_from(fragment).unwrap_or(usize::MAX);
        let Some(block) = self.fragments.get(index).copied() else {
            self.layout.gap("squashfs: a fragment that is not in the table");
            return;
        };
        let Some(image) = self.volume.place(block.start, block.stored) else { return };
        let share = self.first_share.saturating_add(index);
        let form = self.form(&block);
        if self.layout.add_piece(Piece { form, image: image.clone(), skip, len }) {
            if let Some(shares) = self.layout.shares.get_mut(share) {
                shares.push((file, len));
            }
            self.claim_fragment(image, share);
        }
    }

    /// A fragment is claimed by the first file that has a part in it.
    fn claim_fragment(&mut self, image: Range<u64>, share: usize) {
        if self.layout.shares.get(share).is_some_and(|files| files.len() == 1) {
            self.layout.claim(image, Owner::Shared(share));
        }
    }

    fn form(&self, block: &Block) -> Form {
        match block.compressed {
            false => Form::Stored,
            // No block may unfold to more than the size of a block, or be longer compressed.
            true if block.stored <= self.superblock.block_size => self.superblock.form,
            true => Form::Opaque,
        }
    }
}
