//! A second writer of indexes, straight from the format, that writes whatever it is told.
//!
//! It keeps every hash, check, length and offset right, so that a lie told with it meets the check made for
//! that lie and no earlier one.

use std::ops::Range;

use chunk_index::Index;
use serde::{Deserialize, Serialize};

/// Changes finished bytes before anything is computed from them.
pub(crate) type Edit = fn(&mut Vec<u8>);

/// A patch as the locator has it: base and its length, name and its length, what is next.
pub(crate) type PatchRow = ([u8; 32], u64, [u8; 32], u64, u8);

/// The record as FORMAT 4.2 lists it; bincode derives the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fields {
    pub(crate) magic: [u8; 8],
    pub(crate) format: u16,
    pub(crate) required: u64,
    pub(crate) optional: u64,
    pub(crate) line: String,
    pub(crate) label: String,
    pub(crate) release: u64,
    pub(crate) annotations: Vec<(String, String)>,
    pub(crate) image_len: u64,
    pub(crate) blake3: [u8; 32],
    pub(crate) sha256: Option<[u8; 32]>,
    pub(crate) cutter: u8,
    pub(crate) level: u8,
    pub(crate) min: u32,
    pub(crate) avg: u32,
    pub(crate) max: u32,
    pub(crate) entries: u64,
    pub(crate) chunks: u64,
    pub(crate) tree: [u8; 32],
    pub(crate) blocks: u64,
    pub(crate) blocks_hash: [u8; 32],
}

/// A leaf, and what its branch says of it.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub(crate) list: Vec<u8>,
    /// Without its check.
    pub(crate) map: Vec<u8>,
    pub(crate) entries: u64,
    pub(crate) image_len: u64,
}

/// The parts of an index, and what is to be done to them.
#[derive(Debug, Clone)]
pub(crate) struct Forge {
    pub(crate) record: Fields,
    pub(crate) packs: Vec<([u8; 32], u64)>,
    /// Base, its length, name, length.
    pub(crate) patches: Vec<PatchRow>,
    pub(crate) branches: Vec<Vec<Leaf>>,
    pub(crate) blocks: Vec<[u8; 32]>,
    pub(crate) edit_preamble: Edit,
    pub(crate) edit_record: Edit,
    pub(crate) edit_locator: Edit,
    pub(crate) edit_top_list: Edit,
    pub(crate) edit_top_map: Edit,
    /// For the second branch.
    pub(crate) edit_branch_list: Edit,
    pub(crate) edit_branch_map: Edit,
}

fn keep(_: &mut Vec<u8>) {}

pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 128 {
        bytes.push(u8::try_from(value % 128).unwrap() + 128);
        value /= 128;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

pub(crate) fn varints(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| varint(*value)).collect()
}

fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap()
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

fn with_h4(map: &[u8]) -> Vec<u8> {
    [map, &hash(map)[..4]].concat()
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, bincode::config::legacy()).unwrap()
}

/// Adds up what may be a lie.
fn sum(values: impl Iterator<Item = u64>) -> u64 {
    values.fold(0, u64::wrapping_add)
}

/// What a parent needs of a node: list, checked map, entries, image bytes.
type Node = (Vec<u8>, Vec<u8>, u64, u64);

fn list_above(nodes: &[Node]) -> Vec<u8> {
    let mut list = varint(u64::try_from(nodes.len()).unwrap());
    list.extend(nodes.iter().flat_map(|node| hash(&node.0)));
    list.extend(nodes.iter().flat_map(|node| varint(node.2)));
    list.extend(nodes.iter().flat_map(|node| varint(node.3)));
    list
}

fn map_above(nodes: &[Node], first: u64) -> Vec<u8> {
    let mut map = varint(first);
    map.extend(nodes.iter().flat_map(|node| varints(&[len(&node.0), len(&node.1)])));
    map
}

fn bytes_of(nodes: &[Node]) -> Vec<u8> {
    nodes.iter().flat_map(|node| [&node.0[..], &node.1]).collect::<Vec<_>>().concat()
}

impl Forge {
    /// Takes a valid index apart.
    pub(crate) fn open(file: &[u8]) -> Self {
        let index = Index::decode(file).unwrap();
        let part = |range: Range<u64>| {
            &file[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
        };
        let u32_at = |at: usize| u32::from_le_bytes(*file[at..].first_chunk().unwrap());
        let record_end = 48 + u64::from(u32_at(12));
        let config = bincode::config::legacy();
        let (record, _) = bincode::serde::decode_from_slice(part(48..record_end), config).unwrap();
        let locator = part(record_end..record_end + u64::from(u32_at(16)));
        let ((packs, patches), _) = bincode::serde::decode_from_slice(locator, config).unwrap();
        let leaf = |leaf: chunk_index::NodeRef| Leaf {
            list: part(leaf.list()).to_vec(),
            map: part(leaf.map().start..leaf.map().end - 4).to_vec(),
            entries: leaf.entries(),
            image_len: leaf.image().end - leaf.image().start,
        };
        let branch = |branch: &chunk_index::NodeRef| {
            index.head().decode_branch(branch, part(branch.file())).unwrap().into_iter().map(leaf).collect()
        };
        Self {
            record,
            packs,
            patches,
            branches: index.head().branches().iter().map(branch).collect(),
            blocks: index.block_hashes().map(|block| *block.as_bytes()).collect(),
            edit_preamble: keep,
            edit_record: keep,
            edit_locator: keep,
            edit_top_list: keep,
            edit_top_map: keep,
            edit_branch_list: keep,
            edit_branch_map: keep,
        }
    }

    /// The same index, but of one branch with these leaves, and totals to match.
    pub(crate) fn with_leaves(&self, leaves: Vec<Leaf>) -> Self {
        let mut forge = self.clone();
        forge.record.entries = sum(leaves.iter().map(|leaf| leaf.entries));
        forge.record.image_len = sum(leaves.iter().map(|leaf| leaf.image_len));
        forge.record.chunks = forge.record.chunks.min(forge.record.image_len);
        forge.branches = vec![leaves];
        forge
    }

    /// Writes the file.
    pub(crate) fn file(&self) -> Vec<u8> {
        // Offsets depend on how many bytes offsets take; a few rounds settle that.
        let (mut branches_at, mut leaves_at) = (0, 0);
        for _ in 0..9 {
            let (head, branches, _) = self.lay_out(branches_at, leaves_at);
            branches_at = len(&head);
            leaves_at = branches_at + len(&branches) + 32 * u64::try_from(self.blocks.len()).unwrap();
        }
        let (head, branches, leaves) = self.lay_out(branches_at, leaves_at);
        [head, branches, self.blocks.concat(), leaves].concat()
    }

    /// Head, branches and leaves, if the latter two lie there.
    fn lay_out(&self, branches_at: u64, leaves_at: u64) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let mut all_leaves = Vec::new();
        let mut branches = Vec::new();
        for (number, leaves) in self.branches.iter().enumerate() {
            let of = |leaf: &Leaf| (leaf.list.clone(), with_h4(&leaf.map), leaf.entries, leaf.image_len);
            let nodes: Vec<Node> = leaves.iter().map(of).collect();
            let mut list = list_above(&nodes);
            let mut map = map_above(&nodes, leaves_at + len(&all_leaves));
            if number == 1 {
                (self.edit_branch_list)(&mut list);
                (self.edit_branch_map)(&mut map);
            }
            let entries = sum(nodes.iter().map(|node| node.2));
            branches.push((list, with_h4(&map), entries, sum(nodes.iter().map(|node| node.3))));
            all_leaves.extend(bytes_of(&nodes));
        }
        let mut top_list = list_above(&branches);
        (self.edit_top_list)(&mut top_list);
        let mut top_map = map_above(&branches, branches_at);
        (self.edit_top_map)(&mut top_map);
        let top_map = with_h4(&top_map);

        let tree = hash(&top_list);
        let blocks_hash = hash(&self.blocks.concat());
        let mut record = encode(&Fields { tree, blocks_hash, ..self.record.clone() });
        (self.edit_record)(&mut record);
        let mut locator = encode(&(&self.packs, &self.patches));
        (self.edit_locator)(&mut locator);

        let mut head = b"chunkidx\x01\0\0\0".to_vec();
        for part in [&record, &locator, &top_list, &top_map, &Vec::new()] {
            head.extend(u32::try_from(part.len()).unwrap().to_le_bytes());
        }
        head.extend((leaves_at + len(&all_leaves)).to_le_bytes());
        (self.edit_preamble)(&mut head);
        let rest = [record, locator, top_list, top_map].concat();
        head.extend(&hash(&[&head[..], &rest].concat())[..8]);
        head.extend(rest);
        (head, bytes_of(&branches), all_leaves)
    }
}

/// An entry: short name, length, repeats.
pub(crate) type Line = (u64, u64, u64);

impl Leaf {
    /// A leaf of these entries with this map.
    pub(crate) fn of(lines: &[Line], map: Vec<u8>) -> Self {
        let mut list = varint(u64::try_from(lines.len()).unwrap());
        list.extend(lines.iter().flat_map(|line| line.0.to_le_bytes()[..6].to_vec()));
        list.extend(lines.iter().flat_map(|line| varint(line.1)));
        list.extend(varint(u64::try_from(lines.iter().filter(|line| line.2 > 0).count()).unwrap()));
        let mut next = 0;
        for (number, line) in (0..).zip(lines).filter(|(_, line)| line.2 > 0) {
            list.extend(varints(&[number - next, line.2 - 1]));
            next = number + 1;
        }
        let image_len = |line: &Line| line.1.wrapping_mul(line.2.wrapping_add(1));
        Self {
            list,
            map,
            entries: u64::try_from(lines.len()).unwrap(),
            image_len: sum(lines.iter().map(image_len)),
        }
    }

    /// A leaf of these entries; all that are not zero lie at the start of one large frame.
    pub(crate) fn in_one_run(lines: &[Line]) -> Self {
        let stored = lines.iter().filter(|line| line.0 != 0).count();
        let run = Run { count: u64::try_from(stored).unwrap(), ..Run::default() };
        Self::of(lines, runs(&[run]))
    }
}

/// A run as a map writes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) count: u64,
    /// Pack and offset, unless it is in the next frame.
    pub(crate) at: Option<(u64, u64)>,
    pub(crate) stored_len: u64,
    pub(crate) plain_len: u64,
    pub(crate) raw: bool,
    pub(crate) first: u64,
}

impl Default for Run {
    fn default() -> Self {
        Self { count: 1, at: Some((0, 16)), stored_len: 100, plain_len: 4 << 20, raw: false, first: 0 }
    }
}

/// A map of these runs, without its check.
pub(crate) fn runs(runs: &[Run]) -> Vec<u8> {
    let mut map = varint(u64::try_from(runs.len()).unwrap());
    for run in runs {
        map.extend(varint(run.count * 2 + u64::from(run.at.is_none())));
        map.extend(run.at.map_or(Vec::new(), |(pack, offset)| varints(&[pack, offset])));
        map.extend(varints(&[run.stored_len, run.plain_len * 2 + u64::from(run.raw), run.first]));
    }
    map
}
