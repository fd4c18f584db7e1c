//! Interrupted, killed, or not alone: the store stays whole, and the next `make` goes on.

use std::env;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::image::{self, Numbers};
use crate::sandbox::{Run, Sandbox, number};

/// Blocks that a command may read before it hears a signal.
const MOST_BLOCKS: usize = 500;
/// Rounds of starting and killing.
const ROUNDS: u64 = 40;

fn send(signal: &str, child: &Child) {
    let kill = format!("kill -s {signal} {}", child.id());
    Run::of(Command::new("sh").args(["-c", &kill])).succeeds();
}

/// Waits until the process handles SIGINT itself.
fn wait_for_handler(child: &Child) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let status =
            fs::read_to_string(format!("/proc/{}/status", child.id())).expect("the process is there");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("Linux tells");
        let caught = u64::from_str_radix(caught.trim(), 16).expect("a mask");
        if caught & 0b10 != 0 {
            return;
        }
        assert!(Instant::now() < deadline, "no handler after 30 s");
        thread::yield_now();
    }
}

#[test]
fn a_stream_that_is_interrupted_before_its_first_byte_is_not_an_empty_image() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(["make", "--name", "a.img", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary can be started");
    wait_for_handler(&child);
    send("INT", &child);
    drop(child.stdin.take());
    let run = Run::new(&command, child.wait_with_output().expect("it can be waited for"));
    run.fails(14).answers_nothing();
    sandbox.chunk("list").succeeds();
    assert!(!sandbox.path("store/a.img.cidx").exists());
}

/// Stdin stays open and silent: neither bytes nor their end wake the command.
#[test]
fn a_signal_is_heard_while_a_stream_is_waited_for() {
    for (signal, sent) in [("INT", 0), ("TERM", 3 << 20)] {
        let sandbox = Sandbox::new();
        let mut command = sandbox.command(["make", "--name", "a.img", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary can be started");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        stdin.write_all(&image::noise(1, sent)).expect("the command reads");
        wait_for_handler(&child);
        send(signal, &child);
        let run = Run::new(&command, child.wait_with_output().expect("it can be waited for"));
        run.fails(14).answers_nothing();
        drop(stdin);
        sandbox.chunk("list").succeeds().answers_nothing();
    }
}

#[test]
fn a_signal_stops_make_in_order_and_nothing_is_lost() {
    for signal in ["INT", "TERM"] {
        let sandbox = Sandbox::new();
        sandbox.write("old", &image::disk(1));
        sandbox.chunk("make --name a.img old").succeeds();
        let mut command = sandbox.command(["make", "--name", "a.img", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary can be started");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let block = image::noise(2, 1 << 20);
        // More than a pipe holds: when it is taken, the command is at work and listens to signals.
        stdin.write_all(&block).expect("the command reads");
        send(signal, &child);
        // The image never ends; only the signal can end the command, at the next block.
        let blocks = (0..MOST_BLOCKS).take_while(|_| stdin.write_all(&block).is_ok()).count();
        let run = Run::new(&command, child.wait_with_output().expect("it can be waited for"));
        run.fails(14).answers_nothing().says("hint: what is stored already is not stored again");
        assert!(blocks < MOST_BLOCKS, "{signal} was heard after {blocks} blocks");
        is_whole_after(&sandbox, "old");
        sandbox.write("new", &image::disk(2));
        let answer = sandbox.chunk("make --json --name a.img new").succeeds().json();
        assert_eq!(number(&answer, "release"), 2);
        is_whole_after(&sandbox, "new");
    }
}

/// Asserts that the store is whole and its newest version is the image in `file`.
#[track_caller]
fn is_whole_after(sandbox: &Sandbox, file: &str) {
    sandbox.chunk("verify").succeeds();
    assert!(sandbox.chunk("cat store/a.img").succeeds().stdout == sandbox.read(file));
}

#[test]
fn a_store_is_whole_whenever_its_publisher_is_killed() {
    let seed = env::var("CHUNK_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("to repeat: CHUNK_TEST_SEED={seed}");
    let mut numbers = Numbers::from_seed(seed);
    let sandbox = Sandbox::new();
    let bases = [image::disk(1), image::disk(50)];
    let next_image = |round: u64| {
        // Every round brings chunks that the store lacks, or there would be no pack to tear.
        let base = &bases[usize::try_from(round % 2).expect("0 or 1")];
        [image::noise(1000 + round, 300_000), base.clone()].concat()
    };
    sandbox.write("a.img", &next_image(0));
    let started = Instant::now();
    sandbox.chunk("make a.img").succeeds();
    let full = u64::try_from(started.elapsed().as_micros()).expect("it fits");
    let mut killed = 0;
    for round in 1..=ROUNDS {
        sandbox.write("a.img", &next_image(round));
        let mut command = sandbox.command(["make", "a.img"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary can be started");
        thread::sleep(Duration::from_micros(numbers.below(full)));
        child.kill().expect("it can be killed");
        let status = child.wait().expect("it can be waited for");
        killed += u64::from(!status.success());
        sandbox.chunk("verify").succeeds();
    }
    println!("{killed} of {ROUNDS} were killed before they were done");
    assert!(killed > 0, "no round was killed in time");
    let run = sandbox.chunk("make a.img").succeeds();
    assert!(run.text().contains(" a.img@"), "{run}");
    is_whole_after(&sandbox, "a.img");
    let list = sandbox.chunk("list --json").succeeds().json();
    let list = list.as_array().expect("a list");
    let releases: Vec<_> = list.iter().map(|version| number(version, "release")).collect();
    assert!(releases.iter().copied().eq(1..=list.len() as u64), "a version was lost: {releases:?}");
    assert_eq!(sandbox.names("store/tmp"), ["publish.lock", "writers.lock"], "nothing was left behind");
}

#[test]
fn a_publisher_killed_before_its_last_step_leaves_the_next_one_to_do_it() {
    let sandbox = Sandbox::new();
    sandbox.write("old", &image::prose(1, 100_000));
    sandbox.chunk("make --name a.img --version old old").succeeds();
    let index = sandbox.read("store/a.img@old.cidx");
    for (arguments, newest) in [("make --name a.img old", "old"), ("make --name a.img new", "new")] {
        // What is left if power fails after `a.img.cidx` has moved on: the label is the last thing written.
        fs::remove_file(sandbox.path("store/a.img@old.cidx")).expect("the index is there");
        is_whole_after(&sandbox, "old");
        sandbox.write("new", &image::prose(2, 100_000));
        sandbox.chunk(arguments).succeeds();
        assert_eq!(sandbox.read("store/a.img@old.cidx"), index);
        is_whole_after(&sandbox, newest);
    }
}

#[test]
fn two_publishers_of_one_line_both_get_through() {
    let sandbox = Sandbox::new();
    for round in 0..5 {
        let files = ["left", "right"];
        for (seed, file) in (round * 10..).zip(files) {
            sandbox.write(file, &[image::disk(1), image::noise(seed + 100, 500_000)].concat());
        }
        let runs = thread::scope(|scope| {
            let make = |file| sandbox.chunk(&format!("make --json --name a.img {file}")).succeeds().json();
            let publishers = files.map(|file| scope.spawn(move || make(file)));
            publishers.map(|publisher| publisher.join().expect("the publisher succeeds"))
        });
        let mut releases = runs.map(|answer| number(&answer, "release"));
        releases.sort_unstable();
        assert_eq!(releases, [round * 2 + 1, round * 2 + 2]);
        for release in releases {
            let image = sandbox.chunk(&format!("cat store/a.img@{release}")).succeeds().stdout;
            assert!(files.iter().any(|file| image == sandbox.read(file)), "release {release}");
        }
    }
    let answer = sandbox.chunk("verify --json").succeeds().json();
    assert_eq!(number(&answer, "versions"), 10);
}
