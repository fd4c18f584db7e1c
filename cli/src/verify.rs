//! `chunk verify`.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::Path;

use chunk_index::Digest;
use chunk_publisher::{Audit, PackDamage, PatchDamage, VersionDamage, audit, audit_version};
use chunk_store::line::Version;
use chunk_store::{Directory, Key, PackName};
use serde::Serialize;

use crate::args::Verify;
use crate::exit::{Exit, Failure};
use crate::locate::{self, In};
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
    patches: u64,
    damaged_packs: Vec<Found>,
    damaged_versions: Vec<Found>,
    damaged_patches: Vec<Found>,
    /// What damaged objects are called now.
    #[serde(skip_serializing_if = "Option::is_none")]
    set_aside: Option<Vec<String>>,
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

    fn of_patch(name: &Digest, damage: &PatchDamage) -> Self {
        Self { object: Key::Patch(*name).path(), damage: damage.to_string(), ranges: None }
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
    let mut set_aside = None;
    let audit = if verify.set_aside {
        // Locked from the start: what is renamed must be what was looked at.
        let store = for_mending(&verify.what)?;
        let audit = audit(&store, &progress).map_err(make::failure)?;
        let renamed = audit.false_objects().map(|object| store.set_aside(&object));
        set_aside = Some(renamed.collect::<io::Result<_>>().map_err(|error| mending(&verify.what, error))?);
        audit
    } else if verify.what.is_dir() {
        let store = Directory::open(&verify.what).map_err(|error| Failure::new(Exit::Missing, error))?;
        audit(&store, &progress).map_err(make::failure)?
    } else {
        let path = locate::find(&verify.what)?;
        let store =
            Directory::open(locate::parent(&path)).map_err(|error| Failure::new(Exit::Missing, error))?;
        audit_version(&store, version(&path)?, &progress).map_err(make::failure)?
    };
    drop(progress);
    tell(&audit, set_aside, output)
}

/// The store `what`, locked against those who add to it.
fn for_mending(what: &Path) -> Result<Directory, Failure> {
    if what.is_dir() {
        return Directory::open_for_mending(what).map_err(|error| mending(what, error));
    }
    if what.exists() {
        let message = format!("{} is no store, and --set-aside is for a whole store", what.display());
        return Err(Failure::new(Exit::Usage, message));
    }
    Err(Failure::new(Exit::Missing, format!("{} is not there", what.display())))
}

fn mending(store: &Path, error: io::Error) -> Failure {
    if error.kind() == ErrorKind::WouldBlock {
        let message = format!("somebody is writing to {}", store.display());
        return Failure::new(Exit::Busy, message).hint("run the same command again when that is done");
    }
    Failure::new(Exit::Target, In { path: store.to_owned(), error })
}

/// The version that a file's name says.
fn version(path: &Path) -> Result<Version, Failure> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(Version::from_file_name).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{} is not named as an index is", path.display()))
            .hint("an index is called NAME.cidx or NAME@LABEL.cidx")
    })
}

fn tell(audit: &Audit, set_aside: Option<Vec<String>>, output: &Output) -> Result<(), Failure> {
    let is_mending = set_aside.is_some();
    let packs = audit.damaged_packs.iter();
    let versions = audit.damaged_versions.iter();
    let answer = Answer {
        ok: audit.is_clean(),
        packs: audit.packs,
        pack_bytes: audit.pack_bytes,
        chunks: audit.chunks,
        versions: audit.versions,
        patches: audit.patches,
        damaged_packs: packs.map(|(name, damage)| Found::of_pack(name, damage)).collect(),
        damaged_versions: versions.map(|(version, damage)| Found::of_version(version, damage)).collect(),
        damaged_patches: audit
            .damaged_patches
            .iter()
            .map(|(name, damage)| Found::of_patch(name, damage))
            .collect(),
        set_aside,
    };
    output.answer(&answer, || text(&answer))?;
    if audit.is_clean() {
        return Ok(());
    }
    let only_indexes = audit.damaged_packs.is_empty()
        && audit.damaged_patches.is_empty()
        && audit.damaged_versions.iter().all(|(_, damage)| matches!(damage, VersionDamage::Index(_)));
    let exit = if only_indexes { Exit::Index } else { Exit::Integrity };
    let message = format!(
        "packs damaged: {} of {}; patches: {} of {}; indexes damaged or leading to damage: {}",
        audit.damaged_packs.len(),
        audit.packs,
        audit.damaged_patches.len(),
        audit.patches,
        audit.damaged_versions.len(),
    );
    Err(Failure::new(exit, message).hint(if is_mending {
        "run `chunk make --version LABEL` with the image of each damaged version: that makes its patches again, too"
    } else {
        "`chunk verify --set-aside STORE` makes room for `chunk make` to store again what is damaged"
    }))
}

fn text(answer: &Answer) -> String {
    let damaged = answer.damaged_packs.iter().chain(&answer.damaged_versions).chain(&answer.damaged_patches);
    let mut lines: Vec<_> = damaged.map(|found| format!("{}: {}", found.object, found.damage)).collect();
    lines.extend(answer.set_aside.iter().flatten().map(|name| format!("set aside: {name}")));
    let patches =
        if answer.patches > 0 { format!(", {}", counted(answer.patches, "patch")) } else { String::new() };
    lines.push(format!(
        "{}: {}, {}, {}, {}{patches}\n",
        if answer.ok { "whole" } else { "damaged" },
        counted(answer.versions, "version"),
        counted(answer.packs, "pack"),
        human(answer.pack_bytes),
        counted(answer.chunks, "chunk"),
    ));
    lines.join("\n")
}
