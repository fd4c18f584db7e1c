//! Seeds as they are typed.

use std::fs;
use std::process::{Command, Stdio};

use crate::image;
use crate::sandbox::{Run, Sandbox, number, string};

/// Bytes of an image that a seed which holds nearly all of it may leave to be fetched.
const LITTLE: u64 = 300_000;

/// A sandbox with an old and a new image, and the new one in a store.
pub(crate) fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let old = image::disk(1);
    sandbox.write("old", &old);
    sandbox.write("new", &image::next_version(&old));
    sandbox.chunk("make --name a.img new").succeeds();
    sandbox
}

/// Fails the test unless the seed in `arguments` held nearly all of the image.
#[track_caller]
fn helps(sandbox: &Sandbox, arguments: &str) -> serde_json::Value {
    let answer = sandbox.chunk(&format!("extract --json {arguments} store/a.img out")).succeeds().json();
    assert!(number(&answer, "missing_bytes") < LITTLE, "{answer}");
    assert!(sandbox.read("out") == sandbox.read("new"));
    fs::remove_file(sandbox.path("out")).expect("it was made");
    answer
}

#[test]
fn a_file_is_a_seed_and_so_is_a_part_of_one() {
    let sandbox = sandbox();
    helps(&sandbox, "--seed old");
    let disk = [vec![7; 4096], sandbox.read("old"), vec![8; 100]].concat();
    sandbox.write("disk", &disk);
    let part = format!("disk@4K+{}", disk.len() - 4096 - 100);
    let answer = helps(&sandbox, &format!("--seed {part}"));
    assert_eq!(string(&answer["seeds"][0], "seed"), part);
    // A file that is really called so.
    fs::rename(sandbox.path("disk"), sandbox.path("disk@0+10")).expect("renamed");
    helps(&sandbox, "--seed disk@0+10");
    sandbox.chunk("extract --seed old@10 store/a.img out").fails(2).says("PATH@OFFSET+LENGTH");
    sandbox.chunk("extract --seed none store/a.img out").fails(13).says("none");
}

#[test]
fn a_directory_is_a_seed_with_all_files_below() {
    let sandbox = sandbox();
    fs::create_dir_all(sandbox.path("tree/below")).expect("made");
    let old = sandbox.read("old");
    sandbox.write("tree/first", &old[..2_000_000]);
    sandbox.write("tree/below/second", &old[2_000_000..]);
    helps(&sandbox, "--seed tree");
}

#[test]
fn another_store_is_a_seed() {
    let sandbox = sandbox();
    sandbox.chunk("make --name b.img --store other old").succeeds();
    helps(&sandbox, "--seed other/b.img.cidx");
}

#[test]
fn stdin_is_a_seed() {
    let sandbox = sandbox();
    let run = sandbox.chunk_reading("extract --json --seed - store/a.img out", &sandbox.read("old"));
    let answer = run.succeeds().json();
    assert!(number(&answer, "missing_bytes") < LITTLE, "{answer}");
    assert!(sandbox.read("out") == sandbox.read("new"));
}

#[test]
fn an_index_beside_the_seed_or_named_for_it_is_believed_as_far_as_it_is_right() {
    let sandbox = sandbox();
    sandbox.chunk("make --name old --store other old").succeeds();
    let is_scanned = |arguments: &str| {
        let command = format!(
            "exec {} extract {arguments} --events-fd 3 store/a.img out 3>events",
            crate::sandbox::CHUNK
        );
        let mut shell = Command::new("sh");
        let run = Run::of(shell.args(["-c", &command]).current_dir(sandbox.root()).stdin(Stdio::null()));
        assert!(run.code() == Some(0), "{run}");
        assert!(sandbox.read("out") == sandbox.read("new"));
        fs::remove_file(sandbox.path("out")).expect("it was made");
        let events = String::from_utf8(sandbox.read("events")).expect("text");
        (events.contains(r#""phase":"seed""#), events.contains(r#""ev":"stale""#))
    };
    assert_eq!(is_scanned("--seed old"), (true, false));
    assert_eq!(is_scanned("--seed old --seed-index other/old.cidx"), (false, false));
    fs::copy(sandbox.path("other/old.cidx"), sandbox.path("old.cidx")).expect("copied");
    assert_eq!(is_scanned("--seed old"), (false, false));
    // One of quite another image.
    sandbox.write("strange", &image::noise(77, 2_000_000));
    sandbox.chunk("make --name strange --store other strange").succeeds();
    assert_eq!(is_scanned("--seed old --seed-index other/strange.cidx"), (true, true));
    sandbox.chunk("extract --seed old --seed-index new store/a.img out").fails(3);
}

#[test]
fn what_is_no_seed_is_told_at_once() {
    let sandbox = sandbox();
    Run::of(Command::new("mkfifo").arg(sandbox.path("pipe"))).succeeds();
    for seed in ["pipe", "/dev/null", "/dev/zero"] {
        let run =
            sandbox.chunk(&format!("extract --seed {seed} store/a.img out")).fails(13).answers_nothing();
        run.says("neither a regular file nor a block device").says("hint: a seed is a file");
    }
    assert!(!sandbox.path("out").exists() && !sandbox.path("out.part").exists());
}

#[test]
fn without_seeds_everything_is_fetched() {
    let sandbox = sandbox();
    sandbox.write("out", &sandbox.read("old"));
    let answer = sandbox.chunk("extract --json --in-place --no-seed store/a.img out").succeeds().json();
    assert_eq!(number(&answer, "kept_bytes"), 0);
    assert!(number(&answer, "missing_bytes") > 2_900_000, "{answer}");
    assert!(sandbox.read("out") == sandbox.read("new"));
    sandbox.chunk("extract --no-seed --seed old store/a.img out").fails(2);
}
