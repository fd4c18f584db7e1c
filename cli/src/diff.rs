//! `chunk diff`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use chunk_chunker::{Chunks, Name, Params, is_zero};
use chunk_extract::{Have, Need, Traffic};
use chunk_index::{Entry, Index, ShortName};
use serde::Serialize;

use crate::args::Diff;
use crate::exit::{Exit, Failure};
use crate::locate::{self, In};
use crate::output::Output;
use crate::size::{Size, counted, human};

/// Parts of an index that lie at most this far apart are fetched together: they are small and near each other.
const INDEX_GAP: u64 = 2 << 10;
/// Longest request that joining makes.
const LONGEST_REQUEST: u64 = 16 << 20;

#[derive(Serialize)]
struct Answer {
    image_bytes: u64,
    /// Bytes over the network, index and gaps included.
    download_bytes: u64,
    requests: u64,
    index: Cost,
    frames: Cost,
    missing_bytes: u64,
    missing_chunks: u64,
    regions: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_regions: Option<Vec<Region>>,
}

#[derive(Serialize)]
struct Cost {
    bytes: u64,
    gap_bytes: u64,
    requests: u64,
}

#[derive(Serialize)]
struct Region {
    offset: u64,
    bytes: u64,
}

impl From<Traffic> for Cost {
    fn from(Traffic { bytes, gaps, requests }: Traffic) -> Self {
        Self { bytes, gap_bytes: gaps, requests }
    }
}

pub(crate) fn run(diff: &Diff, output: &Output) -> Result<(), Failure> {
    let wanted = locate::open(&diff.b)?;
    let have = have(&diff.a, &wanted.index)?;
    let Size(gap) = diff.gap;
    let need = Need::of(&wanted.index, &have, INDEX_GAP);
    let frames = need.traffic(gap, LONGEST_REQUEST);
    let regions = || {
        need.regions.iter().map(|region| Region { offset: region.start, bytes: region.end - region.start })
    };
    let answer = Answer {
        image_bytes: wanted.index.record().image_len(),
        download_bytes: need.index.bytes + need.index.gaps + frames.bytes + frames.gaps,
        requests: need.index.requests + frames.requests,
        index: need.index.into(),
        frames: frames.into(),
        missing_bytes: need.missing_bytes,
        missing_chunks: need.missing_chunks,
        regions: need.regions.len() as u64,
        missing_regions: diff.regions.then(|| regions().collect()),
    };
    output.answer(&answer, || text(&answer))
}

/// What the device on A holds.
fn have(a: &Path, wanted: &Index<Vec<u8>>) -> Result<Have, Failure> {
    let mut have = Have::default();
    let params = wanted.record().params();
    // A file that is no index is taken for what the device holds; a name that is no file, for an index.
    if !locate::is_index(a) && a.exists() {
        let mut failed = None;
        match open(a) {
            Ok(file) => {
                have.add(scan(file, params).map_while(|chunk| chunk.map_err(|e| failed = Some(e)).ok()));
            }
            Err(error) => failed = Some(error),
        }
        let failure = |error| Failure::new(Exit::Source, In { path: a.to_owned(), error });
        return failed.map_or(Ok(have), |error| Err(failure(error)));
    }
    let index = locate::open(a)?.index;
    if index.record().params() != params {
        return Err(Failure::new(
            Exit::Usage,
            "the two versions are cut differently, so they share no chunks",
        )
        .hint("give the image itself instead of its index"));
    }
    have.add(index.entries().map(|placed| placed.entry));
    Ok(have)
}

/// Opens a file or block device. Opening a pipe would wait for ever, and a terminal never ends.
fn open(path: &Path) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() || kind.is_block_device() {
        return File::open(path);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a file nor a block device"))
}

/// The chunks of a file.
fn scan(file: File, params: Params) -> impl Iterator<Item = io::Result<Entry>> {
    let mut chunks = Chunks::new(params, file);
    std::iter::from_fn(move || {
        let chunk = match chunks.next_chunk() {
            Ok(chunk) => chunk?,
            Err(error) => return Some(Err(error)),
        };
        let bytes = chunk.bytes;
        let short = if is_zero(bytes) { ShortName::ZERO } else { ShortName::of(&Name::of(bytes)) };
        let len = u32::try_from(bytes.len()).expect("no chunk is longer than a block");
        Some(Ok(Entry { short, len, repeats: 0 }))
    })
}

fn text(answer: &Answer) -> String {
    let mut lines = vec![
        format!(
            "download {} in {}: index {} in {}, frames {} in {} (gaps {})",
            human(answer.download_bytes),
            counted(answer.requests, "request"),
            human(answer.index.bytes + answer.index.gap_bytes),
            answer.index.requests,
            human(answer.frames.bytes + answer.frames.gap_bytes),
            answer.frames.requests,
            human(answer.index.gap_bytes + answer.frames.gap_bytes),
        ),
        format!(
            "missing {} of {} image bytes, {} in {}",
            answer.missing_bytes,
            answer.image_bytes,
            counted(answer.missing_chunks, "chunk"),
            counted(answer.regions, "region")
        ),
    ];
    let regions = answer.missing_regions.iter().flatten();
    lines.extend(regions.map(|region| format!("{} +{}", region.offset, region.bytes)));
    lines.join("\n") + "\n"
}
