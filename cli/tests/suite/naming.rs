//! Names, labels and paths as they come: what cannot be used is refused, and shown without tricks.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::fingerprint::fingerprint;
use crate::image;
use crate::sandbox::{Run, Sandbox};

/// Asserts that nothing printed can act on a terminal.
#[track_caller]
fn is_plain(run: &Run) {
    let acts = |c: char| c.is_control() && c != '\n';
    assert!(!run.text().contains(acts) && !run.stderr.contains(acts), "{:?} {:?}", run.text(), run.stderr);
}

#[test]
fn a_name_or_label_that_could_leave_the_store_or_hide_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("a.img", b"image");
    let long = "x".repeat(129);
    for word in ["", ".", "..", "../up", "a/b", ".hidden", "a b", "a@b", "ä", "a\nb", "\x1b[2J", &long] {
        for flag in ["--name", "--version"] {
            let run = sandbox.chunk_with(["make".into(), format!("{flag}={word}"), "a.img".into()]);
            let run = run.fails(2).answers_nothing().says("hint: letters, digits and . _ + - are allowed");
            is_plain(&run);
        }
    }
    assert_eq!(sandbox.names(""), ["a.img"], "no store was made for any of them");
}

#[test]
fn a_file_whose_name_cannot_be_a_line_needs_a_name() {
    let sandbox = Sandbox::new();
    let long = "x".repeat(200);
    for file in ["we ird", "new\nline", "\x1b]0;title\x07", "@", "-dash", &long] {
        sandbox.write(file, b"image");
        let path = format!("./{file}");
        let run = sandbox.chunk_with(["make", &path]).fails(2).answers_nothing();
        is_plain(&run.says("cannot be a name"));
        let run = sandbox.chunk_with(["make", "--name", "fine", &path]);
        is_plain(&run.succeeds());
    }
}

#[test]
fn a_file_name_that_is_no_text_is_told_apart_from_stdin() {
    let sandbox = Sandbox::new();
    let file = OsString::from_vec(b"\xff.img".to_vec());
    sandbox.write(&file, b"image");
    let run =
        sandbox.chunk_with([&OsString::from("make"), &file]).fails(2).says("hint: give it one with --name");
    assert!(!run.stderr.contains("stdin"), "{run}");
    let name = ["make", "--name", "fine"].map(OsString::from);
    sandbox.chunk_with(name.iter().chain([&file])).succeeds();
}

#[test]
fn control_characters_in_paths_do_not_reach_the_terminal() {
    let sandbox = Sandbox::new();
    let trick = "\x1b[31m\nred\r\u{9b}2J\x7f";
    sandbox.write(trick, b"no index");
    let absent = format!("absent{trick}");
    let store = format!("store{trick}");
    sandbox.write("a.img", &image::prose(1, 1000));
    for arguments in [
        vec!["info", trick],
        vec!["cat", trick],
        vec!["info", &absent],
        vec!["verify", &absent],
        vec!["verify", trick],
        vec!["list", &absent],
        vec!["diff", &absent, trick],
        vec!["make", "--name", "a", &absent],
        vec!["make", "--annotate", trick, "a.img"],
        vec!["make", "--arch", trick, "a.img"],
    ] {
        let run = sandbox.chunk_with(&arguments).answers_nothing();
        assert_ne!(run.code(), Some(0), "{run}");
        is_plain(&run);
    }
    is_plain(&sandbox.chunk_with(["make", "--store", &store, "a.img"]).succeeds());
    sandbox.write(format!("{store}/a.img@1.cidx"), b"damaged");
    is_plain(&sandbox.chunk_with(["verify", &store]).fails(3));
    is_plain(&sandbox.chunk_with(["list", &store]).fails(3));
}

#[test]
fn json_errors_say_the_same_as_plain_ones() {
    let sandbox = Sandbox::new();
    let run = sandbox.chunk_with(["make", "--json", "no\x1b\nsuch.img", "--name", "a"]).answers_nothing();
    assert_eq!(run.code(), Some(13), "{run}");
    let error: serde_json::Value = serde_json::from_str(&run.stderr).expect("stderr is one JSON object");
    assert_eq!(error["error"], "no\x1b\nsuch.img cannot be used");
    assert_eq!(error["causes"][0], "cannot be opened");
    assert_eq!(error["exit"], 13);
    assert!(error["hint"].is_null(), "{error}");
    is_plain(&run);
}

#[test]
fn annotations_must_be_pairs_that_a_record_can_hold() {
    let sandbox = Sandbox::new();
    sandbox.write("a.img", b"image");
    let long = format!("key={}", "x".repeat(4097));
    for pair in ["novalue", "=value", "a key=value", "key=line\nbreak", &long] {
        let run = sandbox.chunk_with(["make", "--annotate", pair, "a.img"]);
        is_plain(&run.fails(2).answers_nothing());
    }
    for twice in ["--annotate k=1 --annotate k=2", "--annotate arch=arm --arch arm"] {
        sandbox.chunk(&format!("make {twice} a.img")).fails(2).says("is given twice");
    }
    assert_eq!(sandbox.names(""), ["a.img"]);
}

#[test]
fn what_is_no_image_is_refused_as_one() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("directory")).expect("the sandbox can be written");
    Run::of(std::process::Command::new("mkfifo").arg(sandbox.path("pipe"))).succeeds();
    for (image, why) in [
        ("absent.img", "No such file or directory"),
        ("directory", "neither a file nor a block device"),
        ("pipe", "neither a file nor a block device"),
        ("/dev/null", "neither a file nor a block device"),
    ] {
        let run = sandbox.chunk_with(["make", image]).fails(13).answers_nothing();
        run.says(&format!("error: {image} cannot be used\n")).says(why);
    }
    assert!(!sandbox.path("store").exists(), "not even an empty store was made");
}

#[test]
fn a_store_that_cannot_be_made_is_told_with_its_path() {
    let sandbox = Sandbox::new();
    sandbox.write("a.img", b"image");
    for (store, why) in [
        ("a.img", "File exists"),
        ("a.img/store", "Not a directory"),
        ("absent/store", "No such file or directory"),
    ] {
        let run = sandbox.chunk_with(["make", "--store", store, "a.img"]).fails(10).answers_nothing();
        run.says(&format!("error: {store} cannot be used\n")).says(why);
    }
    assert_eq!(sandbox.names(""), ["a.img"]);
}

#[test]
fn what_a_store_consists_of_is_no_target() {
    let sandbox = Sandbox::new();
    sandbox.write("a.img", &image::noise(1, 100_000));
    sandbox.chunk("make --version 1 a.img").succeeds();
    std::os::unix::fs::symlink("store/a.img.cidx", sandbox.path("link")).expect("made");
    let pack = sandbox.names("store/packs").remove(0);
    let before = fingerprint(sandbox.root());
    for target in
        ["store/a.img.cidx", "store/a.img@1.cidx", "link", "store/packs/new", &format!("store/packs/{pack}")]
    {
        for verb in ["extract --force", "extract --in-place", "extract", "plan"] {
            let run = sandbox.chunk(&format!("{verb} store/a.img {target}")).fails(2).answers_nothing();
            run.says("which must not be overwritten").says("hint: ");
        }
    }
    assert_eq!(fingerprint(sandbox.root()), before);
    sandbox.chunk("extract store/a.img store/copy").succeeds();
}
