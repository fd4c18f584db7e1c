//! Foreign bytes as an index: as they are; and as a well-formed index that was then damaged and given new hashes,
//! as a hostile writer would. Whatever is accepted is one encoding of one content, whichever way it is read.

#![no_main]

mod reseal;

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use chunk_chunker::Params;
use chunk_chunker::image::BlockHash;
use chunk_index::{
    Annotations, Block, Description, Entry, FrameRef, Head, Index, Location, Locator, PackRef, Placed,
    ShortName, TreeBuilder, Word, leaf_lists,
};
use libfuzzer_sys::arbitrary::{self, Unstructured};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    let Ok((mut file, damage)) = case(&mut Unstructured::new(bytes)) else { return };
    check(&file);
    for (place, bits) in damage {
        let place = place as usize % file.len();
        file[place] ^= bits;
    }
    reseal::reseal(&mut file);
    check(&file);
});

/// Places, and the bits to flip there.
type Damage = Vec<(u32, u8)>;

/// An index in which nothing is wrong, and what to do to it.
fn case(input: &mut Unstructured) -> arbitrary::Result<(Vec<u8>, Damage)> {
    let damage = (0..input.int_in_range(0..=4)?).map(|_| input.arbitrary()).collect::<Result<_, _>>()?;
    let rounds = input.int_in_range(1..=30)?;
    let chunks = chunks(input)?;
    Ok((build(&chunks, rounds), damage))
}

/// Chunks to be pushed: a seed of the short name (0 for a zero chunk), a length, how many in a row.
type Chunks = Vec<(u16, u32, u64)>;

fn chunks(input: &mut Unstructured) -> arbitrary::Result<Chunks> {
    let mut chunks = Vec::new();
    // Below 2^48 bytes in all, however often they are pushed.
    while !input.is_empty() && chunks.len() < 200 {
        let seed = u16::from(input.arbitrary::<u8>()?);
        let len = input.int_in_range(1..=MAX_CHUNK)?;
        let count = match input.arbitrary::<u8>()? {
            255 if seed == 0 => 1 << 18,
            few => u64::from(few % 4) + 1,
        };
        chunks.push((seed, len, count));
    }
    Ok(chunks)
}

const MAX_CHUNK: u32 = 1 << 16;
/// Plain bytes of each frame, and bytes stored of it.
const FRAME: (u32, u32) = (1 << 18, 1 << 16);
const FRAMES_PER_PACK: u32 = 100;

/// Builds an index over the chunks, `rounds` times one after the other under other names.
fn build(chunks: &Chunks, rounds: u16) -> Vec<u8> {
    let params = Params::new(1 << 12, 1 << 14, MAX_CHUNK, 2).expect("within the limits of FORMAT 2");
    let mut builder = TreeBuilder::new(params);
    let mut leaves = Vec::new();
    let mut loud = BTreeSet::new();
    let mut places = Places::default();
    let mut image_len = 0;
    for round in 0..rounds {
        for &(seed, len, count) in chunks {
            let short = short_name(seed, round);
            let location = (!short.is_zero()).then(|| places.next(len));
            builder.push(short, len, count, location, &mut leaves).expect("a chunk that the format allows");
            let start = image_len;
            image_len += count * u64::from(len);
            if !short.is_zero() {
                loud.extend(start >> 20..=(image_len - 1) >> 20);
            }
        }
    }
    let blocks: Vec<BlockHash> = loud.iter().map(|_| BlockHash::from_bytes([7; 32])).collect();
    let packs = (0..=places.pack).map(|_| PackRef { name: [9; 32], len: 64 << 20 });
    let locator = Locator::new(packs.collect()).expect("few packs, none too long");
    let front = builder
        .finish(description(), &locator, &blocks, &mut leaves)
        .expect("an index that the format allows");
    let file = [front.bytes, leaves].concat();
    let index = Index::decode(&file).expect("what was built is accepted");
    assert_eq!((index.record(), index.record().image_len()), (&front.record, image_len));
    file
}

fn short_name(seed: u16, round: u16) -> ShortName {
    if seed == 0 {
        return ShortName::ZERO;
    }
    let hash = blake3::hash(&[seed.to_le_bytes(), round.to_le_bytes()].concat());
    ShortName::from_bytes(*hash.as_bytes().first_chunk().expect("a hash is longer"))
}

/// Chunks one after the other in frames, frames in packs.
#[derive(Default)]
struct Places {
    pack: u32,
    frame: u32,
    first: u32,
}

impl Places {
    fn next(&mut self, len: u32) -> Location {
        let (plain_len, stored_len) = FRAME;
        if self.first + len > plain_len {
            (self.frame, self.first) = (self.frame + 1, 0);
        }
        if self.frame == FRAMES_PER_PACK {
            (self.pack, self.frame) = (self.pack + 1, 0);
        }
        let frame = FrameRef { offset: 16 + self.frame * stored_len, stored_len, plain_len, raw: false };
        let first = self.first;
        self.first += len;
        Location { pack: self.pack, frame, first }
    }
}

fn description() -> Description {
    let word = |text| Word::new(text).expect("letters");
    let mut annotations = Annotations::default();
    annotations.set(word("arch"), "any").expect("letters");
    Description {
        line: word("image"),
        label: word("1"),
        release: NonZeroU64::MIN,
        annotations,
        blake3: [1; 32],
        sha256: Some([2; 32]),
    }
}

/// Reads `file` whole and by parts. An error is an answer; a panic, or two different answers, are not.
fn check(file: &[u8]) {
    let Ok(index) = Index::decode(file) else { return };
    let placed: Vec<Placed> = index.entries().collect();
    let record = index.record();

    let mut end = 0;
    for Placed { image, entry, location } in &placed {
        assert_eq!(image.start, end, "the image has a gap");
        assert_eq!(image.end - image.start, (entry.repeats + 1) * u64::from(entry.len));
        assert_eq!(location.is_none(), entry.short.is_zero());
        end = image.end;
    }
    assert_eq!(end, record.image_len());
    assert_eq!(placed.len() as u64, record.entries());
    assert_eq!(placed.iter().map(|placed| placed.entry.repeats + 1).sum::<u64>(), record.chunks());

    // Neighbours that look alike but are not show only by their places, which a known chunk list does not have.
    let entries: Vec<Entry> = placed.iter().map(|placed| placed.entry).collect();
    if entries.windows(2).all(|pair| (pair[0].short, pair[0].len) != (pair[1].short, pair[1].len)) {
        let hashes: Vec<_> = index.leaves().map(|leaf| *leaf.hash()).collect();
        assert_eq!(leaf_lists(entries).map(|list| *list.hash()).collect::<Vec<_>>(), hashes);
    }
    assert_eq!(by_parts(file), placed);

    // Silent blocks cost nothing to state; walking over all of them would take for ever.
    if record.image_len() < 1 << 32 {
        let hashed = index.blocks().filter(|(_, block)| matches!(block, Block::Hash(_))).count();
        assert_eq!(hashed as u64, record.blocks());
    }
    if let Some(middle) = placed.get(placed.len() / 2) {
        assert_eq!(index.entries_from(middle.image.start).next().as_ref(), Some(middle));
    }
}

/// The entries of an accepted index, read as a client does that fetches one node at a time.
fn by_parts(file: &[u8]) -> Vec<Placed> {
    let part = |range: std::ops::Range<u64>| &file[range.start as usize..range.end as usize];
    let head = Head::decode(file).expect("the head of an accepted index");
    let mut placed = Vec::new();
    for branch in head.branches() {
        for leaf in head.decode_branch(branch, part(branch.file())).expect("a branch of an accepted index") {
            let list = head.decode_list(&leaf, part(leaf.list())).expect("a list of an accepted index");
            let map = head.decode_map(&leaf, &list, part(leaf.map())).expect("a map of an accepted index");
            let mut start = leaf.image().start;
            for (entry, location) in list.entries().iter().copied().zip(map) {
                let end = start + (entry.repeats + 1) * u64::from(entry.len);
                placed.push(Placed { image: start..end, entry, location });
                start = end;
            }
        }
    }
    placed
}
