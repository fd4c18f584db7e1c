//! `chunk info`.

use std::collections::{BTreeMap, HashSet};

use chunk_index::{Index, PatchRef, Record, Ways};
use serde::Serialize;

use crate::args::Info;
use crate::exit::Failure;
use crate::locate::{self, blake3_text};
use crate::output::Output;
use crate::size::{counted, human};

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    version: Version<'a>,
    cut: Cut,
    chunks: Chunks,
    index: Parts,
    packs: u64,
    pack_bytes: u64,
    frames: u64,
    frame_bytes: u64,
    patches: Vec<Way>,
}

/// A patch that leads to the version, and from where; by itself, or as the first step of several.
#[derive(Serialize)]
struct Way {
    /// BLAKE3 of the image that it starts from.
    base: String,
    base_bytes: u64,
    patch: String,
    patch_bytes: u64,
    /// All patches of the way, this one included.
    steps: usize,
    all_bytes: u64,
}

impl Way {
    fn all(ways: &Ways) -> Vec<Self> {
        let way = |(first, patch): (usize, &PatchRef)| Self {
            base: blake3_text(&patch.base),
            base_bytes: patch.base_len,
            patch: blake3_text(&patch.name),
            patch_bytes: patch.len,
            steps: ways.from(first).count(),
            all_bytes: ways.from(first).map(|patch| patch.len).sum(),
        };
        ways.patches().iter().enumerate().map(way).collect()
    }
}

/// What a record says.
#[derive(Serialize)]
pub(crate) struct Version<'a> {
    pub(crate) name: &'a str,
    pub(crate) label: &'a str,
    pub(crate) release: u64,
    pub(crate) id: String,
    pub(crate) image_bytes: u64,
    pub(crate) blake3: String,
    pub(crate) sha256: Option<String>,
    pub(crate) annotations: BTreeMap<&'a str, &'a str>,
}

impl<'a> Version<'a> {
    pub(crate) fn of(record: &'a Record) -> Self {
        let description = record.description();
        Self {
            name: description.line.as_str(),
            label: description.label.as_str(),
            release: description.release.get(),
            id: record.id().to_string(),
            image_bytes: record.image_len(),
            blake3: blake3_text(&description.blake3),
            sha256: description.sha256.as_ref().map(blake3_text),
            annotations: description.annotations.iter().collect(),
        }
    }
}

#[derive(Serialize)]
struct Cut {
    min: u32,
    avg: u32,
    max: u32,
    level: u8,
}

#[derive(Default, Serialize)]
struct Chunks {
    total: u64,
    entries: u64,
    distinct: u64,
    zero: u64,
    zero_bytes: u64,
    least_bytes: u32,
    mean_bytes: u64,
    most_bytes: u32,
}

#[derive(Serialize)]
struct Parts {
    bytes: u64,
    head: u64,
    branches: u64,
    block_hashes: u64,
    leaves: u64,
}

pub(crate) fn run(info: &Info, output: &Output) -> Result<(), Failure> {
    let located = locate::open(&info.index)?;
    let index = &located.index;
    let record = index.record();
    let params = record.params();
    let head = index.head();
    let (chunks, frames, frame_bytes) = count(index);
    let answer = Answer {
        version: Version::of(record),
        cut: Cut { min: params.min(), avg: params.avg(), max: params.max(), level: params.level() },
        chunks,
        index: Parts {
            bytes: head.file_len(),
            head: head.len(),
            branches: head.blocks().start - head.len(),
            block_hashes: head.blocks().end - head.blocks().start,
            leaves: head.leaves().end - head.leaves().start,
        },
        packs: index.locator().packs().len() as u64,
        pack_bytes: index.locator().packs().iter().map(|pack| u64::from(pack.len)).sum(),
        frames,
        frame_bytes,
        patches: Way::all(index.locator().ways()),
    };
    output.answer(&answer, || text(&answer))
}

fn count<B: AsRef<[u8]>>(index: &Index<B>) -> (Chunks, u64, u64) {
    let record = index.record();
    let mut chunks = Chunks { total: record.chunks(), entries: record.entries(), ..Chunks::default() };
    chunks.least_bytes = u32::MAX;
    let mut places = HashSet::new();
    let mut frames = HashSet::new();
    let mut frame_bytes = 0;
    for placed in index.entries() {
        chunks.least_bytes = chunks.least_bytes.min(placed.entry.len);
        chunks.most_bytes = chunks.most_bytes.max(placed.entry.len);
        let Some(location) = placed.location else {
            chunks.zero += placed.entry.repeats + 1;
            chunks.zero_bytes += placed.image.end - placed.image.start;
            continue;
        };
        places.insert((location.pack, location.frame.offset, location.first));
        if frames.insert((location.pack, location.frame.offset)) {
            frame_bytes += u64::from(location.frame.stored_len);
        }
    }
    chunks.distinct = places.len() as u64;
    if chunks.total == 0 {
        chunks.least_bytes = 0;
    }
    chunks.mean_bytes = record.image_len() / chunks.total.max(1);
    (chunks, frames.len() as u64, frame_bytes)
}

fn text(answer: &Answer<'_>) -> String {
    let Answer { version, cut, chunks, index, .. } = answer;
    let mut lines = vec![
        format!("version      {}@{}, release {}", version.name, version.label, version.release),
        format!("id           {}", version.id),
        format!("image        {} bytes ({})", version.image_bytes, human(version.image_bytes)),
        format!("blake3       {}", version.blake3),
    ];
    lines.extend(version.sha256.iter().map(|sha256| format!("sha256       {sha256}")));
    lines.extend(version.annotations.iter().map(|(key, value)| format!("annotation   {key}={value}")));
    lines.extend([
        format!("cut          min {}, avg {}, max {}, level {}", cut.min, cut.avg, cut.max, cut.level),
        format!(
            "chunks       {}, {} distinct, {} to {} bytes, mean {}",
            chunks.total, chunks.distinct, chunks.least_bytes, chunks.most_bytes, chunks.mean_bytes
        ),
        format!("zeros        {}, {}", counted(chunks.zero, "chunk"), human(chunks.zero_bytes)),
        format!(
            "stored       {} in {} of {}",
            human(answer.frame_bytes),
            counted(answer.frames, "frame"),
            counted(answer.packs, "pack")
        ),
        format!(
            "index        {} bytes: head {}, branches {}, block hashes {}, leaves {}",
            index.bytes, index.head, index.branches, index.block_hashes, index.leaves
        ),
    ]);
    lines.extend(answer.patches.iter().map(|patch| {
        let several = match patch.steps {
            1 => String::new(),
            steps => format!(", first of {steps}, {} together", human(patch.all_bytes)),
        };
        format!(
            "patch        {} from an image of {}, blake3 {}{several}",
            human(patch.patch_bytes),
            human(patch.base_bytes),
            patch.base
        )
    }));
    lines.join("\n") + "\n"
}
