//! How much memory `make` takes at most, whatever is asked of it.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::image;
use crate::sandbox::Sandbox;

/// Bytes that `make` may take.
const LIMIT_KB: u64 = 256_000;

/// The most memory that a command held at once, in kB.
fn peak(command: &mut Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).spawn().expect("the binary can be started");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        let told = fs::read_to_string(&status).expect("the process is there until it is waited for");
        let most = told.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let most = most.and_then(|most| most.split_whitespace().next()?.parse().ok());
        peak = most.unwrap_or(0).max(peak);
        if let Some(ended) = child.try_wait().expect("it can be waited for") {
            break ended;
        }
        thread::sleep(Duration::from_millis(1));
    };
    assert!(ended.success(), "{command:?}: {ended}");
    peak
}

/// At this level zstd takes 40 MB for each frame of this length.
#[test]
fn many_threads_at_a_high_level_take_no_more_memory_than_promised() {
    let sandbox = Sandbox::new();
    sandbox.write("a.img", &image::prose(1, 48 << 20));
    let few = "make --level 12 --frame-size 2MiB --jobs 1 --store few a.img";
    let many = "make --level 12 --frame-size 2MiB --jobs 32 --store many a.img";
    let [few, many] = [few, many].map(|arguments| peak(&mut sandbox.command(arguments.split_whitespace())));
    println!("one thread {few} kB, 32 threads {many} kB");
    assert!(40_000 < few && few <= many && many < LIMIT_KB, "{few} kB and {many} kB");
}
