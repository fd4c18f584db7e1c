//! The power cuts that a run is to survive: all its flushes, and chance between them.

use std::path::{Path, PathBuf};

use chunk_testing::{Cut, Numbers, Requests, scratch};
use tempfile::TempDir;

/// The power cuts of one run.
pub(crate) struct Cuts<'r> {
    requests: &'r Requests,
    /// How many requests were confirmed when the run claimed success.
    claimed: usize,
    seed: u64,
    /// Bytes that the disk writes wholly or not at all.
    sector: u64,
    files: TempDir,
}

/// A disk after a power cut.
pub(crate) struct Crash<'a> {
    /// The file with what it holds.
    pub(crate) disk: &'a Path,
    /// Whether the run claimed success before the power failed.
    pub(crate) claimed: bool,
    /// Whether nothing was on its way to the disk when it failed.
    pub(crate) is_quiet: bool,
    /// How to find this cut again.
    pub(crate) name: String,
}

impl<'r> Cuts<'r> {
    pub(crate) fn new(requests: &'r Requests, claimed: usize, sector: u64, usual_seed: u64) -> Self {
        let files = scratch().expect("a temporary directory");
        Self { requests, claimed, seed: Numbers::seed_or(usual_seed), sector, files }
    }

    /// Calls `test` with the disk after each flush, or after about `most` of them if there are more, and with disks
    /// between that flush and the next: one where later writes came first, and `torn` others.
    pub(crate) fn each(&self, most: usize, torn: usize, mut test: impl FnMut(&Crash<'_>)) {
        let mut numbers = Numbers::from_seed(self.seed);
        let flushes = self.requests.flushes();
        let last = flushes.len() - 1;
        let claimed = flushes.iter().position(|flush| flush.whole == self.claimed);
        let claimed = claimed.expect("success is claimed after a flush");
        let mut left = most;
        for (number, flush) in flushes.iter().enumerate() {
            let is_chosen = numbers.below((last - number) as u64 + 1) < left as u64;
            // What happens just before success is claimed is tried in any case.
            if !is_chosen && !(number..number + 4).contains(&claimed) {
                continue;
            }
            left = left.saturating_sub(1);
            let between = format!("between flush {number} of {last} and the next");
            self.test(flush, &format!("after flush {number} of {last}"), &mut test);
            self.test(&self.requests.reorder(flush), &format!("in the wrong order {between}"), &mut test);
            for tear in 0..torn {
                let cut = self.requests.tear(flush, self.sector, &mut numbers);
                self.test(&cut, &format!("{tear} {between}"), &mut test);
            }
        }
    }

    fn test(&self, cut: &Cut, name: &str, test: &mut impl FnMut(&Crash<'_>)) {
        let disk: PathBuf = self.files.path().join("disk");
        self.requests.restore(cut, &disk).expect("the log can be read");
        let name = format!("cut {name}, CHUNK_TEST_SEED={}", self.seed);
        test(&Crash { disk: &disk, claimed: cut.whole >= self.claimed, is_quiet: cut.is_quiet(), name });
        std::fs::remove_file(disk).expect("it was made above");
    }
}
