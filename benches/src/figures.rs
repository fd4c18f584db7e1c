//! The figures that this project promises of `make`, each beside its reference, run in turn.
//!
//! `figures CHUNK IMAGE [SPARSE]` runs the `chunk` binary CHUNK on IMAGE, and on the sparse image SPARSE for the
//! memory alone. It prints a Markdown table with medians over pairs of runs; ratios are taken pair by pair, so
//! they hold when the machine's speed drifts. casync and desync take part if they are on the PATH.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is what the program is for")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use chunk_benches::measure::{Outcome, compare, print_head, run, seconds};
use rayon::prelude::*;

/// Bytes that one thread compresses at a time in the reference: zstd's own multi-threading does much the same.
const PIECE: usize = 8 << 20;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match texts[..] {
        ["--b3sum", file] => reference_b3sum(Path::new(file)),
        ["--zstd", level, file] => reference_zstd(level.parse()?, Path::new(file)),
        [chunk, image] => figures(Path::new(chunk), Path::new(image), None),
        [chunk, image, sparse] => figures(Path::new(chunk), Path::new(image), Some(Path::new(sparse))),
        _ => Err("usage: figures CHUNK IMAGE [SPARSE]".into()),
    }
}

fn figures(chunk: &Path, image: &Path, sparse: Option<&Path>) -> Outcome<()> {
    let scratch = tempfile::tempdir()?;
    let store = scratch.path().join("store");
    let make = |level: &str| {
        let mut command = Command::new(chunk);
        command
            .args(["make", "--quiet", "--level", level, "--name", "image", "--store"])
            .arg(&store)
            .arg(image);
        command
    };
    let own = std::env::current_exe()?;
    let reference = |arguments: &[&str]| {
        let mut command = Command::new(&own);
        command.args(arguments).arg(image);
        command
    };
    let clear = || -> Outcome<()> {
        let peer = scratch.path().join("peer.castr");
        for directory in [&store, &peer] {
            if directory.exists() {
                fs::remove_dir_all(directory)?;
            }
        }
        Ok(fs::create_dir(peer)?)
    };
    let keep = || Ok(());
    print_head();
    let default = chunk_publisher::DEFAULT_LEVEL.to_string();
    for level in [default.as_str(), "3"] {
        let what = format!("first make, level {level}");
        compare(&what, &clear, &mut make(level), "zstd alone", &mut reference(&["--zstd", level]))?;
    }
    run(&mut make(&default))?;
    compare(
        "make of the same image",
        &keep,
        &mut make(&default),
        "BLAKE3 alone",
        &mut reference(&["--b3sum"]),
    )?;
    for peer in ["desync", "casync"] {
        let index = scratch.path().join("peer.caibx");
        let mut command = Command::new(peer);
        command.arg("make").arg("--store").arg(scratch.path().join("peer.castr")).arg(&index).arg(image);
        if Command::new(peer).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
            eprintln!("{peer} is not here");
            continue;
        }
        compare("first make, level 3", &clear, &mut make("3"), &format!("{peer} make"), &mut command)?;
    }
    if let Some(sparse) = sparse {
        clear()?;
        let mut command = Command::new(chunk);
        command.args(["make", "--quiet", "--name", "sparse", "--store"]).arg(&store).arg(sparse);
        let first = run(&mut command)?;
        let again = run(&mut command)?;
        for (what, run) in [("first make, sparse", first), ("again", again)] {
            println!(
                "| {what} | | {} | | | {} | | | {} | |",
                seconds(run.wall),
                seconds(run.cpu),
                run.peak_kb / 1000
            );
        }
    }
    Ok(())
}

/// What `b3sum` does: the BLAKE3 of a mapped file, on all processors.
fn reference_b3sum(file: &Path) -> Outcome<()> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_mmap_rayon(file)?;
    println!("{}", hasher.finalize());
    Ok(())
}

/// zstd alone: the file compressed piece by piece, on all processors.
fn reference_zstd(level: i32, file: &Path) -> Outcome<()> {
    let bytes = fs::read(file)?;
    let packed = bytes.par_chunks(PIECE).map(|piece| Ok(zstd::bulk::compress(piece, level)?.len()));
    println!("{}", packed.sum::<std::io::Result<usize>>()?);
    Ok(())
}
