//! What can be typed after `extract`, `plan` and `verify`.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use chunk_extract::{Expected, Options, Tail, Verify};
use chunk_store::line::Version;
use clap::ValueEnum;

use crate::args::with_exit_codes;
use crate::exit::{Exit, Failure};
use crate::network::Network;
use crate::size::Size;

use super::STDOUT;

/// Arguments of `extract`.
#[derive(Debug, clap::Args)]
#[command(after_help = with_exit_codes("\
Examples:
  chunk extract store/image.ext4.cidx
      writes ./image.ext4
  chunk extract --seed /dev/mmcblk0p1 store/image.ext4.cidx /dev/mmcblk0p2
      writes the second slot, and takes from the first what both have
  chunk extract --in-place --state /var/lib/chunk store/image.ext4.cidx /dev/mmcblk0p1
      updates the only slot; whatever it holds already is used

What the target holds is always used. An interrupted run goes on when it is started again."))]
pub struct Extract {
    #[command(flatten)]
    pub(crate) what: What,
    /// Only tell what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write events as JSON lines to this open file descriptor
    #[arg(long, value_name = "N")]
    pub(crate) events_fd: Option<u32>,
    /// Write the report as JSON to this file, also when stdout is the target
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(crate) report: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) settling: Settling,
}

/// What is done once everything is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Settling {
    /// How sure to be of what was written
    #[arg(long, value_enum, default_value = "write")]
    verify: Sureness,
    /// Zero what lies behind the image on a device
    #[arg(long)]
    zero_tail: bool,
    /// Tell a device that nobody needs what lies behind the image; what it reads as then is not known
    #[arg(long, conflicts_with = "zero_tail")]
    discard_tail: bool,
}

impl Settling {
    /// `options` with this, refused if it cannot be done with a target of this kind.
    pub(crate) fn add_to(&self, options: Options, kind: Kind) -> Result<Options, Failure> {
        self.expect_fitting(kind)?;
        Ok(Options { verify: self.verify.into(), tail: self.tail(), ..options })
    }

    /// What becomes of what lies behind the image.
    fn tail(&self) -> Tail {
        match (self.zero_tail, self.discard_tail) {
            (true, _) => Tail::Zero,
            (_, true) => Tail::Discard,
            _ => Tail::Leave,
        }
    }

    /// Refuses what cannot be done with a target of this kind.
    fn expect_fitting(&self, kind: Kind) -> Result<(), Failure> {
        let refused = |message: &str, hint| Err(Failure::new(Exit::Usage, message.to_owned()).hint(hint));
        if self.tail() != Tail::Leave && kind != Kind::Device {
            let option = if self.zero_tail { "--zero-tail" } else { "--discard-tail" };
            return refused(
                &format!("{option} is for block devices"),
                "a file or stream ends where the image does; leave the option out",
            );
        }
        if self.verify == Sureness::Readback && kind == Kind::Stream {
            return refused(
                "--verify readback: standard output cannot be read back",
                "every byte is checked before it is written; who reads the stream verifies what he keeps",
            );
        }
        Ok(())
    }
}

/// Kinds of targets, as far as options differ by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A block device.
    Device,
    /// A regular file, or a new one.
    File,
    /// Standard output.
    Stream,
}

impl Kind {
    /// What `target` is.
    pub(crate) fn of(target: &str) -> Self {
        use std::os::unix::fs::FileTypeExt;
        if target == STDOUT {
            return Self::Stream;
        }
        let is_device = |metadata: Metadata| metadata.file_type().is_block_device();
        if Path::new(target).metadata().is_ok_and(is_device) { Self::Device } else { Self::File }
    }
}

impl What {
    /// What the target is, as far as that is known before the index is read.
    pub(crate) fn likely_target(&self) -> Option<String> {
        if let Some(target) = &self.target {
            return Some(target.display().to_string());
        }
        let name = self.index.file_name()?.to_str()?;
        let version = Version::from_file_name(name);
        Some(version.map_or_else(|| name.to_owned(), |version| version.name.to_string()))
    }

    /// Refuses indexes that are of no seed, and tells what has no effect on a target of this kind.
    pub(crate) fn expect_fitting(&self, kind: Kind) -> Result<Vec<&'static str>, Failure> {
        let own = usize::from(kind != Kind::Stream);
        if self.seed_index.len() > self.seed.len() + own {
            let message = format!(
                "--seed-index is given {} times, for {} seeds",
                self.seed_index.len(),
                self.seed.len()
            );
            return Err(Failure::new(Exit::Usage, message)
                .hint("one for each --seed, in their order, and one for what the target holds"));
        }
        let idle = [
            (
                self.force && kind == Kind::Device,
                "--force has no effect on a device: it is written where it lies",
            ),
            (self.force && kind == Kind::Stream, "--force has no effect on standard output"),
            (self.in_place && kind == Kind::Stream, "--in-place has no effect on standard output"),
        ];
        Ok(idle.into_iter().filter_map(|(is_idle, told)| is_idle.then_some(told)).collect())
    }
}

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = with_exit_codes("\
Example:
  chunk plan --seed /dev/mmcblk0p1 store/image.ext4.cidx /dev/mmcblk0p2"))]
pub struct Plan {
    #[command(flatten)]
    pub(crate) what: What,
    /// Tell what every way would download, not only the cheapest
    #[arg(long)]
    pub(crate) ways: bool,
    #[command(flatten)]
    pub(crate) settling: Settling,
}

/// Arguments of `pull`.
#[derive(Debug, clap::Args)]
#[command(after_help = with_exit_codes("\
Example:
  chunk pull --cache /var/cache/chunk --seed /dev/mmcblk0p1 https://cdn.example.com/os/image.ext4.cidx /dev/mmcblk0p2
      and later the same with extract instead of pull: then hardly anything is left to be downloaded"))]
pub struct Pull {
    #[command(flatten)]
    pub(crate) what: What,
}

/// What to make, from what, and where.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that can be typed")]
pub(crate) struct What {
    /// Index: a file, a file's path with @LABEL or @ID, or a URL
    pub(crate) index: PathBuf,
    /// File, block device, or - for stdout; the image's own name by default
    pub(crate) target: Option<PathBuf>,
    /// Something that may hold parts of the image: a file, device, directory, index with its store, or - for
    /// stdin; a part of it as PATH@OFFSET+LENGTH
    #[arg(long, value_name = "PATH")]
    pub(crate) seed: Vec<String>,
    /// Index of what the seed holds, in the order of the seeds; without seeds, of what the target holds
    #[arg(long, value_name = "INDEX")]
    pub(crate) seed_index: Vec<PathBuf>,
    /// Use no seed, not even what the target holds
    #[arg(long, conflicts_with_all = ["seed", "seed_index"])]
    pub(crate) no_seed: bool,
    /// Use no patches
    #[arg(long)]
    pub(crate) no_patch: bool,
    /// Directory where the device remembers what it installed
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Update an existing file where it lies
    #[arg(long, conflicts_with = "force")]
    pub(crate) in_place: bool,
    /// Replace an existing file when the new one is complete
    #[arg(long)]
    pub(crate) force: bool,
    /// The only version to accept: its id, or the BLAKE3 of its image
    #[arg(long, value_name = "blake3:HEX", value_parser = expected)]
    pub(crate) expect: Option<Expected>,
    /// Do nothing if more than this would be downloaded
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_download: Option<Size>,
    /// About how much memory to use
    #[arg(long, default_value = "64MiB", value_name = "SIZE")]
    pub(crate) memory: Size,
    /// Worker threads; one for each processor by default
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
    #[command(flatten)]
    pub(crate) network: Network,
}

/// How sure to be of what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sureness {
    /// Read everything back from the medium and hash it
    Readback,
    /// Wait until the medium has confirmed everything
    Write,
    /// Do not wait for the medium
    Off,
}

impl From<Sureness> for Verify {
    fn from(sureness: Sureness) -> Self {
        match sureness {
            Sureness::Readback => Self::ReadBack,
            Sureness::Write => Self::Write,
            Sureness::Off => Self::Off,
        }
    }
}

pub(crate) fn expected(text: &str) -> Result<Expected, String> {
    let hex = text.strip_prefix("blake3:").unwrap_or(text);
    let name: chunk_chunker::Name = hex.parse().map_err(|error| format!("{error}"))?;
    Ok(Expected(*name.as_bytes()))
}
