//! Images that the tools of their formats make of a directory.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use chunk_explain::ReadAt;
use tempfile::TempDir;

/// The environment variable that makes it an error when a tool is missing.
const REQUIRED: &str = "CHUNK_REQUIRE_SYSTEM_TESTS";

/// An image in memory.
#[derive(Clone)]
pub(crate) struct Image(pub(crate) Vec<u8>);

impl Image {
    /// All of it, as the only region.
    pub(crate) fn whole(&self) -> Vec<Range<u64>> {
        std::iter::once(0..self.0.len() as u64).collect()
    }
}

impl ReadAt for Image {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        let start = usize::try_from(offset).expect("the image is in memory");
        buffer.copy_from_slice(&self.0[start..][..buffer.len()]);
        Ok(())
    }
}

/// A directory of files to make images of.
pub(crate) struct Tree {
    directory: TempDir,
}

impl Tree {
    /// A tree with small and large files, directories, a link, and names that are not short.
    pub(crate) fn new() -> Self {
        let tree = Self { directory: tempfile::tempdir().expect("a temporary directory can be made") };
        for number in 0..40_u8 {
            tree.write(&format!("etc/conf.d/{number:02}.conf"), &noise(u64::from(number), 700));
        }
        tree.write("usr/lib/large.bin", &noise(100, 900_000));
        tree.write("usr/lib/odd.bin", &noise(101, 300_001));
        tree.write(&format!("usr/share/{}/{}", "d".repeat(90), "f".repeat(90)), &noise(102, 5000));
        tree.write("empty", b"");
        std::os::unix::fs::symlink("usr/lib/large.bin", tree.root().join("link")).expect("links can be made");
        tree
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// Writes a file, with a time that is always the same.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("it is in the tree")).expect("directories can be made");
        fs::write(&path, bytes).expect("the tree can be written");
        self.touch(&path, 1_600_000_000);
    }

    pub(crate) fn touch(&self, path: &Path, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let file = File::options().write(true).open(self.root().join(path)).expect("the file is there");
        file.set_modified(time).expect("times can be set");
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.root().join(from), self.root().join(to)).expect("the file is there");
    }

    /// An ext4 of 16 MiB; `features` go to mkfs.
    pub(crate) fn ext4(&self, features: &[&str]) -> Option<Image> {
        let image = self.directory.path().join("ext4.img");
        let _ = fs::remove_file(&image);
        let uuid = "11111111-2222-3333-4444-555555555555";
        let fixed = ["-q", "-F", "-U", uuid, "-b", "4096"].map(OsStr::new);
        let root = self.root();
        let rest = [OsStr::new("-d"), root.as_os_str(), image.as_os_str(), OsStr::new("16M")];
        let features = features.iter().map(OsStr::new);
        Self::made("mkfs.ext4", fixed.into_iter().chain(features).chain(rest), &image)
    }

    /// A squashfs, made with these options.
    pub(crate) fn squashfs(&self, options: &[&str]) -> Option<Image> {
        let image = self.directory.path().join("squashfs.img");
        let _ = fs::remove_file(&image);
        let root = self.root();
        let paths = [root.as_os_str(), image.as_os_str()];
        let fixed = ["-noappend", "-no-progress", "-quiet", "-mkfs-time", "0"].map(OsStr::new);
        let options = options.iter().map(OsStr::new);
        Self::made("mksquashfs", paths.into_iter().chain(fixed).chain(options), &image)
    }

    /// A tar in this format.
    pub(crate) fn tar(&self, format: &str) -> Option<Image> {
        let image = self.directory.path().join("tar.img");
        let root = self.root();
        let format = format!("--format={format}");
        let arguments = [
            OsStr::new("-c"),
            OsStr::new("--sort=name"),
            OsStr::new(&format),
            OsStr::new("-f"),
            image.as_os_str(),
            OsStr::new("-C"),
            root.as_os_str(),
            OsStr::new("."),
        ];
        Self::made("tar", arguments, &image)
    }

    fn made<'s>(tool: &str, arguments: impl IntoIterator<Item = &'s OsStr>, image: &Path) -> Option<Image> {
        let mut command = Command::new(tool);
        command.args(arguments).stdin(Stdio::null()).env("E2FSPROGS_FAKE_TIME", "1600000000");
        match command.output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{command:?}: {said}");
                Some(Image(fs::read(image).expect("the tool made it")))
            }
            Err(error) => {
                assert!(env::var_os(REQUIRED).is_none(), "{REQUIRED} is set, but {tool}: {error}");
                let _ = writeln!(std::io::stderr(), "SKIPPED: {tool} cannot be run: {error}");
                None
            }
        }
    }
}

/// Bytes without a pattern, the same for the same seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}
