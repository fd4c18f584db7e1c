//! The report in a file, for whoever cannot read it from stdout.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::NamedTempFile;

use crate::exit::Failure;
use crate::locate::{In, parent};

use super::failure::io_exit;

/// A file that is going to hold the report.
pub(super) enum ReportFile {
    /// A new one, which takes its place when it is complete.
    New(NamedTempFile, PathBuf),
    /// A pipe, a terminal, or another thing that cannot be replaced.
    Open(File, PathBuf),
}

impl ReportFile {
    /// Makes sure that there can be a report at `path`, before there is anything to report.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let create = || -> io::Result<Self> {
            if path.metadata().is_ok_and(|metadata| !metadata.is_file()) || is_stream(path) {
                return Ok(Self::Open(File::options().append(true).open(path)?, path.to_owned()));
            }
            // What a link leads to is replaced, not the link.
            let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            Ok(Self::New(NamedTempFile::new_in(parent(&path))?, path))
        };
        create().map_err(|error| fails(path, error))
    }

    /// Writes the report.
    pub(super) fn write(self, report: &impl Serialize) -> Result<(), Failure> {
        let path = match &self {
            Self::New(_, path) | Self::Open(_, path) => path.clone(),
        };
        let write = || -> io::Result<()> {
            let line = format!("{}\n", serde_json::to_string(report)?);
            match self {
                Self::New(mut file, path) => {
                    file.write_all(line.as_bytes())?;
                    file.persist(path)?;
                    Ok(())
                }
                Self::Open(mut file, _) => file.write_all(line.as_bytes()),
            }
        };
        write().map_err(|error| fails(&path, error))
    }
}

/// Whether `path` is what stdout or stderr is: who has redirected that reads on where it was.
fn is_stream(path: &Path) -> bool {
    let identity = |path: &Path| path.metadata().map(|found| (found.dev(), found.ino())).ok();
    let found = identity(path);
    found.is_some() && ["/dev/fd/1", "/dev/fd/2"].iter().any(|stream| identity(Path::new(stream)) == found)
}

fn fails(path: &Path, error: io::Error) -> Failure {
    Failure::new(io_exit(&error), In { path: path.to_owned(), error })
        .hint("--report names a file that can be written")
}
