//! What can be typed.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::exit::Exit;
pub use crate::extract::{Extract, Plan, Pull};
use crate::network::Network;
pub use crate::serve::{Proxy, Serve};
use crate::size::Size;

/// Publish disk images as chunks that any static file server can serve
#[derive(Debug, Parser)]
#[command(name = "chunk", version, after_help = Exit::TABLE, max_term_width = 100)]
pub struct Args {
    /// Print the answer as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Print nothing but the answer
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Publish images as versions of a store
    Make(Make),
    /// Tell what an index says
    Info(Info),
    /// List the versions of a store
    List(List),
    /// Tell what a device that holds A would download to reach B
    Diff(Diff),
    /// Tell which files are new in B, why, and what another build of it would save
    Explain(Explain),
    /// Add a patch between two published versions
    Patch(Patch),
    /// Hash again all that a store or an index leads to
    Verify(Verify),
    /// Rebuild an image from what is there and what the store holds
    Extract(Extract),
    /// Tell what an extraction would take
    Plan(Plan),
    /// Fetch ahead what an extraction would download
    Pull(Pull),
    /// Serve a store to devices
    Serve(Serve),
    /// Serve an image that is rebuilt while it is downloaded
    Proxy(Proxy),
    /// Write an image, or a part of it, to stdout
    Cat(Cat),
    /// Write shell completions or manual pages
    #[command(hide = true)]
    Generate(Generate),
}

impl Command {
    /// Whether a device runs it, which has little memory.
    pub fn is_for_devices(&self) -> bool {
        matches!(
            self,
            Self::Verify(_)
                | Self::Extract(_)
                | Self::Plan(_)
                | Self::Pull(_)
                | Self::Proxy(_)
                | Self::Cat(_)
        )
    }
}

/// Arguments of `make`.
#[derive(Debug, clap::Args)]
#[command(after_help = with_exit_codes("\
Example:
  chunk make image.ext4
      writes store/image.ext4.cidx, store/image.ext4@1.cidx and store/packs/

A version is known by its line (--name) and its label (--version). A label never changes its image."))]
pub struct Make {
    /// Images: files, block devices, or - for stdin
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// Directory of the store
    #[arg(long, default_value = "store", value_name = "DIR")]
    pub store: PathBuf,
    /// Name of the line; the image's own by default
    #[arg(long)]
    pub name: Option<String>,
    /// Label of the version; the number of the release by default
    #[arg(long, value_name = "LABEL")]
    pub version: Option<String>,
    /// Release of the version; the line's next by default, and a lower one restores a lost version
    #[arg(long, value_name = "N")]
    pub release: Option<NonZeroU64>,
    /// Say in the record which devices the image is for
    #[arg(long, value_name = "WHAT")]
    pub compatible: Option<String>,
    /// Say in the record which architecture the image is for
    #[arg(long)]
    pub arch: Option<String>,
    /// Put any KEY=VALUE into the record
    #[arg(long, value_name = "KEY=VALUE")]
    pub annotate: Vec<String>,
    /// Put the image's SHA-256 into the record too
    #[arg(long)]
    pub sha256: bool,
    /// zstd's level for new chunks
    #[arg(long, default_value_t = chunk_publisher::DEFAULT_LEVEL, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-7..=22))]
    pub level: i32,
    /// Average length of a chunk, a power of two
    #[arg(long, value_name = "SIZE")]
    pub chunk_size: Option<Size>,
    /// Plain bytes that are compressed together
    #[arg(long, value_name = "SIZE")]
    pub frame_size: Option<Size>,
    /// Patch from this version, too: an index of the store, or @LABEL for one of the same line
    #[arg(long, value_name = "INDEX|@LABEL")]
    pub patch_from: Vec<String>,
    /// Make no patches from the releases before
    #[arg(long)]
    pub no_patch: bool,
    /// How hard to try to make patches small, on the scale of zstd's levels
    #[arg(long, default_value_t = chunk_publisher::DEFAULT_PATCH_LEVEL, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=22))]
    pub patch_level: u8,
    /// Worker threads; one for each processor by default
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
}

/// Arguments of `patch`.
#[derive(Debug, clap::Args)]
#[command(after_help = with_exit_codes("\
Example:
  chunk patch store/image.ext4@1.cidx store/image.ext4.cidx
      devices with version 1 then fetch the patch instead of all chunks that changed

Both images are read from the store. `make` publishes patches from the releases before by itself."))]
pub struct Patch {
    /// Index of the version that devices have
    pub old: PathBuf,
    /// Index of the version they are to have, in the same store
    pub new: PathBuf,
    /// How hard to try to make the patch small, on the scale of zstd's levels
    #[arg(long, default_value_t = 19, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=22))]
    pub level: u8,
    /// Worker threads; one for each processor by default
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
}

/// Arguments of `info`.
#[derive(Debug, clap::Args)]
#[command(after_help = Exit::TABLE)]
pub struct Info {
    /// Index: a file, or a file's path with @LABEL or @ID
    pub index: PathBuf,
}

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
#[command(after_help = Exit::TABLE)]
pub struct List {
    /// Directory of the store
    #[arg(default_value = "store", value_name = "STORE")]
    pub store: PathBuf,
}

/// Arguments of `diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = with_exit_codes("\
Example:
  chunk diff /dev/mmcblk0p1 store/image.ext4.cidx"))]
pub struct Diff {
    /// What the device holds: an index, or any file or block device
    pub a: PathBuf,
    /// The index it wants
    pub b: PathBuf,
    /// Print each region of the image that is missing
    #[arg(long)]
    pub regions: bool,
    /// For the costs by chunks alone (--json): fetch frames together that lie at most this far apart
    #[arg(long, default_value = "64KiB", value_name = "SIZE")]
    pub gap: Size,
}

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = with_exit_codes("\
Example:
  chunk explain store/image.ext4@1.0.cidx store/image.ext4.cidx

Names the files of ext4, squashfs and tar, also in the partitions of a disk. A file pays for its bytes in all chunks
that A has not, so it may pay for a neighbour that changed. `diff` tells what the download is."))]
pub struct Explain {
    /// What the device holds: an index, or any file or block device
    pub a: PathBuf,
    /// The index it wants
    pub b: PathBuf,
    /// List so many files and kinds of metadata
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub limit: usize,
}

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = with_exit_codes("\
Examples:
  chunk verify --repair /dev/mmcblk0p2 https://cdn.example.com/os/image.ext4.cidx
      fetches and rewrites the blocks that are not the image's, and tells which they were
  chunk verify --set-aside store && chunk make --version 1.0 image.ext4
      mends version 1.0: what is damaged makes room, and what the image lacks then is stored again

What is set aside keeps its bytes in a file of the same name with .damaged behind it."))]
pub struct Verify {
    /// Directory of a store, or an index; with INDEX, a file or device that should be its image
    #[arg(default_value = "store", value_name = "STORE|INDEX|TARGET")]
    pub what: PathBuf,
    /// The index that a file or device is compared with: a file, a file's path with @LABEL or @ID, or a URL
    pub index: Option<PathBuf>,
    /// Rewrite what is wrong in the file or device
    #[arg(long, requires = "index")]
    pub repair: bool,
    /// Rename damaged packs, patches and indexes of a STORE, so that `make` stores them again
    #[arg(long, conflicts_with = "index")]
    pub set_aside: bool,
    /// How the store of INDEX is asked
    #[command(flatten)]
    pub(crate) network: Network,
}

/// Arguments of `cat`.
#[derive(Debug, clap::Args)]
#[command(after_help = Exit::TABLE)]
pub struct Cat {
    /// Index: a file, or a file's path with @LABEL or @ID
    pub index: PathBuf,
    /// First byte to write
    #[arg(long, default_value = "0", value_name = "SIZE")]
    pub offset: Size,
    /// Bytes to write; all to the end by default
    #[arg(long, value_name = "SIZE")]
    pub length: Option<Size>,
}

/// Arguments of `generate`.
#[derive(Debug, clap::Args)]
#[command(after_help = Exit::TABLE)]
pub struct Generate {
    /// What to write: `man`, or the completions of a shell: `bash`, `fish`, `zsh`, `elvish`, `powershell`
    pub what: String,
    /// Where to write it
    #[arg(default_value = ".", value_name = "DIR")]
    pub directory: PathBuf,
}

/// Help that ends with the exit codes, as that of every verb does.
pub(crate) fn with_exit_codes(help: &str) -> String {
    format!("{help}\n\n{}", Exit::TABLE)
}
