//! Applies a patch: `apply OLD PATCH NEW_LEN`.
#![expect(clippy::print_stdout, reason = "a measuring tool answers on standard output")]
use chunk_patch::{Decoder, Limits};
use std::error::Error;
use std::time::Instant;
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let old = std::fs::read(arguments.next().ok_or("OLD is missing")?)?;
    let patch = std::fs::read(arguments.next().ok_or("PATCH is missing")?)?;
    let len = arguments.next().ok_or("NEW_LEN is missing")?.parse()?;
    for _ in 0..5 {
        let start = Instant::now();
        let mut decoder = Decoder::new(&patch, old.as_slice(), len, &Limits::default())?;
        let opened = start.elapsed();
        let mut out = vec![0; 1 << 16];
        while decoder.read(&mut out)? > 0 {}
        println!("opened {opened:.1?} all {:.1?}", start.elapsed());
    }
    Ok(())
}
