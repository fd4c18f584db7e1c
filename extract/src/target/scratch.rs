//! Sharing extents with a seed that may change at any moment.
//!
//! To compare the seed's bytes and then share them would be to share what was never compared: somebody may write
//! to the seed in between. To share first and compare then puts unchecked bytes into the target, where a power cut
//! may leave them. So the extents are shared with a file that nobody else can open, compared there, and shared with
//! the target from there. Nothing is copied on the way, and the target never holds a byte that was not compared.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use rustix::fs::OFlags;

use crate::target::ioctl;

/// A file without a name on the target's file system, made when it is needed first.
#[derive(Debug)]
pub(super) struct Scratch {
    directory: PathBuf,
    file: Option<io::Result<File>>,
    held: Vec<u8>,
}

impl Scratch {
    /// One in `directory`.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, file: None, held: Vec::new() }
    }

    /// Lets `target` share at `at` what `seed` has at `offset`, if that is `wanted`, which is whole pages.
    ///
    /// After an error the target is as it was.
    pub(super) fn share(
        &mut self,
        seed: &File,
        offset: u64,
        wanted: &[u8],
        target: &File,
        at: u64,
    ) -> io::Result<()> {
        let open = || {
            let flags = i32::try_from(OFlags::TMPFILE.bits()).map_err(io::Error::other)?;
            File::options().read(true).write(true).custom_flags(flags).mode(0o600).open(&self.directory)
        };
        let file = self.file.get_or_insert_with(open).as_ref().map_err(io::Error::kind)?;
        let len = wanted.len() as u64;
        ioctl::clone_range(seed, offset, len, file, 0)?;
        self.held.resize(wanted.len(), 0);
        let read = file.read_exact_at(&mut self.held, 0);
        let shared = read.and_then(|()| {
            if self.held != wanted {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the seed has changed"));
            }
            ioctl::clone_range(file, 0, len, target, at)
        });
        // Its pages need not stay in memory, nor its extents on the disk.
        let _ = file.set_len(0);
        shared
    }
}

#[cfg(test)]
mod tests {
    use chunk_testing::{Disk, FileSystem};

    use super::*;

    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    /// Shares the second 64 KiB of a seed that holds `held` there, where `wanted` is asked for.
    fn share(disk: &Disk, held: &[u8], wanted: &[u8]) -> (io::Result<()>, Vec<u8>) {
        let open = |name: &str| {
            File::options().read(true).write(true).create(true).truncate(true).open(disk.root().join(name))
        };
        let (seed, target) = (open("seed").expect("a file"), open("target").expect("a file"));
        seed.write_all_at(held, 1 << 16).expect("written");
        seed.sync_all().expect("synced");
        target.set_len(1 << 20).expect("a hole");
        let shared = Scratch::new(disk.root()).share(&seed, 1 << 16, wanted, &target, 1 << 17);
        let mut found = vec![0; 1 << 20];
        target.read_exact_at(&mut found, 0).expect("readable");
        (shared, found)
    }

    #[test]
    fn what_is_wanted_is_shared_and_anything_else_never_reaches_the_target() {
        for kind in [FileSystem::Btrfs, FileSystem::Xfs] {
            let Some(disk) = Disk::of(kind, 320 << 20) else { continue };
            let wanted = noise(1, 1 << 16);
            let (shared, found) = share(&disk, &wanted, &wanted);
            shared.expect("this file system can share");
            assert!(found[1 << 17..][..1 << 16] == wanted, "{kind:?}");
            let mut changed = wanted.clone();
            changed[40_000] ^= 1;
            let (refused, found) = share(&disk, &changed, &wanted);
            assert_eq!(refused.expect_err("it has changed").kind(), io::ErrorKind::InvalidData);
            assert!(found.iter().all(|byte| *byte == 0), "{kind:?}: not even for a moment");
        }
    }

    #[test]
    fn a_file_system_that_cannot_share_says_so_and_the_target_stays_as_it_was() {
        let Some(disk) = Disk::of(FileSystem::Ext4, 16 << 20) else { return };
        let wanted = noise(1, 1 << 16);
        let (refused, found) = share(&disk, &wanted, &wanted);
        refused.expect_err("ext4 shares nothing");
        assert!(found.iter().all(|byte| *byte == 0));
    }
}
