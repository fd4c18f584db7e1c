//! Extraction on machines that fail, are full, are small, or share extents.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use crate::image;
use crate::sandbox::{CHUNK, Run, Sandbox, number};
use crate::system::{self, LoopDevice, MemoryLimit, SmallDisk};

fn sandbox() -> (Sandbox, Vec<u8>) {
    let sandbox = Sandbox::new();
    let new = image::disk(1);
    sandbox.write("new", &new);
    sandbox.chunk("make --name a.img new").succeeds();
    (sandbox, new)
}

/// Runs `chunk` with a system call that does not do what it should.
fn with_fault(sandbox: &Sandbox, fault: &str, arguments: &str) -> Option<Run> {
    if !system::has_program("strace") {
        return None;
    }
    let (call, _) = fault.split_once(':').expect("CALL:FAULT");
    let mut command = Command::new("strace");
    command.args([
        "-f",
        "-o",
        "/dev/null",
        "-e",
        &format!("trace={call}"),
        "-e",
        &format!("inject={fault}"),
        CHUNK,
    ]);
    Some(Run::of(command.args(arguments.split(' ')).current_dir(sandbox.root()).stdin(Stdio::null())))
}

#[test]
fn a_write_that_fails_ends_the_work_with_the_place() {
    let (sandbox, new) = sandbox();
    let faults = [("EIO", 10, "Input/output error"), ("ENOSPC", 11, "No space left on device")];
    for (error, exit, text) in faults {
        let Some(run) =
            with_fault(&sandbox, &format!("pwrite64:error={error}:when=2+"), "extract store/a.img out")
        else {
            return;
        };
        run.fails(exit).answers_nothing().says("the target cannot be written at byte").says(text);
        assert!(!sandbox.path("out").exists());
    }
    sandbox.chunk("extract store/a.img out").succeeds();
    assert!(sandbox.read("out") == new);
}

#[test]
fn a_write_that_is_interrupted_is_tried_again() {
    let (sandbox, new) = sandbox();
    let Some(run) = with_fault(&sandbox, "pwrite64:error=EINTR:when=1+2", "extract store/a.img out") else {
        return;
    };
    run.succeeds();
    assert!(sandbox.read("out") == new);
}

#[test]
fn a_target_that_takes_no_byte_and_says_no_error_is_not_asked_for_ever() {
    let (sandbox, _) = sandbox();
    let Some(run) = with_fault(&sandbox, "pwrite64:retval=0:when=1+", "extract store/a.img out") else {
        return;
    };
    run.fails(10).answers_nothing().says("the target cannot be written at byte 0");
    assert!(!sandbox.path("out").exists());
}

#[test]
fn a_flush_that_fails_is_never_taken_for_success() {
    let (sandbox, new) = sandbox();
    for arguments in ["extract store/a.img out", "extract --in-place store/a.img there"] {
        sandbox.write("there", b"something");
        let Some(run) = with_fault(&sandbox, "fdatasync:error=EIO:when=1", arguments) else { return };
        run.fails(10).answers_nothing().says("does not confirm what was written");
        assert!(!sandbox.path("out").exists());
    }
    sandbox.chunk("extract store/a.img out").succeeds();
    assert!(sandbox.read("out") == new);
}

#[test]
fn a_write_that_is_only_said_to_have_happened_is_found_by_reading_back() {
    let (sandbox, new) = sandbox();
    let arguments = "extract --verify readback --jobs 1 store/a.img out";
    // The kernel is never asked, and yet the program hears that all 1000 bytes are written.
    let Some(run) = with_fault(&sandbox, "pwrite64:retval=1000:when=1", arguments) else { return };
    assert_eq!(run.code(), Some(0), "{run}");
    let run = run.says("read back otherwise than written: they are fetched and written once more");
    assert!(run.text().starts_with("extracted out: "), "{run}");
    assert!(sandbox.read("out") == new, "what was missing is found");
    fs::remove_file(sandbox.path("out")).expect("it was made");
    // By a patch, and where nothing is ever written.
    sandbox.write("old", &new);
    let next = image::next_version(&new);
    sandbox.write("next", &next);
    sandbox.chunk("make --name a.img next").succeeds();
    let by_patch = "extract --verify readback --jobs 1 --seed old store/a.img out";
    let Some(run) = with_fault(&sandbox, "pwrite64:retval=1000:when=1", by_patch) else { return };
    assert_eq!(run.code(), Some(0), "{run}");
    run.says("read back otherwise than written");
    assert!(sandbox.read("out") == next);
    fs::remove_file(sandbox.path("out")).expect("it was made");
    sandbox.write("pages", &image::noise(9, 8192));
    sandbox.chunk("make --name pages.img pages").succeeds();
    let arguments = "extract --verify readback store/pages.img out";
    let Some(run) = with_fault(&sandbox, "pwrite64:retval=4096", arguments) else { return };
    assert_eq!(run.code(), Some(10), "{run}");
    run.answers_nothing().says("read back otherwise than written, twice");
    assert!(!sandbox.path("out").exists(), "it is not called the image");
}

#[test]
fn options_that_a_kind_of_target_has_no_use_for_are_refused_or_warned_of() {
    let (sandbox, new) = sandbox();
    for (arguments, why) in [
        ("--zero-tail store/a.img out", "--zero-tail is for block devices"),
        ("--discard-tail store/a.img out", "--discard-tail is for block devices"),
        ("--dry-run --zero-tail store/a.img -", "--zero-tail is for block devices"),
        ("--verify readback store/a.img -", "standard output cannot be read back"),
        ("--seed-index store/a.img.cidx --seed-index store/a.img.cidx store/a.img out", "for 0 seeds"),
        ("--seed-index store/a.img.cidx store/a.img -", "for 0 seeds"),
    ] {
        sandbox.chunk(&format!("extract {arguments}")).fails(2).answers_nothing().says(why).says("hint: ");
    }
    for (arguments, why) in [
        ("--zero-tail store/a.img out", "--zero-tail is for block devices"),
        ("--verify readback store/a.img -", "standard output cannot be read back"),
    ] {
        sandbox.chunk(&format!("plan {arguments}")).fails(2).answers_nothing().says(why);
    }
    for option in ["--force", "--in-place"] {
        let run = sandbox.chunk(&format!("extract {option} store/a.img -"));
        assert!(run.code() == Some(0) && run.stdout == new, "{option}");
        run.says(&format!("warning: {option} has no effect on standard output"));
    }
    fs::write(sandbox.path("device"), vec![1; 8 << 20]).expect("written");
    let Some(device) = LoopDevice::writable(&sandbox.path("device")) else { return };
    let plan = sandbox.chunk(&format!("plan --zero-tail store/a.img {}", device.path().display())).succeeds();
    assert!(plan.text().contains("behind    tail zeroed "), "{plan}");
    let run = sandbox.chunk(&format!("extract --zero-tail --force store/a.img {}", device.path().display()));
    let run = run.says("warning: --force has no effect on a device");
    assert!(run.code() == Some(0) && run.text().contains(", tail zeroed "), "{run}");
    let run =
        sandbox.chunk(&format!("extract --zero-tail store/a.img {}", device.path().display())).succeeds();
    assert!(run.text().starts_with("unchanged ") && !run.text().contains("tail"), "{run}");
    let run = sandbox.chunk(&format!("extract --discard-tail store/a.img {}", device.path().display()));
    assert!(run.succeeds().text().contains(", tail discarded "));
}

/// What a file system keeps of a file in memory says nothing of what the next boot will read.
#[test]
fn a_file_is_verified_and_repaired_by_what_the_medium_holds() {
    let (sandbox, _) = sandbox();
    let new = image::noise(5, 3 << 20);
    sandbox.write("noise", &new);
    sandbox.chunk("make --name noise.img noise").succeeds();
    fs::File::create(sandbox.path("disk")).and_then(|file| file.set_len(16 << 20)).expect("a hole");
    let Some(device) = LoopDevice::writable(&sandbox.path("disk")) else { return };
    if !system::is_installed("mkfs.ext4") {
        return;
    }
    fs::create_dir(sandbox.path("mounted")).expect("made");
    let [path, root] = [device.path().to_owned(), sandbox.path("mounted")];
    let [path, root] = [&path, &root].map(|path| path.to_str().expect("plain"));
    system::run("mkfs.ext4", &["-q", "-F", path]).expect("a file system");
    system::run("mount", &[path, root]).expect("mounted");
    let unmounted = || system::run("umount", &[root]);
    let outcome = std::panic::catch_unwind(|| {
        sandbox.chunk("extract store/noise.img mounted/out").succeeds();
        let _holder = fs::File::open(sandbox.path("mounted/out")).expect("a file");
        assert!(sandbox.read("mounted/out") == new, "and now it is in memory");
        let medium = sandbox.read("disk");
        let at = medium.windows(64).position(|bytes| *bytes == new[2_500_000..2_500_064]);
        let at = at.expect("the image is on the medium") as u64;
        let disk = fs::File::options().write(true).open(sandbox.path("disk")).expect("a file");
        std::os::unix::fs::FileExt::write_all_at(&disk, b"rotten", at).expect("written");
        disk.sync_all().expect("synced");
        assert!(sandbox.read("mounted/out") == new, "it is still in memory");
        let run = sandbox.chunk("verify mounted/out store/noise.img").fails(6);
        assert!(run.text().contains("\nwrong     1.04 MB at byte 2097152\n"), "{run}");
        std::os::unix::fs::FileExt::write_all_at(&disk, b"rotten", at).expect("written");
        let run = sandbox.chunk("verify --repair mounted/out store/noise.img").succeeds();
        assert!(run.text().contains("written 4.09 kB"), "{run}");
    });
    let said = unmounted();
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    said.expect("unmounted");
}

#[test]
fn a_file_system_without_room_is_told_so_before_anything_is_fetched() {
    let (sandbox, _) = sandbox();
    let Some(_disk) = SmallDisk::mount(&sandbox.path("disk"), 2) else { return };
    let run = sandbox.chunk("extract store/a.img disk/out").fails(11).answers_nothing();
    run.says("disk/out has room for");
    for verb in ["plan", "extract --dry-run"] {
        let run = sandbox.chunk(&format!("{verb} store/a.img disk/out")).fails(11);
        assert!(run.text().starts_with("image "), "{run}");
        run.says("disk/out has room for");
    }
    assert_eq!(sandbox.names("disk"), [""; 0]);
}

#[test]
fn a_file_may_not_be_longer_than_its_user_may_make_it() {
    let (sandbox, _) = sandbox();
    // Blocks of 512 bytes.
    let command = format!("ulimit -f 2048; exec {CHUNK} extract store/a.img out");
    let mut shell = Command::new("sh");
    let run = Run::of(shell.args(["-c", &command]).current_dir(sandbox.root()).stdin(Stdio::null()));
    run.fails(11).answers_nothing();
    assert!(!sandbox.path("out").exists());
}

#[test]
fn a_device_whose_medium_is_full_is_not_said_to_hold_the_image() {
    let (sandbox, _) = sandbox();
    let Some(_disk) = SmallDisk::mount(&sandbox.path("disk"), 2) else { return };
    fs::File::create(sandbox.path("disk/device")).and_then(|file| file.set_len(16 << 20)).expect("a hole");
    let Some(device) = LoopDevice::writable(&sandbox.path("disk/device")) else { return };
    let run = sandbox.chunk(&format!("extract store/a.img {}", device.path().display()));
    run.fails(10).answers_nothing().says("Input/output error");
}

#[test]
fn a_reader_of_the_stream_that_goes_away_is_no_success() {
    let (sandbox, new) = sandbox();
    let run = sandbox.chunk("extract store/a.img -").succeeds();
    assert!(run.stdout == new, "only the image goes to stdout");
    let command = format!("({CHUNK} extract store/a.img -; echo $? >code) | head -c 1 >/dev/null");
    let mut shell = Command::new("sh");
    let run = Run::of(shell.args(["-c", &command]).current_dir(sandbox.root()).stdin(Stdio::null()));
    assert_eq!(sandbox.read("code"), b"10\n", "{run}");
    assert!(run.stderr.starts_with("error: "), "{run}");
}

/// Bytes of a file that are one with others on the disk.
fn shared_bytes(sandbox: &Sandbox, name: &str) -> u64 {
    let extents = Run::of(Command::new("filefrag").arg("-v").arg(sandbox.path(name))).succeeds();
    let shared = extents.text().lines().filter(|line| line.contains("shared"));
    // "   0:        0..    4882:      18336..     23218:   4883:             shared"
    let blocks =
        shared.map(|line| line.split(':').nth(3).map(str::trim).and_then(|len| len.parse::<u64>().ok()));
    blocks.map(|blocks| 4096 * blocks.unwrap_or_else(|| panic!("{extents}"))).sum()
}

#[test]
fn a_file_system_that_can_shares_what_the_seed_has() {
    for kind in ["btrfs", "xfs"] {
        let sandbox = Sandbox::new();
        let Some(disk) = SmallDisk::sharing(kind, &sandbox.path("disk"), 320) else { return };
        let old = image::noise(1, 40 << 20);
        let mut new = old.clone();
        new[20_000_000..20_000_010].copy_from_slice(b"overwrites");
        sandbox.write("new", &new);
        sandbox.chunk("make --name a.img new").succeeds();
        sandbox.write("disk/old", &old);
        disk.sync();
        let answer = sandbox.chunk("extract --json --seed disk/old store/a.img disk/out").succeeds().json();
        assert!(sandbox.read("disk/out") == new);
        assert!(number(&answer, "write_bytes") < 2 << 20, "{kind}: {answer}");
        disk.sync();
        assert!(shared_bytes(&sandbox, "disk/out") > 38 << 20, "{kind}");
        assert_eq!(sandbox.names("disk").len(), 2, "{kind}: nothing is left beside the image");
        // The seed is not touched by what happens to its twin.
        sandbox.write("disk/out", &vec![1; 40 << 20]);
        assert!(sandbox.read("disk/old") == old);
    }
}

/// Of a seed whose bytes lie a little off, nothing can be shared; of one that is off in a part, the rest can.
#[test]
fn what_cannot_be_shared_is_written_range_by_range() {
    for kind in ["btrfs", "xfs"] {
        let sandbox = Sandbox::new();
        let Some(disk) = SmallDisk::sharing(kind, &sandbox.path("disk"), 320) else { return };
        let new = image::noise(1, 24 << 20);
        sandbox.write("new", &new);
        sandbox.chunk("make --name a.img new").succeeds();
        for (off, shared) in [(0, 0..=0), (10 << 20, 8 << 20..=10 << 20)] {
            let old = [&new[..off], &b"100 bytes".repeat(12)[..100], &new[off..]].concat();
            sandbox.write("disk/old", &old);
            disk.sync();
            let run = sandbox.chunk("extract --json --seed disk/old store/a.img disk/out").succeeds();
            let answer = run.json();
            assert!(sandbox.read("disk/out") == new);
            assert!(number(&answer, "missing_bytes") < 100_000, "{kind}: {answer}");
            disk.sync();
            let found = shared_bytes(&sandbox, "disk/out");
            assert!(shared.contains(&found), "{kind}: {found} bytes shared, expected {shared:?}");
            assert!(number(&answer, "write_bytes") <= (24 << 20) - found + 4096, "{kind}: {answer}");
            fs::remove_file(sandbox.path("disk/out")).expect("it was made");
        }
    }
}

#[test]
fn sixty_four_mebibytes_are_enough_for_any_image() {
    let Some(limit) = MemoryLimit::new(64 << 20) else { return };
    let sandbox = Sandbox::new();
    let new = image::noise(1, 320 << 20);
    sandbox.write("new", &new);
    sandbox.chunk("make --level 1 --name a.img new").succeeds();
    let mut fresh = limit.command(CHUNK);
    fresh.args(["extract", "--json", "store/a.img", "out"]).current_dir(sandbox.root()).stdin(Stdio::null());
    let answer = Run::of(&mut fresh).succeeds().json();
    println!("a new file: {answer}");
    assert_eq!(Run::of(Command::new("cmp").args(["new", "out"]).current_dir(sandbox.root())).code(), Some(0));

    // Everything moves, and part of it is new.
    let mut old = image::noise(2, 1 << 20);
    old.extend_from_slice(&new[3 << 20..]);
    sandbox.write("out", &old);
    drop((old, new));
    let mut update = limit.command(CHUNK);
    update.args(["extract", "--json", "--in-place", "store/a.img", "out"]);
    let answer = Run::of(update.current_dir(sandbox.root()).stdin(Stdio::null())).succeeds().json();
    println!("in place: {answer}");
    assert!(number(&answer, "missing_bytes") < 5 << 20, "{answer}");
    assert_eq!(Run::of(Command::new("cmp").args(["new", "out"]).current_dir(sandbox.root())).code(), Some(0));
}

#[test]
fn holes_of_a_sparse_image_take_no_room() {
    let sandbox = Sandbox::new();
    let file = fs::File::create(sandbox.path("new")).expect("a file");
    file.set_len(3 << 30).expect("a hole");
    std::os::unix::fs::FileExt::write_all_at(&file, &image::noise(1, 100_000), 2 << 30).expect("written");
    sandbox.chunk("make --name a.img new").succeeds();
    let answer = sandbox.chunk("extract --json store/a.img out").succeeds().json();
    assert!(number(&answer, "write_bytes") <= 1 << 20, "{answer}");
    let out = fs::metadata(sandbox.path("out")).expect("a file");
    assert_eq!(out.len(), 3 << 30);
    assert!(out.blocks() * 512 <= 2 << 20, "{} bytes occupied", out.blocks() * 512);
    assert_eq!(Run::of(Command::new("cmp").args(["new", "out"]).current_dir(sandbox.root())).code(), Some(0));
}
