//! Seeds as they are typed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::image;
use crate::sandbox::{Run, Sandbox, number, string};
use crate::system::SmallDisk;

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
    let answer = goes_on(sandbox.chunk(&format!("extract --json {arguments} store/a.img out"))).json();
    assert!(number(&answer, "missing_bytes") < LITTLE, "{answer}");
    assert!(sandbox.read("out") == sandbox.read("new"));
    fs::remove_file(sandbox.path("out")).expect("it was made");
    answer
}

/// Fails the test unless the command did its work, whatever it has warned of.
#[track_caller]
fn goes_on(run: Run) -> Run {
    assert!(run.code() == Some(0), "{run}");
    run
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
fn of_a_piped_seed_what_has_room_is_used() {
    let sandbox = sandbox();
    let Some(_disk) = SmallDisk::mount(&sandbox.path("state"), 2) else { return };
    let run =
        sandbox.chunk_reading("extract --json --state state --seed - store/a.img out", &sandbox.read("old"));
    assert_eq!(run.code(), Some(0), "{run}");
    let run = run.says("warning: only the first 2.0").says(" of standard input have room in state");
    let copied = number(&run.json()["seeds"][0], "bytes");
    assert!((1_000_000..2_100_000).contains(&copied), "{run}");
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
}

/// The names of the seeds that `answer` tells of as unusable.
fn unused(answer: &serde_json::Value) -> Vec<&str> {
    answer["unused_seeds"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|seed| seed.as_str().expect("a name"))
        .collect()
}

#[test]
fn an_index_that_is_none_costs_a_scan_and_not_the_image() {
    let sandbox = sandbox();
    sandbox.chunk("make --name old --store other old").succeeds();
    let index = sandbox.read("other/old.cidx");
    sandbox.write("cut", &index[..index.len() / 2]);
    sandbox.write("empty", &[]);
    Run::of(Command::new("mkfifo").arg(sandbox.path("pipe"))).succeeds();
    for index in ["new", "cut", "empty", "pipe", "none", "other"] {
        let extract = format!("extract --seed old --seed-index {index} store/a.img out");
        goes_on(sandbox.chunk(&extract)).says(&format!("warning: {index} is no index of seed old"));
        assert!(sandbox.read("out") == sandbox.read("new"));
        fs::remove_file(sandbox.path("out")).expect("it was made");
        let answer = helps(&sandbox, &format!("--seed old --seed-index {index}"));
        assert_eq!(unused(&answer), [""; 0], "the seed itself is used");
        // The same of what the target holds.
        sandbox.write("out", &sandbox.read("old"));
        helps(&sandbox, &format!("--in-place --seed-index {index}"));
    }
}

#[test]
fn a_seed_that_cannot_be_used_costs_download_and_is_told_of() {
    let sandbox = sandbox();
    Run::of(Command::new("mkfifo").arg(sandbox.path("pipe"))).succeeds();
    let index = sandbox.read("store/a.img.cidx");
    sandbox.write("cut.cidx", &index[..index.len() / 2]);
    let useless = ["none", "none/below", "none@4K+8K", "none@1.2", "pipe", "/dev/null", "cut.cidx"];
    for seed in useless {
        let run = goes_on(sandbox.chunk(&format!("extract --seed {seed} store/a.img out")));
        let run = run.says(&format!("warning: seed {seed} cannot be used, it goes on without"));
        assert!(run.text().contains(&format!(", without {seed}, ")), "{run}");
        assert!(sandbox.read("out") == sandbox.read("new"));
        fs::remove_file(sandbox.path("out")).expect("it was made");
        let answer = helps(&sandbox, &format!("--seed {seed} --seed old"));
        assert_eq!(unused(&answer), [seed]);
        assert_eq!(string(&answer["seeds"][0], "seed"), "old");
        let run = goes_on(sandbox.chunk(&format!("plan --seed {seed} store/a.img out")));
        assert!(run.text().contains(&format!("unusable  seed {seed}")), "{run}");
        let run = sandbox.chunk(&format!("extract --max-download 100K --seed {seed} store/a.img out"));
        assert!(run.code() == Some(21), "{run}");
        assert!(!sandbox.path("out").exists());
    }
    sandbox.chunk("extract --seed old@10 store/a.img out").fails(2).says("PATH@OFFSET+LENGTH");
}

#[test]
fn a_seed_that_may_not_be_read_costs_download() {
    let sandbox = sandbox();
    fs::set_permissions(sandbox.path("old"), Permissions::from_mode(0o000)).expect("changed");
    let mut command = sandbox.command("extract --json --seed old store/a.img out".split(' '));
    if fs::File::open(sandbox.path("old")).is_ok() {
        // Who may read everything is no longer to.
        let mut bounded = Command::new("setpriv");
        bounded.arg("--bounding-set=-all").arg(command.get_program()).args(command.get_args());
        bounded.current_dir(sandbox.root());
        command = bounded;
    }
    let answer = goes_on(Run::of(&mut command)).says("Permission denied").json();
    assert_eq!(unused(&answer), ["old"]);
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

#[test]
fn a_url_is_no_seed_and_is_not_repeated() {
    let sandbox = sandbox();
    let run = sandbox.chunk("extract --seed HTTPS://user:secret@host/a.img store/a.img out").fails(2);
    let run = run.answers_nothing().says("error: a --seed is a URL").says("hint: --store");
    assert!(!run.stderr.contains("secret"), "{run}");
}
