//! `chunk list`: the versions of a store.

use serde_json::json;

use crate::image;
use crate::sandbox::{Sandbox, keys, string};

/// Two lines, the first with two versions.
fn store() -> Sandbox {
    let sandbox = Sandbox::new();
    for (file, version, seed) in [("b.img", "10", 1), ("b.img", "9", 2), ("a.img", "x", 3)] {
        sandbox.write(file, &image::prose(seed, 20_000));
        sandbox.chunk(&format!("make --version {version} {file}")).succeeds();
    }
    sandbox
}

#[test]
fn versions_are_listed_by_line_and_release_and_the_newest_is_marked() {
    let sandbox = store();
    let list = sandbox.chunk("list --json").succeeds().json();
    let list = list.as_array().expect("a list");
    let rows: Vec<_> = list
        .iter()
        .map(|version| json!([version["name"], version["label"], version["release"], version["newest"]]))
        .collect();
    assert_eq!(
        rows,
        [json!(["a.img", "x", 1, true]), json!(["b.img", "10", 1, false]), json!(["b.img", "9", 2, true])]
    );
    let expected_keys = [
        "annotations",
        "blake3",
        "file",
        "id",
        "image_bytes",
        "label",
        "name",
        "newest",
        "release",
        "sha256",
    ];
    assert_eq!(keys(&list[0]), expected_keys);
    assert_eq!(list[1]["file"], "b.img@10.cidx");
    assert_eq!(list[1]["blake3"], blake3::hash(&image::prose(1, 20_000)).to_string());
    let run = sandbox.chunk("list store").succeeds();
    let lines: Vec<_> = run.text().lines().collect();
    let id = list[1]["id"].as_str().expect("a text");
    assert_eq!(lines.len(), 3, "{run}");
    assert_eq!(lines[1], format!("b.img@10  release 1  {}  20.0 kB", &id[..16]));
    assert!(lines[0].ends_with("  newest") && lines[2].ends_with("  newest"), "{run}");
}

#[test]
fn an_empty_store_has_no_versions_and_a_missing_one_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.chunk("list").fails(7).says("store: No such file or directory");
    std::fs::create_dir(sandbox.path("store")).expect("the sandbox can be written");
    sandbox.chunk("list").succeeds().answers_nothing();
    assert_eq!(sandbox.chunk("list --json").succeeds().json(), json!([]));
}

#[test]
fn other_files_in_a_store_are_nobodys_business() {
    let sandbox = store();
    let before = sandbox.chunk("list").succeeds();
    for file in ["README", "a.cidx.tmp", "a b@1.cidx", ".hidden.cidx", "a.img@.cidx"] {
        sandbox.write(format!("store/{file}"), b"not an index");
    }
    assert_eq!(sandbox.chunk("list").succeeds().stdout, before.stdout);
    sandbox.chunk("verify").succeeds();
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_listed() {
    let sandbox = store();
    sandbox.write("store/b.img@10.cidx", b"chunkidx and then nothing");
    let run =
        sandbox.chunk("list").fails(3).says("b.img@10.cidx cannot be used").says("hint: `chunk verify`");
    let labels: Vec<_> = run.text().lines().filter_map(|line| line.split("  ").next()).collect();
    assert_eq!(labels, ["a.img@x", "b.img@9"]);
}

#[test]
fn what_cannot_be_read_is_told_as_json_line_by_line() {
    let sandbox = store();
    sandbox.write("store/b.img@10.cidx", b"chunkidx and then nothing");
    let run = sandbox.chunk("list --json");
    assert_eq!(run.code(), Some(3), "{run}");
    let errors: Vec<serde_json::Value> =
        run.stderr.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let told: Vec<_> = errors.iter().map(|error| string(error, "error")).collect();
    assert_eq!(told, ["store/b.img@10.cidx cannot be used", "1 index of store cannot be read"]);
    assert_eq!(run.json().as_array().expect("a list").len(), 2);
}
