//! The ways to say which version is meant.

use crate::image;
use crate::sandbox::{Sandbox, string};
use crate::system;

/// A line with the versions `old` and `new`; the ids of both.
fn store() -> (Sandbox, [String; 2]) {
    let sandbox = Sandbox::new();
    let ids = [("old", 1), ("new", 2)].map(|(label, seed)| {
        sandbox.write("a.img", &image::prose(seed, 30_000));
        let answer = sandbox.chunk(&format!("make --json --version {label} a.img")).succeeds().json();
        string(&answer, "id").to_owned()
    });
    (sandbox, ids)
}

/// The label of the version that `index` means.
#[track_caller]
fn label(sandbox: &Sandbox, index: &str) -> String {
    let info = sandbox.chunk(&format!("info --json {index}")).succeeds().json();
    string(&info, "label").to_owned()
}

#[test]
fn a_version_is_found_by_file_by_name_and_by_label() {
    let (sandbox, _) = store();
    for (index, expected) in [
        ("store/a.img.cidx", "new"),
        ("store/a.img", "new"),
        ("store/a.img@old.cidx", "old"),
        ("store/a.img@old", "old"),
        ("./store/../store/a.img@new", "new"),
    ] {
        assert_eq!(label(&sandbox, index), expected, "{index}");
    }
}

#[test]
fn a_version_is_found_by_the_first_digits_of_its_id_or_of_its_image() {
    let (sandbox, [old, new]) = store();
    let image = blake3::hash(&image::prose(1, 30_000)).to_string();
    for (digits, expected) in [(&old, "old"), (&new, "new"), (&image, "old")] {
        for len in [8, 16, 64] {
            assert_eq!(label(&sandbox, &format!("store/a.img@{}", &digits[..len])), expected);
            assert_eq!(label(&sandbox, &format!("store/a.img@blake3:{}", &digits[..len])), expected);
        }
    }
    assert!(
        sandbox.chunk(&format!("cat store/a.img@{}", &old[..8])).succeeds().stdout == image::prose(1, 30_000)
    );
}

#[test]
fn a_version_that_is_not_there_is_missing() {
    let (sandbox, [old, _]) = store();
    for index in [
        "store/b.img",
        "store/a.img@older",
        "store/a.img@0123456789abcdef",
        &format!("store/b.img@{old}"),
        &format!("store/a.img@{}", &old[..7]),
        &format!("store/a.img@{}", old.to_uppercase()),
        &format!("store/a.img@{old}0"),
        "elsewhere/a.img",
    ] {
        sandbox
            .chunk(&format!("info {index}"))
            .fails(7)
            .says(&format!("error: there is no index {index}\n"))
            .says("hint: `chunk list DIR`")
            .answers_nothing();
    }
}

#[test]
fn digits_that_fit_two_versions_are_refused_and_both_are_named() {
    let (sandbox, ids) = store();
    sandbox.chunk("make --version newer a.img").succeeds();
    let image = blake3::hash(&image::prose(2, 30_000)).to_string();
    sandbox
        .chunk(&format!("info store/a.img@{}", &image[..12]))
        .fails(2)
        .says("store/a.img@new.cidx")
        .says("store/a.img@newer.cidx");
    assert_eq!(label(&sandbox, &format!("store/a.img@{}", &ids[1][..12])), "new");
}

#[test]
fn a_label_that_looks_like_digits_of_an_id_is_a_label_first() {
    let (sandbox, [old, _]) = store();
    sandbox.write("a.img", &image::prose(3, 30_000));
    sandbox.chunk(&format!("make --version {} a.img", &old[..8])).succeeds();
    assert_eq!(label(&sandbox, &format!("store/a.img@{}", &old[..8])), &old[..8]);
    assert_eq!(label(&sandbox, &format!("store/a.img@{}", &old[..9])), "old");
}

#[test]
fn a_store_is_no_index() {
    let (sandbox, _) = store();
    for verb in ["info", "cat", "diff a.img"] {
        sandbox.chunk(&format!("{verb} store")).fails(2).says("error: store is a directory\n").says("hint: ");
    }
}

#[test]
fn a_pipe_is_no_index() {
    let (sandbox, _) = store();
    system::run("mkfifo", &[sandbox.path("pipe").to_str().expect("plain")]).expect("a pipe");
    for arguments in ["info pipe", "extract pipe out", "plan pipe out"] {
        sandbox.chunk(arguments).fails(2).says("error: pipe is not a file").says("hint: write it to a file");
    }
}
