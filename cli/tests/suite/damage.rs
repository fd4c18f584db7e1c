//! Damaged indexes: nothing is read from them, whatever byte it is.

use crate::image;
use crate::sandbox::{Sandbox, number, string};

/// A store with two versions, and the bytes of the first one's index.
fn published() -> (Sandbox, Vec<u8>) {
    let sandbox = Sandbox::new();
    for (label, image) in [("1", image::disk(1)), ("2", image::next_version(&image::disk(1)))] {
        sandbox.write("a.img", &image);
        sandbox.chunk(&format!("make --version {label} a.img")).succeeds();
    }
    let index = sandbox.read("store/a.img@1.cidx");
    (sandbox, index)
}

/// Asserts that the damaged index of version 1 is refused by all and blamed alone.
#[track_caller]
fn is_refused(sandbox: &Sandbox, damage: &str) {
    for verb in ["info", "cat", "diff a.img", "verify"] {
        let run = sandbox.chunk(&format!("{verb} store/a.img@1.cidx"));
        assert_eq!(run.code(), Some(3), "{damage}: {run}");
    }
    sandbox.chunk("cat store/a.img@1").fails(3).answers_nothing();
    let run = sandbox.chunk("verify --json");
    assert_eq!(run.code(), Some(3), "{damage}: {run}");
    let answer = run.json();
    assert_eq!(number(&answer, "versions"), 2);
    let [version] = &answer["damaged_versions"].as_array().expect("a list")[..] else {
        panic!("{damage}: {answer}")
    };
    assert_eq!(string(version, "object"), "a.img@1.cidx");
    assert!(string(version, "damage").starts_with("index refused at byte "), "{damage}: {answer}");
    assert_eq!(answer["damaged_packs"], serde_json::json!([]));
}

#[test]
fn an_index_with_a_flipped_byte_is_refused() {
    let (sandbox, index) = published();
    // That every byte matters, the index crate shows; here a few from each part do.
    for at in (0..index.len()).step_by(index.len() / 17) {
        let mut damaged = index.clone();
        damaged[at] ^= 0x01;
        sandbox.write("store/a.img@1.cidx", &damaged);
        is_refused(&sandbox, &format!("byte {at}"));
    }
}

#[test]
fn an_index_of_another_length_is_refused() {
    let (sandbox, index) = published();
    for len in [0, 1, 47, 48, index.len() / 2, index.len() - 1] {
        sandbox.write("store/a.img@1.cidx", &index[..len]);
        is_refused(&sandbox, &format!("{len} bytes"));
    }
    sandbox.write("store/a.img@1.cidx", &[&index[..], b"\0"].concat());
    is_refused(&sandbox, "one byte more");
}

#[test]
fn a_damaged_version_keeps_no_other_from_being_published() {
    let (sandbox, index) = published();
    sandbox.write("store/a.img@1.cidx", &index[..100]);
    sandbox.write("a.img", &image::disk(2));
    let answer = sandbox.chunk("make --json a.img").succeeds().json();
    assert_eq!((number(&answer, "release"), string(&answer, "label")), (3, "3"));
    let lost = &answer["patches"][0];
    assert_eq!(string(lost, "base"), "1");
    assert!(string(lost, "none_because").contains("a.img@1.cidx is damaged"), "{lost}");
    assert!(sandbox.chunk("cat store/a.img").succeeds().stdout == image::disk(2));
    sandbox.chunk("make --version 1 a.img").fails(3).says("a.img@1.cidx is damaged");
}

#[test]
fn the_name_of_the_newest_version_is_restored_by_making_it_again() {
    let (sandbox, index) = published();
    let newest = sandbox.read("store/a.img.cidx");
    sandbox.write("store/a.img.cidx", &index[..100]);
    sandbox.chunk("make a.img").succeeds();
    assert_eq!(sandbox.read("store/a.img.cidx"), newest);
    std::fs::remove_file(sandbox.path("store/a.img.cidx")).expect("the index is there");
    sandbox.chunk("make a.img").succeeds();
    assert_eq!(sandbox.read("store/a.img.cidx"), newest);
    sandbox.chunk("verify").succeeds();
}

#[test]
fn a_damaged_newest_index_is_replaced_by_the_next_version() {
    let (sandbox, index) = published();
    sandbox.write("store/a.img.cidx", &index[..100]);
    sandbox.chunk("cat store/a.img").fails(3);
    sandbox.write("a.img", &image::disk(2));
    let answer = sandbox.chunk("make --json a.img").succeeds().json();
    assert_eq!(number(&answer, "release"), 3, "releases go on where they were");
    sandbox.chunk("verify").succeeds();
}

#[test]
fn a_version_whose_index_was_damaged_is_restored_below_the_newest() {
    let (sandbox, index) = published();
    let newest = sandbox.read("store/a.img.cidx");
    let id = |sandbox: &Sandbox| sandbox.chunk("info --json store/a.img@1").succeeds().json()["id"].clone();
    let lost = id(&sandbox);
    sandbox.write("store/a.img@1.cidx", &index[..100]);
    sandbox.chunk("verify --set-aside").fails(3);
    assert!(sandbox.read("store/a.img@1.cidx.damaged") == index[..100]);
    sandbox.chunk("verify").succeeds();
    sandbox.write("a.img", &image::disk(1));
    let refused = sandbox.chunk("make --version 1 a.img").fails(12).answers_nothing();
    refused
        .says("a.img@1.cidx may be a lost version: the line lacks release 1")
        .says("hint: say which --release");
    let run = sandbox.chunk("make --release 1 a.img").succeeds();
    assert!(run.text().starts_with("restored a.img@1: "), "{run}");
    assert_eq!(id(&sandbox), lost, "it is the same version again");
    assert!(sandbox.read("store/a.img.cidx") == newest);
    sandbox.chunk("verify").succeeds();
    sandbox.write("b.img", b"other");
    sandbox.chunk("make --release 2 --name a.img b.img").fails(12).says("choose another --version");
    sandbox
        .chunk("make --release 2 --version b --name a.img b.img")
        .fails(12)
        .says("release 2 is a.img@2.cidx");
    sandbox.chunk("make --release 3 a.img b.img").fails(2).says("--release fits one image only");
    sandbox.chunk("make --release 0 a.img").fails(2);
}
