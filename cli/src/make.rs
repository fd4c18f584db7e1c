//! `chunk make`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use chunk_index::Word;
use chunk_publisher::{
    MakeError, Options, Outcome, Patching, Publisher, Report, Source, SourceError, Wish, annotations,
    cut_around,
};
use chunk_store::Directory;
use serde::Serialize;

use crate::args::Make;
use crate::exit::{Exit, Failure};
use crate::locate::{self, In, blake3_text};
use crate::output::Output;
use crate::patch;
use crate::progress::Progress;
use crate::size::{Size, human};
use crate::stdin::Stdin;

/// What stands for stdin on the command line.
const STDIN: &str = "-";

#[derive(Serialize)]
struct Answer<'a> {
    image: String,
    outcome: &'static str,
    name: &'a str,
    label: &'a str,
    release: u64,
    id: String,
    blake3: String,
    sha256: Option<String>,
    image_bytes: u64,
    chunks: u64,
    new_chunks: u64,
    new_bytes: u64,
    again_bytes: u64,
    packs: u64,
    stored_bytes: u64,
    index_bytes: u64,
    patches: Vec<patch::Answer>,
    seconds: String,
}

pub(crate) fn run(make: &Make, output: &Output) -> Result<(), Failure> {
    if make.images.len() > 1 && make.name.is_some() {
        return Err(Failure::new(Exit::Usage, "--name fits one image only")
            .hint("without it, each image is published under its own file name"));
    }
    if make.images.len() > 1 && make.release.is_some() {
        return Err(Failure::new(Exit::Usage, "--release fits one image only"));
    }
    if make.images.len() > 1 && !make.patch_from.is_empty() {
        return Err(Failure::new(Exit::Usage, "--patch-from fits one image only"));
    }
    let wishes = make.images.iter().map(|image| wish(make, image)).collect::<Result<Vec<_>, _>>()?;
    for image in make.images.iter().filter(|image| *image != Path::new(STDIN)) {
        // What cannot be opened leaves no empty store behind.
        Source::open(image).map_err(|error| Failure::new(Exit::Source, In { path: image.clone(), error }))?;
    }
    let store =
        Directory::open_for_writing(&make.store).map_err(|error| store_failure(&make.store, error))?;
    let mut options = options(make, &store)?;
    options.patches = Some(patching(make, &wishes[0])?);
    let mut publisher = Publisher::new(&store, options).map_err(failure)?;
    for (name, why) in publisher.lookup().unreadable() {
        output.warn(&format!("pack {name} counts as missing: {why}; `chunk verify` tells more"));
    }
    for (image, wish) in make.images.iter().zip(&wishes) {
        let started = Instant::now();
        let progress = Progress::new(&image.display().to_string(), output);
        let progress = progress.map_err(|error| Failure::new(Exit::Internal, error))?;
        let in_image = |error| Failure::new(Exit::Source, In { path: image.clone(), error });
        let source = open(image, &progress).map_err(in_image)?;
        let report = publisher.make(source, wish, &progress).map_err(|error| match error {
            MakeError::Source(error) => in_image(error),
            error => failure(error),
        })?;
        drop(progress);
        let millis = started.elapsed().as_millis();
        let seconds = format!("{}.{:03}", millis / 1000, millis % 1000);
        tell(image, &report, seconds, output)?;
    }
    Ok(())
}

fn open(image: &Path, progress: &Progress) -> Result<Source, SourceError> {
    if image != Path::new(STDIN) {
        return Source::open(image);
    }
    Ok(Source::stream(Stdin::open(progress.stop()).map_err(SourceError::Open)?))
}

fn tell(image: &Path, report: &Report, seconds: String, output: &Output) -> Result<(), Failure> {
    let description = report.record.description();
    let answer = Answer {
        image: image.display().to_string(),
        outcome: match report.outcome {
            Outcome::Published => "published",
            Outcome::Unchanged => "unchanged",
            Outcome::Mended => "mended",
            Outcome::Restored => "restored",
        },
        name: description.line.as_str(),
        label: description.label.as_str(),
        release: description.release.get(),
        id: report.id.to_string(),
        blake3: blake3_text(&description.blake3),
        sha256: description.sha256.as_ref().map(blake3_text),
        image_bytes: report.record.image_len(),
        chunks: report.record.chunks(),
        new_chunks: report.new_chunks,
        new_bytes: report.new_bytes,
        again_bytes: report.again_bytes,
        packs: report.packs,
        stored_bytes: report.pack_bytes,
        index_bytes: report.index_bytes,
        patches: report.patches.iter().map(patch::Answer::of).collect(),
        seconds,
    };
    output.answer(&answer, || {
        let again = match answer.again_bytes {
            0 => String::new(),
            bytes => format!(" and again {}", human(bytes)),
        };
        let patches: String = answer.patches.iter().map(patch::Answer::text).collect();
        format!(
            "{} {}@{}: image {}, new {}{again}, stored {}, index {}, {} s\n{patches}",
            answer.outcome,
            answer.name,
            answer.label,
            human(answer.image_bytes),
            human(answer.new_bytes),
            human(answer.stored_bytes),
            human(answer.index_bytes),
            answer.seconds,
        )
    })
}

fn wish(make: &Make, image: &Path) -> Result<Wish, Failure> {
    let name = match &make.name {
        Some(name) => name,
        None => own_name(image)
            .map_err(|error| Failure::new(Exit::Usage, error).hint("give it one with --name"))?,
    };
    let word = |what: &str, text: &str| {
        let message = |error| format!("{text:?} cannot be a {what}: {error}");
        text.parse::<Word>().map_err(|error| {
            Failure::new(Exit::Usage, message(error))
                .hint("letters, digits and . _ + - are allowed, 128 at most")
        })
    };
    let free = make.annotate.iter().map(|pair| {
        pair.split_once('=').ok_or_else(|| Failure::new(Exit::Usage, format!("{pair:?} is not KEY=VALUE")))
    });
    let mut pairs = free.collect::<Result<Vec<_>, _>>()?;
    pairs.extend(make.compatible.as_deref().map(|what| ("compatible", what)));
    pairs.extend(make.arch.as_deref().map(|arch| ("arch", arch)));
    for (number, (key, _)) in pairs.iter().enumerate() {
        if pairs[..number].iter().any(|(earlier, _)| earlier == key) {
            return Err(Failure::new(Exit::Usage, format!("annotation {key:?} is given twice")));
        }
    }
    Ok(Wish {
        name: word("name", name)?,
        label: make.version.as_deref().map(|label| word("label", label)).transpose()?,
        release: make.release,
        annotations: annotations(pairs).map_err(|error| Failure::new(Exit::Usage, error))?,
    })
}

/// The name that an image brings along.
fn own_name(image: &Path) -> Result<&str, String> {
    if image == Path::new(STDIN) {
        return Err("an image from stdin has no name".to_owned());
    }
    let name = image.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| format!("{} has no name that a version can have", image.display()))
}

fn options(make: &Make, store: &Directory) -> Result<Options, Failure> {
    let mut options = Options::for_directory(store);
    options.level = make.level;
    options.jobs = make.jobs.map(usize::from);
    options.sha256 = make.sha256;
    let usage = |message: String| Failure::new(Exit::Usage, message);
    if let Some(Size(avg)) = make.chunk_size {
        let avg = u32::try_from(avg).map_err(|_| usage("--chunk-size is too large".to_owned()))?;
        options.params = cut_around(avg).map_err(|error| usage(format!("--chunk-size: {error}")))?;
    }
    if let Some(Size(len)) = make.frame_size {
        let fits = u32::try_from(len).ok().filter(|len| (4096..=2 << 20).contains(len));
        options.frame_len = fits.ok_or_else(|| usage("--frame-size must be 4KiB to 2MiB".to_owned()))?;
    }
    Ok(options)
}

/// The patches that lead to the version that is wished.
fn patching(make: &Make, wish: &Wish) -> Result<Patching, Failure> {
    let from = make.patch_from.iter().map(|from| {
        let index = match from.strip_prefix('@') {
            Some(_) => make.store.join(format!("{}{from}", wish.name)),
            None => PathBuf::from(from),
        };
        patch::version_in(&locate::find(&index)?, &make.store)
    });
    Ok(Patching { level: make.patch_level, ruler: !make.no_patch, from: from.collect::<Result<_, _>>()? })
}

pub(crate) fn store_failure(store: &Path, error: io::Error) -> Failure {
    // A directory that is missing on the way to the store is no data of it that is missing.
    let exit = if error.kind() == io::ErrorKind::NotFound { Exit::Target } else { io_exit(&error) };
    Failure::new(exit, In { path: store.to_owned(), error })
}

/// Exit code and hint for what kept a version from being published.
pub(crate) fn failure(error: MakeError) -> Failure {
    match &error {
        MakeError::Source(_) => Failure::new(Exit::Source, error),
        MakeError::Store { error: cause, .. } => {
            let exit = io_exit(cause);
            let failure = Failure::new(exit, error);
            if exit == Exit::Space {
                failure.hint("the store is as whole as before; make room and run the same command again")
            } else {
                failure
            }
        }
        MakeError::Index { .. } => Failure::new(Exit::Index, error)
            .hint("nobody can use that index: `chunk verify --set-aside STORE` makes room for it"),
        MakeError::LabelTaken { .. } => Failure::new(Exit::Busy, error).hint("choose another --version"),
        MakeError::ReleaseTaken { .. } => Failure::new(Exit::Busy, error).hint("choose another --release"),
        MakeError::PerhapsLost { .. } => Failure::new(Exit::Busy, error)
            .hint("say which --release it is: that one to restore it, the next one to make it the newest"),
        MakeError::Contended { .. } => Failure::new(Exit::Busy, error).hint("run the same command again"),
        MakeError::Description(_) => Failure::new(Exit::Usage, error),
        MakeError::Cancelled => Failure::new(Exit::Interrupted, error)
            .hint("what is stored already is not stored again next time"),
        _ => Failure::new(Exit::Internal, error),
    }
}

fn io_exit(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Exit::Space
        }
        io::ErrorKind::NotFound => Exit::Missing,
        _ => Exit::Target,
    }
}
