//! Block groups: where bitmaps and inode tables lie.

use std::io;

use crate::layout::{Layout, Metadata, Owner};
use crate::read::{Fields as _, Volume};

use super::superblock::Superblock;

/// The inodes of a group were never written.
const INODES_UNINITIALISED: u16 = 1;

/// What the readers need of a group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) first_inode: u64,
    /// Inodes that may be in use.
    pub(super) inodes: u64,
    /// Where they lie, in bytes of the volume.
    pub(super) table: u64,
}

/// Reads all group descriptors and claims what they lead to.
pub(super) fn read(
    volume: &mut Volume<'_, '_>,
    superblock: &Superblock,
    layout: &mut Layout,
) -> io::Result<Vec<Group>> {
    let mut groups = Vec::new();
    for number in 0..superblock.groups() {
        let descriptor = volume.get(place(superblock, number), superblock.descriptor_size)?;
        let Some((group, places)) = descriptor.and_then(|bytes| decode(superblock, number, &bytes)) else {
            layout.gap("ext4: a group descriptor outside of the volume");
            break;
        };
        groups.push(group);
        let mut room = true;
        for (block, blocks, what) in copies(superblock, number).into_iter().chain(places) {
            let size = superblock.block_size;
            match volume.place(block.saturating_mul(size), blocks.saturating_mul(size)) {
                Some(place) => room = layout.claim(place, Owner::Metadata(what)),
                None => layout.gap("ext4: metadata outside of the volume"),
            }
        }
        // A million groups of one block are nothing that anybody makes.
        if !room {
            break;
        }
    }
    Ok(groups)
}

type Place = (u64, u64, Metadata);

/// What stands at the start of a group that has a copy of the superblock.
fn copies(superblock: &Superblock, group: u64) -> Vec<Place> {
    let first = first_block(superblock, group);
    let mut places = Vec::new();
    if superblock.has_copy(group) {
        let descriptors = superblock.groups().saturating_mul(superblock.descriptor_size);
        let descriptors = descriptors.div_ceil(superblock.block_size);
        let descriptors = superblock.first_meta_group.unwrap_or(descriptors).min(descriptors);
        let descriptors = descriptors.saturating_add(superblock.reserved_descriptors);
        places.push((first, 1, Metadata::Superblock));
        places.push((first.saturating_add(1), descriptors, Metadata::GroupDescriptors));
    }
    let each = descriptors_per_block(superblock);
    let (table, index) = (group.checked_div(each), group.checked_rem(each));
    // A block of descriptors lies in the first, second and last of the groups that it describes.
    let has_descriptors = index.is_some_and(|index| index <= 1 || index.saturating_add(1) == each);
    if superblock.first_meta_group.is_some_and(|first| has_descriptors && table >= Some(first)) {
        let block = first.saturating_add(u64::from(superblock.has_copy(group)));
        places.push((block, 1, Metadata::GroupDescriptors));
    }
    places
}

fn descriptors_per_block(superblock: &Superblock) -> u64 {
    superblock.block_size.checked_div(superblock.descriptor_size).unwrap_or(1).max(1)
}

/// Where the descriptor of a group lies, in bytes of the volume.
fn place(superblock: &Superblock, group: u64) -> u64 {
    let each = descriptors_per_block(superblock);
    let (table, index) = (group.checked_div(each).unwrap_or(0), group.checked_rem(each).unwrap_or(0));
    let block = match superblock.first_meta_group {
        Some(first) if table >= first => {
            let home = table.saturating_mul(each);
            first_block(superblock, home).saturating_add(u64::from(superblock.has_copy(home)))
        }
        _ => superblock.first_block.saturating_add(1).saturating_add(table),
    };
    let index = index.saturating_mul(superblock.descriptor_size);
    block.saturating_mul(superblock.block_size).saturating_add(index)
}

fn first_block(superblock: &Superblock, group: u64) -> u64 {
    group.saturating_mul(superblock.blocks_per_group).saturating_add(superblock.first_block)
}

fn decode(superblock: &Superblock, number: u64, bytes: &[u8]) -> Option<(Group, [Place; 3])> {
    let wide = bytes.len() >= 64;
    let block = |low: usize, high: usize| {
        let high = if wide { u64::from(bytes.u32(high)?) } else { 0 };
        Some(u64::from(bytes.u32(low)?) | high.checked_shl(32)?)
    };
    let high = if wide { u64::from(bytes.u16(0x32)?) } else { 0 };
    let unused = u64::from(bytes.u16(0x1c)?) | high.checked_shl(16)?;
    let inodes = match bytes.u16(0x12)? {
        flags if flags & INODES_UNINITIALISED != 0 => 0,
        _ if superblock.counts_unused => superblock.inodes_per_group.saturating_sub(unused),
        _ => superblock.inodes_per_group,
    };
    let table = block(0x8, 0x28)?;
    let table_blocks = superblock.inodes_per_group.saturating_mul(superblock.inode_size);
    let places = [
        (block(0x0, 0x20)?, 1, Metadata::Bitmaps),
        (block(0x4, 0x24)?, 1, Metadata::Bitmaps),
        (table, table_blocks.div_ceil(superblock.block_size), Metadata::Inodes),
    ];
    let first_inode = number.saturating_mul(superblock.inodes_per_group).saturating_add(1);
    Some((Group { first_inode, inodes, table: table.saturating_mul(superblock.block_size) }, places))
}
