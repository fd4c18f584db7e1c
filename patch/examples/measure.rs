//! What a pair of files costs: `measure OLD NEW [LEVEL [PATCH]]` encodes and decodes, and keeps the patch if told where.

#![expect(clippy::print_stdout, reason = "a measuring tool answers on standard output")]

use std::error::Error;
use std::time::{Duration, Instant};

use chunk_patch::{Decoder, Effort, Limits, encode};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let old = std::fs::read(arguments.next().ok_or("OLD is missing")?)?;
    let new = std::fs::read(arguments.next().ok_or("NEW is missing")?)?;
    let level = arguments.next().map_or(Ok(22), |level| level.parse())?;
    let start = Instant::now();
    let patch = encode(&old, &new, Effort::new(level))?;
    println!("method {}: {} bytes of {}, in {:.1?}", patch[0], patch.len(), new.len(), start.elapsed());
    if let Some(path) = arguments.next() {
        let mut file = std::fs::File::create_new(path)?;
        std::io::copy(&mut patch.as_slice(), &mut file)?;
    }
    let fastest =
        (0..5).map(|_| decode(&patch, &old, &new)).collect::<Result<Vec<_>, _>>()?.into_iter().min();
    println!("decoded in {:.1?}, the fastest of five", fastest.unwrap_or_default());
    Ok(())
}

fn decode(patch: &[u8], old: &[u8], new: &[u8]) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    let mut decoder = Decoder::new(patch, old, u64::try_from(new.len())?, &Limits::default())?;
    let mut out = vec![0; 1 << 16];
    let mut rest = new;
    loop {
        let count = decoder.read(&mut out)?;
        if count == 0 {
            return if rest.is_empty() { Ok(start.elapsed()) } else { Err("the patch ends early".into()) };
        }
        rest = rest.strip_prefix(&out[..count]).ok_or("the patch gives other bytes")?;
    }
}
