//! `chunk verify`.

use std::ops::Range;
use std::path::Path;

use chunk_publisher::{Audit, PackDamage, VersionDamage, audit, audit_version};
use chunk_store::line::Version;
use chunk_store::{Directory, Key, PackName};
use serde::Serialize;

use crate::args::Verify;
use crate::exit::{Exit, Failure};
use crate::locate;
use crate::make;
use crate::output::Output;
use crate::progress::Progress;
use crate::size::{counted, human};

#[derive(Serialize)]
struct Answer {
    ok: bool,
    packs: u64,
    pack_bytes: u64,
    chunks: u64,
    versions: u64,
    damaged_packs: Vec<Found>,
    damaged_versions: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    object: String,
    damage: String,
    /// The bytes of the image that cannot be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    ranges: Option<Vec<Lost>>,
}

#[derive(Serialize)]
struct Lost {
    offset: u64,
    bytes: u64,
}

impl Found {
    fn of_pack(name: &PackName, damage: &PackDamage) -> Self {
        Self { object: Key::pack(name).path(), damage: damage.to_string(), ranges: None }
    }

    fn of_version(version: &Version, damage: &VersionDamage) -> Self {
        let lost = |range: &Range<u64>| Lost { offset: range.start, bytes: range.end - range.start };
        let ranges = match damage {
            VersionDamage::Image { ranges } => Some(ranges.iter().map(lost).collect()),
            _ => None,
        };
        Self { object: version.file_name(), damage: damage.to_string(), ranges }
    }
}

pub(crate) fn run(verify: &Verify, output: &Output) -> Result<(), Failure> {
    let progress = Progress::new(&verify.what.display().to_string(), output);
    let progress = progress.map_err(|error| Failure::new(Exit::Internal, error))?;
    let audit = if verify.what.is_dir() {
        let store = Directory::open(&verify.what).map_err(|error| Failure::new(Exit::Missing, error))?;
        audit(&store, &progress)
    } else {
        let path = locate::find(&verify.what)?;
        let store =
            Directory::open(locate::parent(&path)).map_err(|error| Failure::new(Exit::Missing, error))?;
        audit_version(&store, version(&path)?, &progress)
    };
    drop(progress);
    tell(&audit.map_err(make::failure)?, output)
}

/// The version that a file's name says.
fn version(path: &Path) -> Result<Version, Failure> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(Version::from_file_name).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{} is not named as an index is", path.display()))
            .hint("an index is called NAME.cidx or NAME@LABEL.cidx")
    })
}

fn tell(audit: &Audit, output: &Output) -> Result<(), Failure> {
    let packs = audit.damaged_packs.iter();
    let versions = audit.damaged_versions.iter();
    let answer = Answer {
        ok: audit.is_clean(),
        packs: audit.packs,
        pack_bytes: audit.pack_bytes,
        chunks: audit.chunks,
        versions: audit.versions,
        damaged_packs: packs.map(|(name, damage)| Found::of_pack(name, damage)).collect(),
        damaged_versions: versions.map(|(version, damage)| Found::of_version(version, damage)).collect(),
    };
    output.answer(&answer, || text(&answer))?;
    if audit.is_clean() {
        return Ok(());
    }
    let only_indexes = audit.damaged_packs.is_empty()
        && audit.damaged_versions.iter().all(|(_, damage)| matches!(damage, VersionDamage::Index(_)));
    let exit = if only_indexes { Exit::Index } else { Exit::Integrity };
    let message = format!(
        "packs damaged: {} of {}; indexes damaged or leading to damage: {}",
        audit.damaged_packs.len(),
        audit.packs,
        audit.damaged_versions.len(),
    );
    Err(Failure::new(exit, message)
        .hint("remove the damaged packs and run `chunk make` with the images of the damaged versions"))
}

fn text(answer: &Answer) -> String {
    let damaged = answer.damaged_packs.iter().chain(&answer.damaged_versions);
    let mut lines: Vec<_> = damaged.map(|found| format!("{}: {}", found.object, found.damage)).collect();
    lines.push(format!(
        "{}: {}, {}, {}, {}\n",
        if answer.ok { "whole" } else { "damaged" },
        counted(answer.versions, "version"),
        counted(answer.packs, "pack"),
        human(answer.pack_bytes),
        counted(answer.chunks, "chunk"),
    ));
    lines.join("\n")
}
