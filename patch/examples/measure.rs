//! What each method makes of a pair of files: `measure OLD NEW [LEVEL]`.

#![expect(clippy::print_stdout, reason = "a measuring tool answers on standard output")]

use std::error::Error;
use std::time::Instant;

use chunk_patch::{Decoder, Effort, Limits, encode};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let old = std::fs::read(arguments.next().ok_or("OLD is missing")?)?;
    let new = std::fs::read(arguments.next().ok_or("NEW is missing")?)?;
    let level = arguments.next().map_or(Ok(19), |level| level.parse())?;
    let start = Instant::now();
    let patch = encode(&old, &new, Effort::new(level))?;
    println!("encoded {} to {} in {:.1?}, method {}", new.len(), patch.len(), start.elapsed(), patch[0]);
    if let Ok(name) = std::env::var("SAVE") {
        std::fs::write(name, &patch)?;
    }
    let start = Instant::now();
    let mut decoder = Decoder::new(&patch, old.as_slice(), u64::try_from(new.len())?, &Limits::default())?;
    println!("opened in {:.1?}", start.elapsed());
    let mut out = vec![0; 1 << 16];
    let mut at = 0;
    loop {
        let count = decoder.read(&mut out)?;
        if count == 0 {
            break;
        }
        if new.get(at..at + count) != Some(&out[..count]) {
            return Err("decoded to other bytes".into());
        }
        at += count;
    }
    println!("decoded {at} bytes in {:.1?}", start.elapsed());
    Ok(())
}
