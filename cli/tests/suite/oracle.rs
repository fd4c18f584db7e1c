//! What the command should find, worked out from the images and the bytes of the packs alone: FORMAT read
//! literally, with whole names in place of short ones and without any index.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::Path;

use chunk_chunker::{Chunks, Params};

/// Bytes before the first frame of a pack.
pub(crate) const PACK_HEADER: usize = 16;
/// Bytes after the table of a pack.
pub(crate) const PACK_TRAILER: usize = 48;

/// A chunk of an image.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) name: [u8; 32],
    pub(crate) image: Range<u64>,
    pub(crate) is_zero: bool,
}

/// The chunks of an image, cut with the default parameters.
pub(crate) fn chunks(image: &[u8]) -> Vec<Chunk> {
    let mut chunks = Chunks::new(Params::DEFAULT, image);
    let mut found = Vec::new();
    while let Some(chunk) = chunks.next_chunk().expect("a slice can be read") {
        found.push(Chunk {
            name: *blake3::hash(chunk.bytes).as_bytes(),
            image: chunk.offset..chunk.offset + chunk.bytes.len() as u64,
            is_zero: chunk.bytes.iter().all(|&byte| byte == 0),
        });
    }
    found
}

/// A frame and the names of its chunks.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) file: Range<u64>,
    pub(crate) is_raw: bool,
    pub(crate) chunks: Vec<[u8; 32]>,
}

/// A pack as its table describes it (FORMAT 5).
#[derive(Debug)]
pub(crate) struct Pack {
    pub(crate) frames: Vec<Frame>,
    pub(crate) table: Range<usize>,
}

impl Pack {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let trailer = bytes.len() - PACK_TRAILER;
        let table = u64::from_le_bytes(bytes[trailer..trailer + 8].try_into().expect("eight bytes"));
        let table = usize::try_from(table).expect("it lies in the file");
        let frame_count = usize::try_from(u32_at(table)).expect("it fits");
        let frame_rows = table + 8;
        let mut chunk_row = frame_rows + frame_count * 12;
        let mut offset = PACK_HEADER as u64;
        let mut frames = Vec::new();
        for row in (0..frame_count).map(|number| frame_rows + number * 12) {
            let file = offset..offset + u64::from(u32_at(row));
            offset = file.end;
            let mut chunks = Vec::new();
            for _ in 0..u32_at(row + 8) {
                chunks.push(bytes[chunk_row..chunk_row + 32].try_into().expect("32 bytes"));
                chunk_row += 36;
            }
            frames.push(Frame { file, is_raw: u32_at(row + 4) & 1 == 1, chunks });
        }
        assert_eq!(offset, table as u64, "the frames end where the table starts");
        assert_eq!(chunk_row, trailer, "the table ends where the trailer starts");
        Self { frames, table: table..trailer }
    }
}

/// All packs of a store by file name.
pub(crate) fn packs(store: &Path) -> BTreeMap<String, Pack> {
    let files = fs::read_dir(store.join("packs")).expect("the store has packs");
    let named = files.map(|entry| {
        let entry = entry.expect("the directory can be listed");
        let name = entry.file_name().into_string().expect("packs are named in hexadecimal");
        (name, Pack::read(&fs::read(entry.path()).expect("the pack can be read")))
    });
    named.collect()
}

/// What a device that holds `a` lacks of `b`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) bytes: u64,
    pub(crate) chunks: u64,
    pub(crate) regions: Vec<Range<u64>>,
    pub(crate) frame_bytes: u64,
    pub(crate) frame_gaps: u64,
    pub(crate) frame_requests: u64,
}

/// Compares two images, with both stored in `store` and nothing else; frames at most `gap` bytes apart are
/// fetched together.
pub(crate) fn missing(a: &[u8], b: &[u8], store: &Path, gap: u64) -> Missing {
    let held: BTreeSet<_> = chunks(a).into_iter().map(|chunk| chunk.name).collect();
    let lacks = chunks(b).into_iter().filter(|chunk| !chunk.is_zero && !held.contains(&chunk.name));
    let lacks: Vec<_> = lacks.collect();
    let names: BTreeSet<_> = lacks.iter().map(|chunk| chunk.name).collect();
    let mut missing = Missing {
        bytes: lacks.iter().map(|chunk| chunk.image.end - chunk.image.start).sum(),
        chunks: names.len() as u64,
        regions: Vec::new(),
        frame_bytes: 0,
        frame_gaps: 0,
        frame_requests: 0,
    };
    for Chunk { image, .. } in lacks {
        match missing.regions.last_mut().filter(|last| last.end == image.start) {
            Some(last) => last.end = image.end,
            None => missing.regions.push(image),
        }
    }
    for pack in packs(store).into_values() {
        let mut last_end: Option<u64> = None;
        for frame in pack.frames {
            if !frame.chunks.iter().any(|name| names.contains(name)) {
                continue;
            }
            missing.frame_bytes += frame.file.end - frame.file.start;
            match last_end.map(|end| frame.file.start - end).filter(|apart| *apart <= gap) {
                Some(apart) => missing.frame_gaps += apart,
                None => missing.frame_requests += 1,
            }
            last_end = Some(frame.file.end);
        }
    }
    missing
}

/// A hash as the command prints it.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}
