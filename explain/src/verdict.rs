//! Why bytes of a file, or of metadata, are new.

use std::collections::HashMap;
use std::fmt;
use std::io::Read as _;
use std::ops::Range;

use crate::content::{Difference, Failed, Opened, compare, same, same_unfolded};
use crate::cost::{costs, parts_of, unowned};
use crate::layout::{File, Metadata, Owner};
use crate::unfold::Format;
use crate::{ExplainError, Judged, Part};

/// Files of the same length that are compared with one that has no namesake.
const CANDIDATES: usize = 64;
/// Files that are compared take at most this many times the bytes of both images.
const EFFORT: u64 = 4;
/// Bytes that are read at once to find out whether they are zero.
const STEP: u64 = 1 << 16;

/// Why bytes are new.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// There was no such file.
    NewFile,
    /// The file was there under another name.
    Renamed {
        /// That name.
        from: String,
    },
    /// The file is the same, but lies where it shares chunks with what changed.
    Unchanged {
        /// Whether it lies behind another file than before.
        moved: bool,
        /// Whether the file system compresses it, together with others.
        packed: bool,
    },
    /// The file changed, but not what it unfolds to.
    Recompressed(Format),
    /// The file changed.
    Changed {
        /// Bytes that are not where they were, in units of 4 KiB.
        bytes: u64,
        /// How it is compressed.
        format: Option<Format>,
    },
    /// The file was not compared: it is too long, or cannot be read.
    NotCompared,
    /// Metadata, in which these fields changed.
    Fields(Vec<String>),
    /// Metadata that tells of files.
    OfFiles {
        /// Files that have other times than they had.
        touched: u64,
        /// Files whose inodes have other numbers.
        renumbered: u64,
    },
    /// Bytes that need not be there, as many of which are not zero.
    NotZero(u64),
    /// What it is tells why.
    Metadata,
    /// Nothing is known of it.
    Unknown,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewFile => f.write_str("new file"),
            Self::Renamed { from } => write!(f, "same as the old {from}"),
            Self::Unchanged { moved: true, packed: false } => f.write_str("unchanged, at another place"),
            Self::Unchanged { moved: true, packed: true } => {
                f.write_str("unchanged, packed anew at another place")
            }
            Self::Unchanged { moved: false, packed: true } => f.write_str("unchanged, packed anew"),
            Self::Unchanged { moved: false, packed: false } => f.write_str("unchanged, beside what changed"),
            Self::Recompressed(format) => write!(f, "compressed anew with {}, same inside", format.name()),
            Self::Changed { bytes, format: None } => write!(f, "{bytes} bytes changed"),
            Self::Changed { bytes, format: Some(format) } => {
                write!(f, "{bytes} bytes changed, compressed with {}", format.name())
            }
            Self::NotCompared => f.write_str("not compared"),
            Self::Fields(names) if names.is_empty() => f.write_str("changed"),
            Self::Fields(names) => write!(f, "changed: {}", names.join(", ")),
            Self::OfFiles { touched: 0, renumbered: 0 } | Self::Metadata => f.write_str("changed"),
            Self::OfFiles { touched, renumbered: 0 } => write!(f, "{touched} times of files changed"),
            Self::OfFiles { touched: 0, renumbered } => write!(f, "{renumbered} inodes have other numbers"),
            Self::OfFiles { touched, renumbered } => {
                write!(f, "{touched} times of files changed, {renumbered} inodes have other numbers")
            }
            Self::NotZero(bytes) => write!(f, "{bytes} bytes are not zero"),
            Self::Unknown => f.write_str("not read"),
        }
    }
}

/// Two images that are compared.
pub(crate) struct Judge<'a, 'r> {
    a: Opened<'a>,
    b: Opened<'a>,
    regions: &'r [Range<u64>],
    paths: HashMap<String, usize>,
    lens: HashMap<u64, Vec<usize>>,
    /// The file that lies before each, in both.
    before: [HashMap<usize, usize>; 2],
    budget: u64,
}

impl<'a, 'r> Judge<'a, 'r> {
    pub(crate) fn new(a: Opened<'a>, b: Opened<'a>, regions: &'r [Range<u64>]) -> Self {
        let mut paths = HashMap::new();
        let mut lens: HashMap<u64, Vec<usize>> = HashMap::new();
        for (number, file) in a.layout.files.iter().enumerate() {
            paths.entry(file.path.clone()).or_insert(number);
            lens.entry(file.len).or_default().push(number);
        }
        let budget = a.image.len().saturating_add(b.image.len()).saturating_mul(EFFORT);
        let before = [&a, &b].map(predecessors);
        Self { a, b, regions, paths, lens, before, budget }
    }

    /// All owners of new bytes, and why each has them.
    pub(crate) fn parts(&mut self) -> Result<Vec<Judged>, ExplainError> {
        let mut owners: Vec<_> = costs(self.regions, &self.b.layout).into_iter().collect();
        // In the order of the image, blocks that files share are unfolded once.
        owners.sort_by_key(|(owner, _)| match owner {
            Owner::File(file) => self.b.layout.files.get(*file).and_then(|file| self.b.layout.start(file)),
            _ => None,
        });
        let mut parts = Vec::with_capacity(owners.len());
        for (owner, new_bytes) in owners {
            let (name, len, why) = match owner {
                Owner::File(number) => {
                    let file = &self.b.layout.files[number];
                    let (name, len) = (file.path.clone(), Some(file.len));
                    (name, len, self.file(number)?)
                }
                Owner::Metadata(metadata) => {
                    let known = metadata != Metadata::Free || self.b.layout.gaps.is_empty();
                    let name = if known { metadata } else { Metadata::Unknown }.name();
                    (name.to_owned(), None, self.metadata(metadata).map_err(ExplainError::New)?)
                }
                Owner::Shared(_) => unreachable!("what is shared is divided among files"),
            };
            parts.push(Judged { owner, part: Part { name, len, new_bytes, why } });
        }
        Ok(parts)
    }

    fn file(&mut self, number: usize) -> Result<Why, Failed> {
        let file = &self.b.layout.files[number];
        let len = file.len;
        let Some(old) = self.paths.get(&file.path).copied() else { return self.nameless(number, len) };
        let difference = compare(self.a.content(old), self.b.content(number), &mut self.budget)?;
        match difference {
            Difference::Bytes(0) => {
                let path = |opened: &Opened, file: Option<&usize>| {
                    file.map(|file| opened.layout.files[*file].path.clone())
                };
                let [in_a, in_b] = &self.before;
                let moved = path(&self.a, in_a.get(&old)) != path(&self.b, in_b.get(&number));
                Ok(Why::Unchanged { moved, packed: self.b.is_packed(number) })
            }
            Difference::Bytes(bytes) => {
                let format = self.format(number)?;
                if let Some(format) = format
                    && same_unfolded(self.a.content(old), self.b.content(number), format, &mut self.budget)?
                {
                    return Ok(Why::Recompressed(format));
                }
                Ok(Why::Changed { bytes, format })
            }
            Difference::Unreadable | Difference::TooLong => Ok(Why::NotCompared),
        }
    }

    /// A file whose name A has not.
    fn nameless(&mut self, number: usize, len: u64) -> Result<Why, Failed> {
        let candidates = self.lens.get(&len).filter(|_| len > 0);
        for old in candidates.into_iter().flatten().take(CANDIDATES) {
            if same(self.a.content(*old), self.b.content(number), &mut self.budget)? {
                return Ok(Why::Renamed { from: self.a.layout.files[*old].path.clone() });
            }
        }
        Ok(Why::NewFile)
    }

    /// How a file of B is compressed.
    fn format(&mut self, number: usize) -> Result<Option<Format>, Failed> {
        let mut start = Vec::new();
        let mut content = self.b.content(number);
        match content.by_ref().take(8).read_to_end(&mut start) {
            Ok(_) => Ok(Format::of(&start)),
            Err(_) => content.into_failure().map_or(Ok(None), |error| Err(Failed::B(error))),
        }
    }

    fn metadata(&mut self, metadata: Metadata) -> std::io::Result<Why> {
        Ok(match metadata {
            Metadata::Superblock => Why::Fields(self.fields()),
            Metadata::Inodes | Metadata::Headers => {
                let touched = self.files_where(|old, new| old.times != new.times);
                Why::OfFiles { touched, renumbered: self.renumbered() }
            }
            Metadata::Directories => Why::OfFiles { touched: 0, renumbered: self.renumbered() },
            Metadata::Free => Why::NotZero(self.not_zero(&unowned(self.regions, &self.b.layout))?),
            Metadata::Journal => {
                Why::NotZero(self.not_zero(&parts_of(metadata, self.regions, &self.b.layout))?)
            }
            _ => Why::Metadata,
        })
    }

    /// Names of the fields that are not as in A.
    fn fields(&self) -> Vec<String> {
        let old = &self.a.layout.facts;
        let changed = self
            .b
            .layout
            .facts
            .iter()
            .filter(|fact| old.iter().any(|old| old.name == fact.name) && !old.contains(fact));
        changed.map(|fact| fact.name.clone()).collect()
    }

    fn renumbered(&self) -> u64 {
        self.files_where(|old, new| old.inode != new.inode)
    }

    /// How many files are in both images and differ in this way.
    fn files_where(&self, differ: impl Fn(&File, &File) -> bool) -> u64 {
        let files = self.b.layout.files.iter().filter(|file| {
            let old = self.paths.get(&file.path).and_then(|old| self.a.layout.files.get(*old));
            old.is_some_and(|old| differ(old, file))
        });
        files.count() as u64
    }

    /// Bytes of B in these ranges that are not zero.
    fn not_zero(&mut self, ranges: &[Range<u64>]) -> std::io::Result<u64> {
        let mut found = 0;
        for range in ranges {
            let mut at = range.start;
            while at < range.end {
                let end = range.end.min(at.saturating_add(STEP));
                let bytes = self.b.image.get(at..end)?.unwrap_or_default();
                found += bytes.iter().filter(|byte| **byte != 0).count() as u64;
                at = end;
            }
        }
        Ok(found)
    }
}

/// The file that lies before each file of an image.
fn predecessors(opened: &Opened) -> HashMap<usize, usize> {
    let layout = &opened.layout;
    let files = layout.files.iter().enumerate();
    let mut placed: Vec<_> = files.filter_map(|(number, file)| Some((layout.start(file)?, number))).collect();
    placed.sort_unstable();
    placed.windows(2).map(|pair| (pair[1].1, pair[0].1)).collect()
}
