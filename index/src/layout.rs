//! Puts the finished parts of an index in their places.
//!
//! Leaves come last in the file, but the maps before them say where each leaf lies, and are the longer the
//! farther it lies. So the places are computed from places until they stand still.

use crate::children::{Child, put_list, put_map, total_len};
use crate::cursor::length;
use crate::digest::digest;
use crate::grouping::branch_ends;
use crate::preamble::{PREAMBLE_LEN, Preamble, TOP_LIMIT};

/// The tree above the leaves, all but its maps.
pub(crate) struct Tree {
    branches: Vec<Branch>,
    pub(crate) top_list: Vec<u8>,
    leaves_len: u64,
}

struct Branch {
    list: Vec<u8>,
    leaves: Vec<Child>,
    /// Its length of map is the one thing that the layout has yet to find.
    child: Child,
}

impl Tree {
    pub(crate) fn over(leaves: Vec<Child>) -> Self {
        let leaves_len = total_len(&leaves);
        let mut branches = Vec::new();
        let mut open = Vec::new();
        for leaf in leaves {
            let hash = leaf.hash;
            open.push(leaf);
            if branch_ends(open.len(), &hash) {
                branches.push(Branch::over(std::mem::take(&mut open)));
            }
        }
        if !open.is_empty() {
            branches.push(Branch::over(open));
        }
        let children: Vec<Child> = branches.iter().map(|branch| branch.child.clone()).collect();
        let mut top_list = Vec::new();
        put_list(&mut top_list, &children);
        Self { branches, top_list, leaves_len }
    }
}

impl Branch {
    fn over(leaves: Vec<Child>) -> Self {
        let mut list = Vec::new();
        put_list(&mut list, &leaves);
        let sum = |of: fn(&Child) -> u64| leaves.iter().map(of).fold(0, u64::saturating_add);
        let child = Child {
            hash: digest(&list),
            entries: sum(|leaf| leaf.entries),
            image_len: sum(|leaf| leaf.image_len),
            list_len: length(&list),
            map_len: 0,
        };
        Self { list, leaves, child }
    }
}

/// Everything before the leaves: head, branches, block hashes. `None` if the top does not fit its preamble.
pub(crate) fn front(mut tree: Tree, record: &[u8], locator: &[u8], blocks: &[u8]) -> Option<Vec<u8>> {
    let part = |bytes: &[u8]| u32::try_from(bytes.len()).ok();
    let top_part = |bytes: &[u8]| part(bytes).filter(|len| *len <= TOP_LIMIT);
    let unmapped = [record, locator, &tree.top_list].map(length).into_iter();
    let unmapped = unmapped.fold(u64::try_from(PREAMBLE_LEN).ok()?, u64::saturating_add);
    // Both places only ever grow from one round to the next, as each varint does with what it says, so the
    // rounds end, and end at the smallest places that agree with themselves.
    let (mut branches_at, mut leaves_at) = (0, 0);
    loop {
        let branch_maps = tree.put_branch_maps(leaves_at);
        let children: Vec<Child> = tree.branches.iter().map(|branch| branch.child.clone()).collect();
        let mut top_map = Vec::new();
        put_map(&mut top_map, branches_at, &children);
        let head_len = unmapped.saturating_add(length(&top_map));
        let front_len = head_len.saturating_add(total_len(&children)).saturating_add(length(blocks));
        if (branches_at, leaves_at) != (head_len, front_len) {
            (branches_at, leaves_at) = (head_len, front_len);
            continue;
        }
        let preamble = Preamble {
            record: part(record)?,
            locator: part(locator)?,
            top_list: top_part(&tree.top_list)?,
            top_map: top_part(&top_map)?,
            file: front_len.saturating_add(tree.leaves_len),
        };
        let mut front = preamble.seal(&[record, locator, &tree.top_list, &top_map].concat());
        for (branch, map) in tree.branches.iter().zip(&branch_maps) {
            front.extend(&branch.list);
            front.extend(map);
        }
        front.extend(blocks);
        return Some(front);
    }
}

impl Tree {
    /// The map of each branch when the first leaf lies at `leaves_at`.
    fn put_branch_maps(&mut self, leaves_at: u64) -> Vec<Vec<u8>> {
        let mut first = leaves_at;
        let mut maps = Vec::new();
        for branch in &mut self.branches {
            let mut map = Vec::new();
            put_map(&mut map, first, &branch.leaves);
            branch.child.map_len = length(&map);
            first = first.saturating_add(total_len(&branch.leaves));
            maps.push(map);
        }
        maps
    }
}
