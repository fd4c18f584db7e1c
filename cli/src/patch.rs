//! `chunk patch`, and what `chunk make` says of patches.

use std::path::Path;

use chunk_publisher::{Made, NoPatch, Options, Patching, Publisher};
use chunk_store::Directory;
use chunk_store::line::Version;
use serde::Serialize;

use crate::args::Patch;
use crate::exit::{Exit, Failure};
use crate::locate::{self, In, blake3_text};
use crate::make;
use crate::output::Output;
use crate::progress::Progress;
use crate::size::human;

/// A patch, or why there is none.
#[derive(Serialize)]
pub(crate) struct Answer {
    base: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    none_because: Option<String>,
}

impl Answer {
    pub(crate) fn of(made: &Made) -> Self {
        let patch = made.patch.as_ref().ok();
        Self {
            base: made.base.as_str().to_owned(),
            patch: patch.map(|patch| blake3_text(&patch.name)),
            patch_bytes: patch.map(|patch| patch.len),
            none_because: made.patch.as_ref().err().map(ToString::to_string),
        }
    }

    pub(crate) fn text(&self) -> String {
        let Self { base, patch_bytes, none_because, .. } = self;
        match (patch_bytes, none_because) {
            (Some(bytes), _) => format!("patch from {base}: {}\n", human(*bytes)),
            (None, why) => format!("no patch from {base}: {}\n", why.as_deref().unwrap_or_default()),
        }
    }
}

pub(crate) fn run(patch: &Patch, output: &Output) -> Result<(), Failure> {
    let (old, new) = (locate::find(&patch.old)?, locate::find(&patch.new)?);
    let root = locate::parent(&new);
    let base = version_in(&old, root)?;
    let target = version_in(&new, root)?;
    let store = Directory::open_for_writing(root).map_err(|error| make::store_failure(root, error))?;
    let mut options = Options::for_directory(&store);
    options.jobs = patch.jobs.map(usize::from);
    options.patches = Some(Patching { level: patch.level, ruler: false, from: Vec::new() });
    let publisher = Publisher::new(&store, options).map_err(make::failure)?;
    let progress = Progress::new(&patch.new.display().to_string(), output);
    let progress = progress.map_err(|error| Failure::new(Exit::Internal, error))?;
    let made = publisher.patch(&base, &target, &progress).map_err(make::failure)?;
    drop(progress);
    if let Err(NoPatch::Failed(why)) = made.patch {
        return Err(Failure::new(Exit::Missing, why).hint("`chunk verify` tells what the store lacks"));
    }
    let answer = Answer::of(&made);
    output.answer(&answer, || answer.text())
}

/// The version that an index of the store at `root` is.
pub(crate) fn version_in(index: &Path, root: &Path) -> Result<Version, Failure> {
    let canonical = |path: &Path| {
        path.canonicalize().map_err(|error| Failure::new(Exit::Missing, In { path: path.to_owned(), error }))
    };
    if canonical(locate::parent(index))? != canonical(root)? {
        let message = format!("{} is not in the store {}", index.display(), root.display());
        return Err(Failure::new(Exit::Usage, message)
            .hint("both images are read from one store; `chunk make` publishes there"));
    }
    let name = index.file_name().and_then(|name| name.to_str());
    name.and_then(Version::from_file_name).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{} is not named as an index is", index.display()))
            .hint("an index is called NAME.cidx or NAME@LABEL.cidx")
    })
}
