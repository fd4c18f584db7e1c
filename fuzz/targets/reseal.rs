//! Puts every hash and check of a damaged index right again, as a hostile writer would, so that the fuzzer gets
//! past them to what they protect. Written from FORMAT 4 alone, and shared with no decoder.

use std::ops::Range;

/// Bytes before the record.
const PREAMBLE: usize = 48;
/// Bytes of a hash.
const HASH: usize = 32;

/// Mends as much of `file` as its lengths lead to.
pub fn reseal(file: &mut [u8]) {
    // Where the lengths lead nowhere, the parts below keep what they have.
    let _ = reseal_tree(file);
    let _ = reseal_preamble(file);
}

/// The parts of the head, by the preamble's word for them.
struct Head {
    record: Range<usize>,
    list: Range<usize>,
    map: Range<usize>,
}

impl Head {
    fn of(file: &[u8]) -> Option<Self> {
        let mut end = PREAMBLE;
        let mut part = |at: usize| {
            let len = u32::from_le_bytes(*file.get(at..)?.first_chunk()?);
            let start = end;
            end = start.checked_add(usize::try_from(len).ok()?).filter(|end| *end <= file.len())?;
            Some(start..end)
        };
        let (record, _locator, list, map) = (part(12)?, part(16)?, part(20)?, part(24)?);
        Some(Self { record, list, map })
    }
}

/// The tree from the leaves up, then the record's word for tree and block hashes.
fn reseal_tree(file: &mut [u8]) -> Option<()> {
    let Head { record, list, map } = Head::of(file)?;
    let branches = children(file, &list, &map).unwrap_or_default();
    let mut first_leaf = None;
    for branch in &branches {
        let leaves = children(file, &branch.list, &branch.map).unwrap_or_default();
        first_leaf = first_leaf.or(leaves.first().map(|leaf| leaf.list.start));
        for leaf in &leaves {
            leaf.reseal(file);
        }
        branch.reseal(file);
    }
    check(file, &map);
    // The record ends: tree, number of block hashes, hash of the block hashes.
    let blocks_hash = record.end.checked_sub(HASH)?;
    let tree = blocks_hash.checked_sub(8 + HASH)?;
    put_hash(file, &list, tree);
    let blocks = match branches.last() {
        Some(branch) => branch.map.end..first_leaf?,
        None => map.end..file.len(),
    };
    put_hash(file, &blocks, blocks_hash);
    Some(())
}

/// H8 of the head without the eight bytes that hold it.
fn reseal_preamble(file: &mut [u8]) -> Option<()> {
    let end = Head::of(file)?.map.end;
    let hash = blake3::Hasher::new().update(&file[..40]).update(&file[PREAMBLE..end]).finalize();
    file[40..PREAMBLE].copy_from_slice(&hash.as_bytes()[..8]);
    Some(())
}

/// A node below the top.
struct Child {
    list: Range<usize>,
    map: Range<usize>,
    /// Where its parent's list has its hash.
    hash: usize,
}

impl Child {
    fn reseal(&self, file: &mut [u8]) {
        check(file, &self.map);
        put_hash(file, &self.list, self.hash);
    }
}

/// The children that a branch or the top tells of, as far as they lie in the file.
fn children(file: &[u8], list: &Range<usize>, map: &Range<usize>) -> Option<Vec<Child>> {
    let (count, list_rest) = varint(file.get(list.clone())?)?;
    let hashes = list.end - list_rest.len();
    let (mut next, mut lengths) = varint(file.get(map.clone())?)?;
    let mut children = Vec::new();
    for number in 0..count {
        let mut part = || {
            let (len, rest) = varint(lengths)?;
            lengths = rest;
            let start = next;
            next = start.checked_add(len).filter(|end| *end <= file.len())?;
            Some(start..next)
        };
        let (Some(list_range), Some(map_range)) = (part(), part()) else { break };
        let hash = hashes + number * HASH;
        children.push(Child { list: list_range, map: map_range, hash });
    }
    Some(children)
}

/// A varint that fits this machine, and what follows it.
fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let len = bytes.iter().take(9).position(|byte| byte & 0x80 == 0)? + 1;
    let (varint, rest) = bytes.split_at(len);
    let value = varint.iter().rev().fold(0_u64, |value, byte| value << 7 | u64::from(byte & 0x7f));
    Some((usize::try_from(value).ok()?, rest))
}

/// Writes the hash of `range` at `at`.
fn put_hash(file: &mut [u8], range: &Range<usize>, at: usize) {
    let Some(hash) = file.get(range.clone()).map(blake3::hash) else { return };
    if let Some(place) = file.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = *hash.as_bytes();
    }
}

/// Writes the H4 that ends a map.
fn check(file: &mut [u8], map: &Range<usize>) {
    let Some((body, check)) = file.get_mut(map.clone()).and_then(<[u8]>::split_last_chunk_mut::<4>) else {
        return;
    };
    check.copy_from_slice(&blake3::hash(body).as_bytes()[..4]);
}
