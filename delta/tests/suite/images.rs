//! Images in memory, their patches, and what comes of applying them.

use chunk_chunker::image::{BLOCK, BlockHash, Blocks};
use chunk_chunker::{Chunks, Name, Params, is_zero};
use chunk_delta::{Patch, Plan, Rebuilder, Side};
use chunk_index::{Block, Entry, ShortName};
use chunk_patch::Effort;

/// Bytes that no compressor makes smaller.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

pub(crate) fn hashes(image: &[u8]) -> Vec<BlockHash> {
    let blocks = Blocks::of_len(image.len() as u64);
    (0..).zip(image.chunks(BLOCK)).map(|(number, bytes)| blocks.hash(number, bytes)).collect()
}

/// What an index says of an image, for an image of few enough chunks.
fn side<'a>(bytes: &'a &'a [u8]) -> Side<'a> {
    let mut chunks = Chunks::new(Params::DEFAULT, *bytes);
    let mut entries = Vec::new();
    while let Some(chunk) = chunks.next_chunk().expect("memory is readable") {
        let zero = is_zero(chunk.bytes);
        let short = if zero { ShortName::ZERO } else { ShortName::of(&Name::of(chunk.bytes)) };
        let len = u32::try_from(chunk.bytes.len()).expect("chunks are short");
        entries.push(Entry { short, len, repeats: 0 });
    }
    let silent = |number: usize| {
        let (start, end) = (number * BLOCK, (number + 1) * BLOCK);
        let mut at = 0;
        entries.iter().all(|entry| {
            let chunk = at..at + entry.len as usize;
            at = chunk.end;
            entry.short.is_zero() || chunk.end <= start || chunk.start >= end
        })
    };
    let block = |(number, hash)| if silent(number) { Block::Silent } else { Block::Hash(hash) };
    let blocks = hashes(bytes).into_iter().enumerate().map(block).collect();
    Side { len: bytes.len() as u64, blake3: *blake3::hash(bytes).as_bytes(), entries, blocks, image: bytes }
}

/// The patch from `base` to `target`.
pub(crate) fn patch(base: &[u8], target: &[u8], effort: Effort) -> Vec<u8> {
    let plan = Plan::new(&side(&base), &side(&target)).expect("memory is readable");
    let groups: Vec<_> =
        plan.groups().iter().map(|group| group.encode(&base, &target, effort).expect("encoded")).collect();
    let stored: Vec<_> = groups.iter().map(|group| group.len() as u64).collect();
    [plan.head(&stored).expect("short enough"), groups.concat()].concat()
}

pub(crate) fn open(file: &[u8]) -> Result<Patch, chunk_delta::PatchError> {
    Patch::decode(file, file.len() as u64, 1 << 22)
}

/// What `file` makes of `base`; none where a group does not decode.
pub(crate) fn apply(patch: &Patch, file: &[u8], base: &[u8]) -> Option<Vec<u8>> {
    let mut rebuilder = Rebuilder::new(patch, &file, &base);
    let mut target = Vec::new();
    let mut piece = Vec::new();
    for start in (0..patch.target().0).step_by(100_000) {
        rebuilder.read(start..start + 100_000, &mut piece).ok()?;
        target.append(&mut piece);
    }
    Some(target)
}
