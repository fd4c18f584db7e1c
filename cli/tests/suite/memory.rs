//! How much memory `make` and `extract` take at most, whatever is asked of them, and what `plan` says of it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use crate::image;
use crate::sandbox::{Sandbox, number};
use crate::servers::Site;
use crate::system::LoopDevice;

/// Bytes that `make` may take.
const LIMIT_KB: u64 = 256_000;

/// The most memory that a command held at once, in kB, pages of files included.
fn peak(command: &mut Command) -> u64 {
    peak_of(command, "VmHWM:")
}

/// The most that `line` of the command's status has said; the command must succeed.
fn peak_of(command: &mut Command, line: &str) -> u64 {
    let (peak, ended) = peak_and_end(command, line);
    assert!(ended.success(), "{command:?}: {ended}");
    peak
}

/// The most that `line` of the command's status has said, and how it ended.
pub(crate) fn peak_and_end(command: &mut Command, line: &str) -> (u64, ExitStatus) {
    let mut child = command.stdout(Stdio::null()).spawn().expect("the binary can be started");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        let told = fs::read_to_string(&status).expect("the process is there until it is waited for");
        let most = told.lines().find_map(|told| told.strip_prefix(line));
        let most = most.and_then(|most| most.split_whitespace().next()?.parse().ok());
        peak = most.unwrap_or(0).max(peak);
        if let Some(ended) = child.try_wait().expect("it can be waited for") {
            break ended;
        }
        thread::sleep(Duration::from_millis(1));
    };
    (peak, ended)
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

/// From nothing, from a seed that is scanned, in place with everything moved, and with an index that is fetched.
#[test]
fn a_plan_tells_how_much_memory_the_work_takes_at_most_and_not_much_more() {
    let sandbox = Sandbox::new();
    let new = image::noise(1, 160 << 20);
    sandbox.write("new", &new);
    sandbox.chunk("make --level 1 --name a.img new").succeeds();
    let half = [&image::noise(2, 3 << 20), &new[..80 << 20]].concat();
    sandbox.write("half", &half);
    sandbox.write("moved", &[&image::noise(3, 900_000), &new[..]].concat());
    let site = Site::chunk(sandbox.root(), &["serve", "--listen", "127.0.0.1:0", "store"]);
    let url = site.url("a.img.cidx");
    let cases = [
        "store/a.img out".to_owned(),
        "--jobs 1 --memory 8MiB store/a.img out".to_owned(),
        "--jobs 8 --memory 200MiB store/a.img out".to_owned(),
        "--seed half store/a.img out".to_owned(),
        "--seed new store/a.img out".to_owned(),
        "--in-place store/a.img moved".to_owned(),
        format!("--seed half {url} out"),
    ];
    for case in cases {
        let plan = sandbox.chunk(&format!("plan --json {case}")).succeeds().json();
        let most = number(&plan, "peak_memory_bytes") / 1000;
        let arguments = format!("extract --quiet --json {case}");
        let measured = peak_of(&mut sandbox.command(arguments.split_whitespace()), "RssAnon:");
        println!("{case}: {measured} kB of at most {most} kB");
        assert!(measured <= most, "{case}: {measured} kB, planned {most} kB");
        assert!(most <= 4 * measured + 24_000, "{case}: {measured} kB, planned {most} kB");
        let _ = fs::remove_file(sandbox.path("out"));
    }
}

/// What a plan says of the disk is what is then occupied.
#[test]
fn a_plan_tells_how_much_disk_the_work_takes() {
    let sandbox = Sandbox::new();
    let new = [image::noise(1, 9 << 20), vec![0; 5 << 20], image::noise(2, 3 << 20)].concat();
    sandbox.write("new", &new);
    sandbox.chunk("make --name a.img new").succeeds();
    let occupied = |name: &str| fs::metadata(sandbox.path(name)).map_or(0, |of| of.blocks() * 512);
    let plan = |case: &str| sandbox.chunk(&format!("plan --json {case}")).succeeds().json();
    let told = plan("--state state store/a.img out");
    // A chunk at each end of the zeros is none of zeros alone.
    let most = number(&told, "target_disk_bytes");
    assert!((12 << 20..=(12 << 20) + 65_536).contains(&most), "holes take nothing: {most}");
    sandbox.chunk("extract --state state store/a.img out").succeeds();
    assert!((12 << 20..=(12 << 20) + 65_536).contains(&occupied("out")), "{}", occupied("out"));
    let state = format!("state/{}", sandbox.names("state")[0]);
    let remembered = fs::metadata(sandbox.path(state)).expect("remembered").len();
    assert_eq!(number(&told, "state_disk_bytes"), remembered, "the index");

    // Where it lies, only what is longer than before takes room.
    sandbox.write("out", &image::noise(4, 10 << 20));
    let told = plan("--in-place store/a.img out");
    let before = occupied("out");
    assert_eq!(number(&told, "target_disk_bytes"), (17 << 20) - before);
    sandbox.chunk("extract --in-place store/a.img out").succeeds();
    assert!(occupied("out") <= before + number(&told, "target_disk_bytes") + 65_536);
    let Some(device) = LoopDevice::writable(&sandbox.path("new")) else { return };
    assert_eq!(number(&plan(&format!("store/a.img {}", device.path().display())), "target_disk_bytes"), 0);
    let site = Site::chunk(sandbox.root(), &["serve", "--listen", "127.0.0.1:0", "store"]);
    let told = plan(&format!("--cache cache {} other", site.url("a.img.cidx")));
    assert!(number(&told, "cache_disk_bytes") >= 12 << 20, "{told}");
    assert_eq!(number(&plan("--cache cache store/a.img other"), "cache_disk_bytes"), 0, "nothing is fetched");
}

/// Each block that was read from a stream was once kept until the end.
#[test]
fn an_image_from_a_pipe_takes_no_more_memory_the_longer_it_is() {
    let sandbox = Sandbox::new();
    let [short, long] = [40, 400].map(|blocks: u64| {
        let zeros =
            File::create_new(sandbox.path(format!("{blocks}.img"))).expect("the sandbox can be written");
        zeros.set_len(blocks << 20).expect("a file can be all hole");
        let zeros = File::open(sandbox.path(format!("{blocks}.img"))).expect("it was just made");
        let mut command = sandbox.command(["make", "--jobs", "2", "--name", "image", "-"]);
        peak(command.stdin(zeros))
    });
    println!("40 MiB {short} kB, 400 MiB {long} kB");
    assert!(10_000 < short && long < short + 20_000, "{short} kB and {long} kB");
}
