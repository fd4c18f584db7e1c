//! What chunk size, frame size and level cost and save, on real chains of versions.
//!
//! `sweep DATA avg|frame|level SET…` publishes each chain in `DATA/SET/` in every setting of one kind and prints a
//! Markdown table: what a device downloads from one version to the next (kB of frames, kB of index, requests),
//! from the first to the last, and with nothing at hand; what the store takes, and the processor time of it.
//! Bytes are exact; times are this machine's.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is what the program is for")]

use std::error::Error;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use chunk_extract::{Have, Need};
use chunk_index::{Annotations, Index};
use chunk_publisher::{Options, Publisher, Source, Wish, cut_around};
use chunk_store::Directory;

/// Frames and index parts that lie closer together are fetched together.
const FRAME_GAP: u64 = 64 << 10;
const INDEX_GAP: u64 = 2 << 10;
const LONGEST_REQUEST: u64 = 16 << 20;

/// One way to publish.
#[derive(Clone, Copy)]
struct Setting {
    avg: u32,
    frame: u32,
    level: i32,
}

/// The setting that all others differ from in one thing.
const BASE: Setting = Setting { avg: 4 << 10, frame: 256 << 10, level: 3 };

fn settings(what: &str) -> Vec<Setting> {
    match what {
        "avg" => [2, 4, 8, 16, 32, 64].map(|avg| Setting { avg: avg << 10, ..BASE }).to_vec(),
        "frame" => {
            [64, 128, 256, 512, 1024, 2048].map(|frame| Setting { frame: frame << 10, ..BASE }).to_vec()
        }
        "level" => [1, 3, 6, 9, 12, 15].map(|level| Setting { level, ..BASE }).to_vec(),
        _ => Vec::new(),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let usage = "usage: sweep DATA avg|frame|level SET...";
    let data = arguments.next().ok_or(usage)?;
    let what = arguments.next().ok_or(usage)?;
    let settings = settings(what.to_str().unwrap_or_default());
    if settings.is_empty() {
        return Err(usage.into());
    }
    println!(
        "| set | avg | frame | level | next | index | requests | far | index | requests | fresh | store | index file | cpu s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for set in arguments {
        let images = images(&data.join(&set))?;
        for &setting in &settings {
            eprintln!(
                "{} avg {} frame {} level {}",
                set.display(),
                setting.avg,
                setting.frame,
                setting.level
            );
            println!("{}", row(&set, &images, setting)?);
        }
    }
    Ok(())
}

/// The versions of a chain, in order.
fn images(set: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let files = fs::read_dir(set)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files = files.collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"v")));
    files.sort();
    Ok(files)
}

fn row(set: &Path, images: &[PathBuf], setting: Setting) -> Result<String, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = Directory::open_for_writing(directory.path())?;
    let mut options = Options::for_directory(&store);
    options.params = cut_around(setting.avg)?;
    options.frame_len = setting.frame;
    options.level = setting.level;
    let before = cpu_hundredths()?;
    let mut publisher = Publisher::new(&store, options)?;
    let mut stored = 0;
    let mut index_bytes = 0;
    for (number, image) in (1..).zip(images) {
        let wish = Wish {
            name: "image".parse()?,
            label: Some(format!("{number}").parse()?),
            release: None,
            annotations: Annotations::default(),
        };
        let report = publisher.make(Source::open(image)?, &wish, &())?;
        stored += report.pack_bytes;
        index_bytes = report.index_bytes;
    }
    let cpu = cpu_hundredths()? - before;
    let [first, before_last, last] = [1, images.len() - 1, images.len()]
        .map(|number| read_index(&directory.path().join(format!("image@{number}.cidx"))));
    let (first, before_last, last) = (first?, before_last?, last?);
    let mut cells = Vec::new();
    for from in [before_last, first] {
        let mut have = Have::default();
        have.add(from.entries().map(|placed| placed.entry));
        let need = Need::of(&last, &have, INDEX_GAP);
        let frames = need.traffic(FRAME_GAP, LONGEST_REQUEST);
        cells.push(kilobytes(frames.bytes + frames.gaps));
        cells.push(kilobytes(need.index.bytes + need.index.gaps));
        cells.push((frames.requests + need.index.requests).to_string());
    }
    let fresh = Need::of(&last, &Have::default(), INDEX_GAP).traffic(FRAME_GAP, LONGEST_REQUEST);
    cells.push(kilobytes(fresh.bytes + fresh.gaps));
    Ok(format!(
        "| {} | {} | {} | {} | {} | {} | {} | {}.{:02} |",
        set.display(),
        setting.avg >> 10,
        setting.frame >> 10,
        setting.level,
        cells.join(" | "),
        kilobytes(stored),
        kilobytes(index_bytes),
        cpu / 100,
        cpu % 100
    ))
}

fn read_index(path: &Path) -> Result<Index<Vec<u8>>, Box<dyn Error>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.read_to_end(&mut bytes)?;
    Ok(Index::decode(bytes)?)
}

fn kilobytes(bytes: u64) -> String {
    format!("{}.{}", bytes / 1000, bytes % 1000 / 100)
}

/// Processor time of this process so far, as Linux counts it.
fn cpu_hundredths() -> Result<u64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second field is the program's name in brackets and may hold anything.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<u64>().ok());
    Ok(ticks(11).zip(ticks(12)).map(|(user, system)| user + system).ok_or("no times in /proc/self/stat")?)
}
