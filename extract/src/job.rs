//! The one call: what goes in, what is told on the way, what comes out.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use chunk_fetch::{Source, Spent};
use chunk_index::{Index, LeafList, VersionId};

use crate::ReadError;
use crate::demand::Demand;
use crate::error::IndexError;
use crate::known::KnownImage;
use crate::plan::{Limits, Totals};
use crate::recipe::Fetched;
use crate::seed::Seed;
use crate::state::State;
use crate::target::{Cleared, Destination, Tail, TargetError};

/// An image to make, from what, and where.
pub struct Job<'a> {
    /// The store that the index lies in.
    pub source: &'a dyn Source,
    /// Which version.
    pub version: Version,
    /// What the device holds, in order of preference. What the target holds is used in any case.
    pub seeds: Vec<SeedPart>,
    /// The chunks of what the target holds, if somebody knows them.
    pub own_lists: Option<Vec<LeafList>>,
    /// Where the device remembers what it installed.
    pub state: Option<State>,
    /// Where the image is to go.
    pub destination: Destination,
    /// How.
    pub options: Options,
    /// Who is told.
    pub observer: &'a dyn Observer,
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("version", &self.version)
            .field("seeds", &self.seeds)
            .field("destination", &self.destination)
            .finish_non_exhaustive()
    }
}

/// The version to make.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each job")]
pub enum Version {
    /// An index that is here already.
    Index(Index<Vec<u8>>),
    /// The index of this name in the store; only what is needed of it is fetched.
    Object(String),
}

/// A seed, and what is said of its chunks.
#[derive(Debug)]
pub struct SeedPart {
    /// The seed.
    pub seed: Seed,
    /// Its chunks from its first byte on, if somebody knows them: then it is not scanned unless they are wrong.
    pub lists: Option<Vec<LeafList>>,
    /// The image that it was once, if somebody knows that: then patches may start from it although it has changed a little.
    pub image: Option<KnownImage>,
}

impl From<Seed> for SeedPart {
    /// A seed of which nothing is said.
    fn from(seed: Seed) -> Self {
        Self { seed, lists: None, image: None }
    }
}

/// How to work. The default suits a small device.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Options {
    /// Threads that cut, hash and put together.
    pub threads: usize,
    /// Requests at a time.
    pub connections: usize,
    /// Bounds of the plan.
    pub limits: Limits,
    /// Most bytes that may be downloaded.
    pub max_download: Option<u64>,
    /// How sure to be of what was written.
    pub verify: Verify,
    /// What becomes of what lies behind the image on a device.
    pub tail: Tail,
    /// Compare with the version what the medium of the target holds, not what the system keeps of it in memory.
    pub from_medium: bool,
    /// The only version to accept.
    pub expect: Option<Expected>,
    /// Do not use what the target holds.
    pub ignore_target: bool,
    /// Use patches where a seed is the image that one starts from.
    pub patches: bool,
    /// Tell of all ways to the image, not only of those that were looked at until one did. It takes the heads of their
    /// patches, and is for who only plans.
    pub ways: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            connections: 4,
            limits: Limits::default(),
            max_download: None,
            verify: Verify::Write,
            tail: Tail::Leave,
            from_medium: false,
            expect: None,
            ignore_target: false,
            patches: true,
            ways: false,
        }
    }
}

/// How sure to be of what was written. Every block is compared with the version's identity before it is
/// written, whatever is chosen here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Do not even wait until the medium has it.
    Off,
    /// The medium has confirmed it.
    Write,
    /// It was read back from the medium and hashed.
    ReadBack,
}

/// What a version is pinned to: its id, or the BLAKE3 of its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected(pub [u8; 32]);

/// Hears what goes on, from any thread.
pub trait Observer: Sync {
    /// Something has advanced.
    fn progress(&self, progress: &Progress) {
        let _ = progress;
    }

    /// Something is not as it should be, and costs no more than time or download.
    fn notice(&self, notice: &Notice<'_>) {
        let _ = notice;
    }

    /// Whether to stop. Asked often.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Hears nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {}

/// How far the work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Comparing what the target holds.
    Checking {
        /// Bytes compared.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// Looking for chunks in the seeds.
    Scanning {
        /// Bytes looked through.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// Writing.
    Writing {
        /// Bytes of the image that are done.
        done: u64,
        /// Of those that had to be.
        total: u64,
    },
    /// Reading what the store has, to be kept.
    Pulling {
        /// Bytes read.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// Waiting for the medium.
    Flushing,
    /// Clearing what lies behind the image.
    Clearing {
        /// Bytes looked at.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// Reading back.
    ReadingBack {
        /// Bytes read.
        done: u64,
        /// Of how many.
        total: u64,
    },
}

/// Something that costs no more than time or download.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// A seed cannot be read in some place.
    Unreadable {
        /// What the seed is called.
        seed: &'a str,
        /// Where.
        range: Range<u64>,
        /// Why.
        error: &'a std::io::Error,
    },
    /// What was said of a seed's chunks is not so; it is scanned.
    Stale {
        /// What the seed is called.
        seed: &'a str,
    },
    /// A patch does not lead to the image; frames do.
    Unpatched {
        /// Which patch.
        patch: &'a str,
        /// Why.
        error: &'a (dyn std::error::Error + 'static),
    },
    /// What was installed could not be remembered.
    Forgotten {
        /// Why.
        error: &'a std::io::Error,
    },
    /// Something in the state directory that is out of date could not be removed.
    Leftover {
        /// Why.
        error: &'a std::io::Error,
    },
    /// An update in place goes on without a journal.
    Unjournaled {
        /// Bytes that a power cut may cost in downloads.
        bytes: u64,
        /// Why.
        error: &'a std::io::Error,
    },
    /// What was written reads back as something else. It is fetched, and written once more.
    Rewritten {
        /// Where: whole blocks, neighbours joined.
        ranges: &'a [Range<u64>],
    },
    /// What lies behind the image could not be discarded.
    Undiscarded {
        /// Why.
        error: &'a std::io::Error,
    },
    /// What is about to be done.
    Planned(&'a Totals),
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Report {
    /// The version.
    pub id: VersionId,
    /// What the plan was.
    pub totals: Totals,
    /// What the seeds are called, by number.
    pub seeds: Vec<String>,
    /// Bytes written: less than planned where they were there already.
    pub written: u64,
    /// Bytes fetched beyond the plan, because seeds were not what they seemed.
    pub late: u64,
    /// What of the index was fetched.
    pub index: Fetched,
    /// What the source has counted; nothing if it does not count.
    pub spent: Spent,
    /// Bytes of memory that recipe, places and plan took.
    pub memory: u64,
    /// What the work takes at most.
    pub demand: Demand,
    /// The parts of the image that the target does not hold, or did not: whole blocks, neighbours joined.
    pub wrong: Vec<Range<u64>>,
    /// The ways by patches that start from seeds and that the store has, one of which may have been taken. Those that were
    /// not looked at are missing, unless [`Options::ways`] asks for them.
    pub ways: Vec<WayCost>,
    /// Bytes that a file has behind the image, or had: they are cut off.
    pub surplus: u64,
    /// What became, or will become, of what a device has behind the image.
    pub cleared: Cleared,
    /// Where is kept for a while what does not fit into memory.
    pub scratch: PathBuf,
    /// How long each part took.
    pub seconds: Phases,
}

/// A way by patches, as the index tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WayCost {
    /// The number of the seed that it starts from.
    pub seed: u16,
    /// Whether that has changed since it was what patches start from.
    pub is_changed: bool,
    /// How many patches there are.
    pub patches: u64,
    /// All their bytes; some of them may not be needed.
    pub bytes: u64,
}

/// How long each part took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Phases {
    /// Comparing the target.
    pub check: Duration,
    /// Scanning seeds.
    pub scan: Duration,
    /// Fetching the index and planning.
    pub plan: Duration,
    /// Fetching, putting together, writing.
    pub write: Duration,
    /// Waiting for the medium and reading back.
    pub settle: Duration,
}

/// Why there is no image, or none that is certain.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExtractError {
    /// The index.
    Index(IndexError),
    /// It is another version than the one expected.
    Unexpected {
        /// What was found.
        id: VersionId,
    },
    /// The target.
    Target(TargetError),
    /// The store.
    Store(ReadError),
    /// More would have to be downloaded than allowed.
    TooMuch {
        /// Bytes needed.
        needed: u64,
        /// Bytes allowed.
        allowed: u64,
    },
    /// The observer wanted it so. What was written stays, and running again continues.
    Cancelled,
}

impl std::fmt::Display for ExtractError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Index(error) => error.fmt(f),
            Self::Unexpected { id } => write!(f, "this is version {id}, not the one expected"),
            Self::Target(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::TooMuch { needed, allowed } => {
                write!(f, "{needed} bytes would be downloaded, {allowed} are allowed")
            }
            Self::Cancelled => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for ExtractError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Index(error) => error.source(),
            Self::Target(error) => error.source(),
            Self::Store(error) => error.source(),
            _ => None,
        }
    }
}

impl From<IndexError> for ExtractError {
    fn from(error: IndexError) -> Self {
        Self::Index(error)
    }
}

impl From<TargetError> for ExtractError {
    fn from(error: TargetError) -> Self {
        Self::Target(error)
    }
}

impl From<ReadError> for ExtractError {
    fn from(error: ReadError) -> Self {
        Self::Store(error)
    }
}
