//! The figures that this project promises of `extract`, each beside its reference, run in turn.
//!
//! `extraction CHUNK OLD NEW` runs the `chunk` binary CHUNK: it rebuilds the image NEW from itself, again, from
//! nothing, and from OLD, on a warm cache, and compares the result each time. casync, desync and bita take part
//! if they are on the PATH; with the name of one behind NEW, only that one. Peak memory is the anonymous part.
//!
//! `extraction --memory CHUNK OLD NEW` makes NEW from nothing, from OLD, and in place in a copy of OLD, and tells the
//! most anonymous memory of each in a control group beside what `chunk plan` says of it and what is asked for; then
//! all that again in a group of 64 MiB, pages of files included.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is what the program is for")]

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chunk_benches::group::{Group, anonymous_peak};
use chunk_benches::measure::{Outcome, PAIRS, compare, compare_pairs, print_head, run};
use chunk_benches::same::is_same;

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
            let bench = Bench::new([chunk, old, new], scratch.path())?;
            print_head();
            bench.against_copying()?;
            bench.against_peers(&["casync", "desync", "bita"])
        }
        ["--memory", chunk, old, new] => {
            let scratch = tempfile::tempdir()?;
            Bench::new([chunk, old, new], scratch.path())?.memory()
        }
        [chunk, old, new, peer] => {
            let scratch = tempfile::tempdir()?;
            let bench = Bench::new([chunk, old, new], scratch.path())?;
            print_head();
            bench.against_peers(&[peer])
        }
        _ => Err("usage: extraction CHUNK OLD NEW [PEER] | extraction --memory CHUNK OLD NEW".into()),
    }
}

/// Bytes that the work may take beside twice its index, and all of which must do for it.
const ASKED_FOR: u64 = 64 << 20;
/// Pairs of runs beside a peer that takes very long.
const FEW: usize = 3;

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

impl<'a> Bench<'a> {
    fn new([chunk, old, new]: [&'a str; 3], scratch: &'a Path) -> Outcome<Self> {
        let bench = Self {
            chunk: Path::new(chunk),
            old: Path::new(old),
            new: Path::new(new),
            store: scratch.join("store"),
            target: scratch.join("target"),
            other: scratch.join("other"),
            scratch,
        };
        bench.make_stores()?;
        Ok(bench)
    }

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
        let copying = |and: &str| {
            let mut copy = Command::new("sh");
            copy.args(["-c", &format!("cp \"$1\" \"$2\" {and} && \"$3\" --b3sum \"$2\""), "sh"]);
            copy.args([self.new, &self.other, &own]);
            copy
        };
        let (mut copy, mut durable) = (copying(""), copying("&& sync \"$2\""));
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
        let waiting = "cp, sync and b3sum";
        compare("rebuild, seed index, no flush", &fresh, &mut self.extract(&unflushed), copying, &mut copy)?;
        compare("rebuild, seed index", &fresh, &mut self.extract(&with_index), copying, &mut copy)?;
        compare("rebuild, seed index", &fresh, &mut self.extract(&with_index), waiting, &mut durable)?;
        compare("rebuild, seed scanned", &fresh, &mut self.extract(&from_itself), copying, &mut copy)?;
        self.check()?;
        compare("run again", &|| Ok(()), &mut self.extract::<&str>(&[]), "b3sum", &mut hash)
    }

    fn against_peers(&self, names: &[&str]) -> Outcome<()> {
        for name in names {
            let found = match *name {
                "casync" => self.casync(),
                "desync" => self.desync()?,
                "bita" => self.bita(),
                _ => return Err(format!("{name} is no peer").into()),
            };
            let Some(mut peer) = found else { continue };
            let seed = [OsStr::new("--seed"), self.old.as_os_str()];
            let fresh = || self.start_anew();
            let (name, pairs) = (peer.name, peer.pairs);
            let from_nothing = &mut self.extract::<&str>(&[]);
            compare_pairs(pairs, "from nothing", &fresh, from_nothing, name, &mut peer.fresh)?;
            compare_pairs(pairs, "update", &fresh, &mut self.extract(&seed), name, &mut peer.update)?;
            self.check()?;
        }
        Ok(())
    }

    fn memory(&self) -> Outcome<()> {
        let index = fs::metadata(self.store.join("image.cidx"))?.len();
        let asked_for = ASKED_FOR + 2 * index;
        println!("| index of {} kB | peak MB | as planned | asked for | in 64 MiB |", index / 1000);
        println!("|---|---|---|---|---|");
        let seed = [OsStr::new("--seed"), self.old.as_os_str()];
        let no_patch = OsStr::new("--no-patch");
        let in_place = ["--in-place", "--no-patch"].map(OsStr::new);
        let cases: [(_, &[&OsStr]); 4] = [
            ("from nothing", &[]),
            ("update by a patch", &seed),
            ("update by frames", &[seed[0], seed[1], no_patch]),
            ("in place", &in_place),
        ];
        for (what, arguments) in cases {
            self.prepare(what)?;
            let planned = self.planned(arguments)?;
            let peak = anonymous_peak(&mut self.extract(arguments))?;
            self.check()?;
            self.prepare(what)?;
            let limited = Group::new(Some(ASKED_FOR)).map(|group| group.run(&self.extract(arguments)));
            let limited = match limited {
                Ok(Ok(_)) => "enough",
                Ok(Err(_)) => "not enough",
                Err(_) => "not measured",
            };
            if limited == "enough" {
                self.check()?;
            }
            let [peak, planned, asked_for] = [peak, planned, asked_for].map(|bytes| bytes / 1_000_000);
            println!("| {what} | {peak} | {planned} | {asked_for} | {limited} |");
        }
        Ok(())
    }

    /// Puts what `what` starts from where the target is.
    fn prepare(&self, what: &str) -> Outcome<()> {
        if self.target.exists() {
            fs::remove_file(&self.target)?;
        }
        if what == "in place" {
            run(Command::new("cp").arg("--sparse=auto").arg(self.old).arg(&self.target))?;
        }
        Ok(())
    }

    /// The most memory, as planned.
    fn planned(&self, arguments: &[&OsStr]) -> Outcome<u64> {
        let mut plan = Command::new(self.chunk);
        plan.args(["plan", "--json"]).args(arguments).arg(self.store.join("image.cidx")).arg(&self.target);
        let answer = String::from_utf8(plan.output()?.stdout)?;
        let (_, bytes) = answer.split_once("\"peak_memory_bytes\":").ok_or("no bound in the plan")?;
        Ok(bytes.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().parse()?)
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
            if !is_same(file, self.new)? {
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
        let update = clone(&[OsStr::new("--seed"), self.old.as_os_str()]);
        prepare("bita", &mut make, clone(&[]), update).map(|peer| Peer { pairs: FEW, ..peer })
    }
}

/// Another program that does the same.
struct Peer {
    name: &'static str,
    pairs: usize,
    fresh: Command,
    update: Command,
}

/// The peer, if it is here, can publish, and can read what it published: not each can that of each image.
fn prepare(name: &'static str, make: &mut Command, mut fresh: Command, update: Command) -> Option<Peer> {
    match run(make).and_then(|_| run(&mut fresh)) {
        Ok(_) => Some(Peer { name, pairs: PAIRS, fresh, update }),
        Err(error) => {
            eprintln!("{name} is not here, or does not work: {error}");
            None
        }
    }
}
