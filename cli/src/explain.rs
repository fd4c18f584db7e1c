//! `chunk explain`.

use std::io::{self, Seek as _};
use std::path::Path;

use chunk_explain::{ExplainError, Explanation, FileImage, Part, ReadAt, Saving, Why};
use chunk_extract::{Need, ReadError, Reader};
use chunk_fetch::DirectorySource;
use serde::Serialize;

use crate::args::Explain;
use crate::cat;
use crate::diff;
use crate::exit::{Exit, Failure, visible};
use crate::locate::{self, In, Located};
use crate::output::Output;
use crate::size::{counted, human};

#[derive(Serialize)]
struct Answer {
    image_bytes: u64,
    missing_bytes: u64,
    regions: u64,
    /// What B was read as.
    kinds: Vec<String>,
    /// What B is if it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    other_kind: Option<&'static str>,
    /// What A was read as.
    old_kinds: Vec<String>,
    /// What could not be read.
    gaps: Vec<String>,
    parts: Vec<Owner>,
    /// Parts that are not listed, because of --limit.
    more_parts: u64,
    more_bytes: u64,
    savings: Vec<Saved>,
}

#[derive(Serialize)]
struct Owner {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    new_bytes: u64,
    reason: &'static str,
    why: String,
}

#[derive(Serialize)]
struct Saved {
    bytes: u64,
    advice: &'static str,
    text: &'static str,
}

impl From<Part> for Owner {
    fn from(part: Part) -> Self {
        let (reason, why) = (reason(&part.why), part.why.to_string());
        Self { name: part.name, bytes: part.len, new_bytes: part.new_bytes, reason, why }
    }
}

impl From<&Saving> for Saved {
    fn from(saving: &Saving) -> Self {
        Self { bytes: saving.bytes, advice: saving.advice.code(), text: saving.advice.text() }
    }
}

pub(crate) fn run(explain: &Explain, output: &Output) -> Result<(), Failure> {
    let wanted = locate::open(&explain.b)?;
    let need = Need::of(&wanted.index, &diff::have(&explain.a, &wanted.index)?, 0);
    let mut new = Stored::open(&wanted)?;
    let told = if diff::is_image(&explain.a) {
        let failed = |error| Failure::new(Exit::Source, In { path: explain.a.clone(), error });
        let mut file = diff::open(&explain.a).map_err(failed)?;
        let len = file.seek(io::SeekFrom::End(0)).map_err(failed)?;
        chunk_explain::explain(&mut FileImage { file, len }, &mut new, &need.regions)
    } else {
        let held = locate::open(&explain.a)?;
        chunk_explain::explain(&mut Stored::open(&held)?, &mut new, &need.regions)
    };
    let Explanation { kinds, other_kind, old_kinds, gaps, mut parts, savings, .. } =
        told.map_err(|error| failure(&explain.a, error))?;
    let more = parts.split_off(explain.limit.min(parts.len()));
    let answer = Answer {
        image_bytes: wanted.index.record().image_len(),
        missing_bytes: need.missing_bytes,
        regions: need.regions.len() as u64,
        kinds,
        other_kind,
        old_kinds,
        gaps,
        more_parts: more.len() as u64,
        more_bytes: more.iter().map(|part| part.new_bytes).sum(),
        parts: parts.into_iter().map(Owner::from).collect(),
        savings: savings.iter().map(Saved::from).collect(),
    };
    output.answer(&answer, || text(&answer))
}

/// An image in its store.
struct Stored<'i> {
    reader: Reader<'i, Vec<u8>, DirectorySource>,
    len: u64,
}

impl<'i> Stored<'i> {
    fn open(located: &'i Located) -> Result<Self, Failure> {
        let source = DirectorySource::new(located.store());
        let reader = Reader::new(&located.index, source).map_err(cat::failure)?;
        Ok(Self { reader, len: located.index.record().image_len() })
    }
}

impl ReadAt for Stored<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&mut self, offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.saturating_add(buffer.len() as u64);
        self.reader.copy(offset..end, &mut buffer).map_err(io::Error::other)
    }
}

/// Exit code for an image that cannot be read: a store's own, or that of a failing file.
fn failure(a: &Path, error: ExplainError) -> Failure {
    let cause = match error {
        ExplainError::Old(cause) | ExplainError::New(cause) => cause,
        error => return Failure::new(Exit::Internal, error),
    };
    match cause.downcast::<ReadError>() {
        Ok(error) => cat::failure(error),
        Err(error) => Failure::new(Exit::Source, In { path: a.to_owned(), error }),
    }
}

/// A word for machines.
fn reason(why: &Why) -> &'static str {
    match why {
        Why::NewFile => "new",
        Why::Renamed { .. } => "renamed",
        Why::Unchanged { moved: true, .. } => "moved",
        Why::Unchanged { packed: true, .. } => "repacked",
        Why::Unchanged { .. } => "unchanged",
        Why::Recompressed(_) => "recompressed",
        Why::Changed { .. } => "changed",
        Why::NotCompared => "not-compared",
        Why::Fields(_) | Why::OfFiles { .. } | Why::NotZero(_) | Why::Metadata => "metadata",
        _ => "unknown",
    }
}

fn text(answer: &Answer) -> String {
    let what = match (&answer.kinds[..], answer.other_kind) {
        ([], Some(kind)) => format!("{kind}, whose files are not read: only ext4, squashfs and tar are"),
        ([], None) => "neither ext4, squashfs nor tar, nor a disk with partitions".to_owned(),
        (kinds, _) => kinds.join(", "),
    };
    let mut lines = vec![format!(
        "missing {} of {} image bytes in {}; the image is {what}",
        answer.missing_bytes,
        answer.image_bytes,
        counted(answer.regions, "region")
    )];
    if !answer.kinds.is_empty() && answer.old_kinds.is_empty() {
        lines.push("A cannot be read as files, so nothing is compared with it".to_owned());
    }
    lines.extend(answer.gaps.iter().map(|gap| format!("not read: {gap}")));
    for Owner { name, new_bytes, why, bytes, .. } in &answer.parts {
        let of = bytes.map(|bytes| format!(" of {}", human(bytes))).unwrap_or_default();
        lines.push(format!("{:>8}{of:<12} {}: {}", human(*new_bytes), visible(name), visible(why)));
    }
    if answer.more_parts > 0 {
        let more = counted(answer.more_parts, "more");
        let more = more.trim_end_matches('s');
        lines.push(format!("{:>8}{:<12} {more}, which --limit shows", human(answer.more_bytes), ""));
    }
    if !answer.savings.is_empty() {
        lines.push("another build could save of this, at most".to_owned());
        lines.extend(answer.savings.iter().map(|saved| format!("{:>8} {}", human(saved.bytes), saved.text)));
    }
    lines.join("\n") + "\n"
}
