//! `chunk diff`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use chunk_chunker::{Chunks, Name, Params, is_zero};
use chunk_extract::{
    Destination, Existing, Have, Job, Need, Options, Report, Seed, Silent, StoreSeed, Traffic, Version,
    Window,
};
use chunk_fetch::DirectorySource;
use chunk_index::{Entry, Index, ShortName};
use serde::Serialize;

use crate::args::Diff;
use crate::exit::{Exit, Failure};
use crate::extract::failure;
use crate::locate::{self, In, Located};
use crate::output::Output;
use crate::size::{Size, counted, human};

/// Parts of an index that lie at most this far apart are fetched together: they are small and near each other.
const INDEX_GAP: u64 = 2 << 10;
/// Longest request that joining makes.
const LONGEST_REQUEST: u64 = 16 << 20;

#[derive(Serialize)]
struct Answer {
    image_bytes: u64,
    /// What `extract` would download, index and gaps included.
    download_bytes: u64,
    requests: u64,
    index_bytes: u64,
    patch_bytes: u64,
    gap_bytes: u64,
    by_chunks: ByChunks,
    missing_bytes: u64,
    missing_chunks: u64,
    regions: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_regions: Option<Vec<Region>>,
}

/// What the missing chunks cost, without patches and with frames joined as --gap says.
#[derive(Serialize)]
struct ByChunks {
    index: Cost,
    frames: Cost,
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
    let plan = plan(&diff.a, &wanted)?;
    let answer = Answer {
        image_bytes: wanted.index.record().image_len(),
        download_bytes: plan.totals.download + plan.index.bytes,
        requests: plan.totals.requests + plan.index.requests,
        index_bytes: plan.index.bytes,
        patch_bytes: plan.totals.patch,
        gap_bytes: plan.totals.gaps,
        by_chunks: ByChunks { index: need.index.into(), frames: frames.into() },
        missing_bytes: need.missing_bytes,
        missing_chunks: need.missing_chunks,
        regions: need.regions.len() as u64,
        missing_regions: diff.regions.then(|| regions().collect()),
    };
    output.answer(&answer, || text(&answer))
}

/// What `extract` would do on a device that holds A, and nothing where B is to go.
fn plan(a: &Path, wanted: &Located) -> Result<Report, Failure> {
    let failed = |error| Failure::new(Exit::Source, In { path: a.to_owned(), error });
    let name = a.display().to_string();
    let seed = if is_image(a) {
        Seed::window(name, Window::open(a, None).map_err(failed)?)
    } else {
        let held = locate::open(a)?;
        let source = Box::new(DirectorySource::new(held.store()));
        Seed::store(name, StoreSeed::new(held.index, source))
    };
    let nowhere = tempfile::tempdir().map_err(|error| Failure::new(Exit::Internal, error))?;
    let object = wanted.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let source = DirectorySource::new(wanted.store());
    let job = Job {
        source: &source,
        version: Version::Object(object.to_owned()),
        seeds: vec![seed.into()],
        own_lists: None,
        state: None,
        destination: Destination::Path { path: nowhere.path().join("image"), existing: Existing::Keep },
        options: Options::default(),
        observer: &Silent,
    };
    job.plan().map_err(failure::of)
}

/// Whether A is taken for what the device holds: a file that is no index; a name that is no file means an index.
pub(crate) fn is_image(a: &Path) -> bool {
    !locate::is_index(a) && a.exists()
}

/// What the device on A holds.
pub(crate) fn have(a: &Path, wanted: &Index<Vec<u8>>) -> Result<Have, Failure> {
    let mut have = Have::default();
    let params = wanted.record().params();
    if is_image(a) {
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
pub(crate) fn open(path: &Path) -> io::Result<File> {
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
    let download =
        format!("download {} in {}", human(answer.download_bytes), counted(answer.requests, "request"));
    let (index, rest) = (human(answer.index_bytes), human(answer.download_bytes - answer.index_bytes));
    let mut lines = vec![
        if answer.patch_bytes == 0 {
            format!("{download}: index {index}, frames {rest} (gaps {})", human(answer.gap_bytes))
        } else {
            let ByChunks { index: chunks, frames } = &answer.by_chunks;
            let bytes = chunks.bytes + chunks.gap_bytes + frames.bytes + frames.gap_bytes;
            format!("{download}: index {index}, patch {rest}; by chunks {}", human(bytes))
        },
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
