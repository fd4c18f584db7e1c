//! Where to keep for a while what does not fit into memory: what patches make on their way, or a seed from a pipe.
//!
//! It is a directory that the caller has named, for the state or for the target, before any that the system has; and of
//! these one on a disk before one in memory, where what is kept is only memory under another name.

use std::io;
use std::path::{Path, PathBuf};

use crate::demand::for_file;
use crate::filesystem::{kind_of, nearest};
use crate::job::{Job, Notice};
use crate::plan::{Limits, Totals};
use crate::state::State;
use crate::survey::Survey;
use crate::target::{directory_of, is_device};

/// File systems whose files are memory.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

/// A directory for what is kept for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scratch {
    /// Which.
    pub directory: PathBuf,
    /// Bytes there is room for, as far as may be used.
    pub room: u64,
}

impl Scratch {
    /// The directory to use with a state directory and for a target, if there are such.
    pub fn choose(state: Option<&Path>, target: Option<&Path>, limits: &Limits) -> Self {
        let target = target.filter(|target| !is_device(target)).map(directory_of);
        let own = std::env::var_os("TMPDIR").filter(|directory| !directory.is_empty()).map(PathBuf::from);
        let systems = || own.into_iter().chain(["/var/tmp", "/tmp"].map(PathBuf::from));
        let named = state.or(target).map(Path::to_owned);
        let candidates: Vec<_> = named.map_or_else(|| systems().collect(), |named| vec![named]);
        let mut best: Option<Self> = None;
        for directory in candidates {
            let room = room_in(&directory, limits.scratch_in_memory);
            if best.as_ref().is_none_or(|best| best.room < room.min(limits.scratch)) {
                best = Some(Self { directory, room });
            }
        }
        best.expect("there is one candidate at least")
    }

    /// The same without the room for `bytes` more of a file at `target`, if that lies in the same file system.
    #[must_use]
    pub fn leaving(self, bytes: u64, target: Option<&Path>) -> Self {
        let target = target.filter(|target| !is_device(target)).map(directory_of);
        let taken = match target {
            Some(target) if is_same_disk(&self.directory, target) => bytes,
            _ => 0,
        };
        Self { room: self.room.saturating_sub(taken), ..self }
    }
}

/// Bytes there is room for in `directory`, or where it would be made; no more than `in_memory` if that is memory.
fn room_in(directory: &Path, in_memory: u64) -> u64 {
    let there = nearest(directory);
    let Ok(space) = rustix::fs::statvfs(there) else { return 0 };
    let room = space.f_bavail.saturating_mul(space.f_frsize);
    match kind_of(there).as_deref() {
        // It does not tell how much it can hold.
        Some("ramfs") => in_memory,
        Some(kind) if IN_MEMORY.contains(&kind) => room.min(in_memory),
        _ => room,
    }
}

impl Job<'_> {
    /// Where to keep what does not fit into memory.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.choose_scratch().directory
    }

    fn choose_scratch(&self) -> Scratch {
        let state = self.state.as_ref().map(State::directory);
        Scratch::choose(state, self.path().as_deref(), &self.options.limits)
    }

    /// Whether what a way keeps for a while has room beside what the target takes more; tells if it has not.
    pub(crate) fn has_scratch_room(
        &self,
        patch: &str,
        survey: &Survey,
        totals: &Totals,
        needed: u64,
    ) -> bool {
        if needed == 0 {
            return true;
        }
        let scratch = self.choose_scratch().leaving(for_file(survey, totals), self.path().as_deref());
        let (directory, room) = (scratch.directory, scratch.room.min(self.options.limits.scratch));
        if needed > room {
            let why = format!("it needs {needed} bytes in {}, and may use {room}", directory.display());
            let error = io::Error::new(io::ErrorKind::StorageFull, why);
            self.observer.notice(&Notice::Unpatched { patch, error: &error });
        }
        needed <= room
    }
}

fn is_same_disk(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| nearest(path).metadata().map(|metadata| metadata.dev()).ok();
    device(one).is_some_and(|one| Some(one) == device(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_has_named_comes_before_what_the_system_has() {
        let limits = Limits::default();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (state, target) = (directory.path().join("state"), directory.path().join("image"));
        let choose = |state, target| Scratch::choose(state, target, &limits).directory;
        assert_eq!(choose(Some(&state), Some(&target)), state, "though it is not made yet");
        assert_eq!(choose(None, Some(&target)), directory.path());
        let systems = choose(None, None);
        assert!(systems.is_dir() && systems != directory.path(), "{}", systems.display());
    }

    #[test]
    fn of_a_file_system_in_memory_no_more_is_used_than_of_memory() {
        let memory = Path::new("/dev/shm");
        if kind_of(memory).as_deref() != Some("tmpfs") {
            return;
        }
        assert!(room_in(memory, 5000) <= 5000);
        assert!(room_in(memory, u64::MAX) > 5000, "it is larger than that");
        assert_eq!(room_in(Path::new("/proc/none"), 5000), 0);
    }
}
