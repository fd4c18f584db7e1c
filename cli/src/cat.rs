//! `chunk cat`.

use std::io::{self, BufWriter, Write};

use chunk_extract::{ReadError, Reader};
use chunk_fetch::{DirectorySource, FetchErrorKind};

use crate::args::Cat;
use crate::exit::{Exit, Failure};
use crate::locate;
use crate::output::{Output, failed};
use crate::size::Size;

pub(crate) fn run(cat: &Cat, _: &Output) -> Result<(), Failure> {
    let located = locate::open(&cat.index)?;
    let image_len = located.index.record().image_len();
    let Size(start) = cat.offset;
    let end = cat.length.map_or(image_len, |Size(length)| start.saturating_add(length).min(image_len));
    if start > image_len {
        let message = format!("--offset {start} lies behind the end of the image, at {image_len}");
        return Err(Failure::new(Exit::Usage, message));
    }
    let mut reader = Reader::new(&located.index, DirectorySource::new(located.store())).map_err(failure)?;
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match reader.copy(start..end, &mut out) {
        // An image that is not taken whole is no success, whoever closed the pipe.
        Ok(()) => out.flush().map_err(failed),
        Err(ReadError::Write(error)) => Err(failed(error)),
        Err(error) => {
            // What is in the buffer is checked and wanted all the same.
            let _ = out.flush();
            Err(failure(error))
        }
    }
}

/// Exit code and hint for what kept bytes from being read.
pub(crate) fn failure(error: ReadError) -> Failure {
    let hint = "`chunk verify --set-aside STORE`, then `chunk make` of the same image, mends the store";
    match &error {
        ReadError::Fetch(fetch) => {
            let exit = match fetch.kind {
                FetchErrorKind::Missing | FetchErrorKind::Short => Exit::Missing,
                _ => Exit::Source,
            };
            Failure::new(exit, error).hint(hint)
        }
        ReadError::Frame { .. } | ReadError::Chunk { .. } | ReadError::Block { .. } => {
            Failure::new(Exit::Integrity, error).hint(hint)
        }
        ReadError::Outside { .. } => Failure::new(Exit::Usage, error),
        ReadError::Write(_) => Failure::new(Exit::Target, error),
        _ => Failure::new(Exit::Internal, error),
    }
}
