//! The figures that this project promises of `extract`, each beside its reference, run in turn.
//!
//! `extraction CHUNK OLD NEW` runs the `chunk` binary CHUNK: it rebuilds the image NEW from itself, again, from
//! nothing, and from OLD, on a warm cache, and compares the result each time. casync, desync and bita take part
//! if they are on the PATH. Peak memory is the anonymous part.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is what the program is for")]

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chunk_benches::measure::{Outcome, compare, print_head, run};

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match texts[..] {
        ["--b3sum", file] => {
            let mut hasher = blake3::Hasher::new();
            hasher.update_mmap_rayon(file)?;
            println!("{}", hasher.finalize());
            Ok(())
        }
        [chunk, old, new] => {
            let scratch = tempfile::tempdir()?;
            let bench = Bench {
                chunk: Path::new(chunk),
                old: Path::new(old),
                new: Path::new(new),
                store: scratch.path().join("store"),
                target: scratch.path().join("target"),
                other: scratch.path().join("other"),
                scratch: scratch.path(),
            };
            bench.make_stores()?;
            print_head();
            bench.against_copying()?;
            bench.against_peers()
        }
        _ => Err("usage: extraction CHUNK OLD NEW".into()),
    }
}

struct Bench<'a> {
    chunk: &'a Path,
    old: &'a Path,
    new: &'a Path,
    store: PathBuf,
    target: PathBuf,
    /// Where a reference puts its copy.
    other: PathBuf,
    scratch: &'a Path,
}

impl Bench<'_> {
    fn make_stores(&self) -> Outcome<()> {
        for image in [self.old, self.new] {
            let mut command = Command::new(self.chunk);
            command.args(["make", "--quiet", "--level", "3", "--name", "image", "--store"]);
            run(command.arg(&self.store).arg(image))?;
        }
        Ok(())
    }

    /// Extracts the newest version to the target.
    fn extract<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(self.chunk);
        command.args(["extract", "--quiet"]).args(arguments);
        command.arg(self.store.join("image.cidx")).arg(&self.target);
        command
    }

    fn against_copying(&self) -> Outcome<()> {
        let own = std::env::current_exe()?;
        let mut copy = Command::new("sh");
        copy.args(["-c", "cp \"$1\" \"$2\" && \"$3\" --b3sum \"$2\"", "sh"]);
        copy.args([self.new, &self.other, &own]);
        let mut hash = Command::new(&own);
        hash.arg("--b3sum").arg(&self.target);
        let from_itself = [OsStr::new("--seed"), self.new.as_os_str()];
        let index = self.store.join("image.cidx");
        let with_index: Vec<&OsStr> =
            from_itself.into_iter().chain([OsStr::new("--seed-index"), index.as_os_str()]).collect();
        let unflushed: Vec<&OsStr> =
            with_index.iter().copied().chain(["--verify", "off"].map(OsStr::new)).collect();
        let fresh = || self.start_anew();
        let copying = "cp and b3sum";
        compare("rebuild, seed index, no flush", &fresh, &mut self.extract(&unflushed), copying, &mut copy)?;
        compare("rebuild, seed index", &fresh, &mut self.extract(&with_index), copying, &mut copy)?;
        compare("rebuild, seed scanned", &fresh, &mut self.extract(&from_itself), copying, &mut copy)?;
        self.check()?;
        compare("run again", &|| Ok(()), &mut self.extract::<&str>(&[]), "b3sum", &mut hash)
    }

    fn against_peers(&self) -> Outcome<()> {
        for mut peer in [self.casync(), self.desync()?, self.bita()].into_iter().flatten() {
            let seed = [OsStr::new("--seed"), self.old.as_os_str()];
            let fresh = || self.start_anew();
            let name = peer.name;
            compare("from nothing", &fresh, &mut self.extract::<&str>(&[]), name, &mut peer.fresh)?;
            compare("update", &fresh, &mut self.extract(&seed), name, &mut peer.update)?;
            self.check()?;
        }
        Ok(())
    }

    fn start_anew(&self) -> Outcome<()> {
        // What the last run made is compared before it goes.
        self.check()?;
        for file in [&self.target, &self.other] {
            if file.exists() {
                fs::remove_file(file)?;
            }
        }
        Ok(())
    }

    fn check(&self) -> Outcome<()> {
        for file in [&self.target, &self.other].into_iter().filter(|file| file.exists()) {
            if !Command::new("cmp").arg(file).arg(self.new).status()?.success() {
                return Err(format!("{} is not the image", file.display()).into());
            }
        }
        Ok(())
    }

    fn casync(&self) -> Option<Peer> {
        let index = self.scratch.join("new.caibx");
        let store = self.scratch.join("casync.castr");
        let extract = |seed: &[&OsStr]| {
            let mut command = Command::new("casync");
            command.args(["extract", "--seed-output=no", "--store"]).arg(&store).args(seed);
            command.arg(&index).arg(&self.other);
            command
        };
        let mut make = Command::new("casync");
        make.args(["make", "--store"]).arg(&store).arg(&index).arg(self.new);
        let seed = [OsStr::new("--seed"), self.old.as_os_str()];
        prepare("casync", &mut make, extract(&[]), extract(&seed))
    }

    fn desync(&self) -> Outcome<Option<Peer>> {
        let store = self.scratch.join("desync.castr");
        fs::create_dir_all(&store)?;
        let index = self.scratch.join("desync-new.caibx");
        // A seed's index lies beside it under its name.
        let seed = self.scratch.join("seed");
        let seed_index = self.scratch.join("seed.caibx");
        std::os::unix::fs::symlink(fs::canonicalize(self.old)?, &seed)?;
        let mut index_seed = Command::new("desync");
        index_seed.args(["make"]).arg(&seed_index).arg(&seed);
        if index_seed.stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
            eprintln!("desync is not here");
            return Ok(None);
        }
        let extract = |seed: &[&OsStr]| {
            let mut command = Command::new("desync");
            command.args(["extract", "--store"]).arg(&store).args(seed).arg(&index).arg(&self.other);
            command
        };
        let mut make = Command::new("desync");
        make.args(["make", "--store"]).arg(&store).arg(&index).arg(self.new);
        Ok(prepare(
            "desync",
            &mut make,
            extract(&[]),
            extract(&[OsStr::new("--seed"), seed_index.as_os_str()]),
        ))
    }

    fn bita(&self) -> Option<Peer> {
        let archive = self.scratch.join("new.cba");
        let clone = |seed: &[&OsStr]| {
            let mut command = Command::new("bita");
            command.arg("clone").args(seed).arg(&archive).arg(&self.other);
            command
        };
        let mut make = Command::new("bita");
        make.args(["compress", "-i"]).arg(self.new).arg(&archive);
        prepare("bita", &mut make, clone(&[]), clone(&[OsStr::new("--seed"), self.old.as_os_str()]))
    }
}

/// Another program that does the same.
struct Peer {
    name: &'static str,
    fresh: Command,
    update: Command,
}

/// The peer, if it is here and can publish.
fn prepare(name: &'static str, make: &mut Command, fresh: Command, update: Command) -> Option<Peer> {
    match run(make) {
        Ok(_) => Some(Peer { name, fresh, update }),
        Err(error) => {
            eprintln!("{name} is not here, or does not work: {error}");
            None
        }
    }
}
