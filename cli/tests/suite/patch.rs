//! `chunk patch`, and what the other verbs make of patches.

use std::fs;

use serde_json::json;

use crate::image;
use crate::sandbox::{Sandbox, number, string};

/// A store with two versions and no patch between them.
fn store() -> (Sandbox, Vec<u8>) {
    let sandbox = Sandbox::new();
    let old = image::disk(3);
    let new = image::next_version(&old);
    sandbox.write("old", &old);
    sandbox.write("new", &new);
    sandbox.chunk("make --name a.img old").succeeds();
    sandbox.chunk("make --name a.img --no-patch new").succeeds();
    (sandbox, new)
}

#[test]
fn a_patch_that_is_added_later_is_listed_verified_and_used() {
    let (sandbox, new) = store();
    let before = sandbox.chunk("info --json store/a.img.cidx").succeeds().json();
    assert_eq!(before["patches"], json!([]));
    let made = sandbox.chunk("patch --json store/a.img@1.cidx store/a.img.cidx").succeeds().json();
    assert_eq!(string(&made, "base"), "1");
    let after = sandbox.chunk("info --json store/a.img@2.cidx").succeeds().json();
    assert_eq!(after["id"], before["id"]);
    assert_eq!(after["patches"][0]["patch"], made["patch"]);
    assert_eq!(number(&sandbox.chunk("verify --json").succeeds().json(), "patches"), 1);
    let done = sandbox.chunk("extract --json --seed old store/a.img.cidx out").succeeds().json();
    assert_eq!(number(&done, "download_bytes"), number(&made, "patch_bytes"));
    assert!(sandbox.read("out") == new);
    let frames = sandbox.chunk("plan --json --no-patch --seed old store/a.img.cidx out2").succeeds().json();
    assert!(number(&frames, "download_bytes") > number(&done, "download_bytes"), "{frames}");
}

#[test]
fn a_plan_tells_what_every_way_would_download_if_asked() {
    let (sandbox, new) = store();
    let made = sandbox.chunk("patch --json store/a.img@1.cidx store/a.img.cidx").succeeds().json();
    let plan = "plan --seed old store/a.img.cidx out";
    let frames = sandbox.chunk(&format!("{plan} --no-patch --json")).succeeds().json();
    let frames = number(&frames, "download_bytes") - number(&frames, "index_bytes");
    let told = sandbox.chunk(&format!("{plan} --ways --json")).succeeds().json();
    let patch = number(&made, "patch_bytes");
    let ways = json!([
        {"patches": 1, "seed": "old", "is_changed": false, "download_bytes": patch},
        {"patches": 0, "is_changed": false, "download_bytes": frames},
    ]);
    assert_eq!(told["ways"], ways);
    assert!(sandbox.chunk(&format!("{plan} --json")).succeeds().json().get("ways").is_none());
    let text = sandbox.chunk(&format!("{plan} --ways")).succeeds().text().to_owned();
    assert!(text.contains("by a patch from old\n") && text.ends_with(" by frames\n"), "{text}");
    // The old image, mounted since.
    sandbox.chunk("extract --state state store/a.img@1.cidx slot").succeeds();
    let mut slot = sandbox.read("slot");
    slot[1080] ^= 1;
    sandbox.write("slot", &slot);
    let plan = "--state state --seed slot store/a.img.cidx out";
    // By frames the slot is scanned, and its remembered index does not fit it any more, of which it may warn.
    let run = sandbox.chunk(&format!("plan --ways {plan}"));
    assert_eq!(run.code(), Some(0), "{run}");
    let text = run.text();
    assert!(text.contains("by a patch from slot, mended first\n"), "{text}");
    sandbox.chunk(&format!("extract {plan}")).succeeds();
    assert!(sandbox.read("out") == new);
}

#[test]
fn a_plan_of_all_ways_reads_and_warns_once() {
    let (sandbox, _) = store();
    sandbox.chunk("patch store/a.img@1.cidx store/a.img.cidx").succeeds();
    let old = sandbox.read("old");
    let plan = |arguments: &str| sandbox.chunk_reading(&format!("plan --json {arguments}"), &old);
    let alone = plan("--seed - store/a.img.cidx out").succeeds().json();
    let frames = plan("--no-patch --seed - store/a.img.cidx out").succeeds().json();
    let run = plan("--ways --seed - --seed nowhere store/a.img.cidx out");
    assert_eq!(run.stderr.matches("nowhere").count(), 1, "{run}");
    let told = run.json();
    let of_frames = number(&frames, "download_bytes") - number(&frames, "index_bytes");
    assert_eq!(told["download_bytes"], alone["download_bytes"]);
    assert_eq!(told["ways"][1]["download_bytes"], of_frames, "stdin was there for both: {told}");
}

#[test]
fn a_plan_of_all_ways_leaves_out_those_that_the_store_does_not_have() {
    let (sandbox, _) = store();
    sandbox.chunk("patch store/a.img@1.cidx store/a.img.cidx").succeeds();
    for name in sandbox.names("store/patches") {
        fs::remove_file(sandbox.path(format!("store/patches/{name}"))).expect("it is there");
    }
    let run = sandbox.chunk("plan --ways --json --seed old store/a.img.cidx out");
    assert_eq!(run.code(), Some(0), "{run}");
    let ways = run.json()["ways"].clone();
    assert_eq!(ways.as_array().map(Vec::len), Some(1), "{ways}");
    assert_eq!(ways[0]["patches"], 0, "{ways}");
}

#[test]
fn make_patches_from_the_release_before_and_from_those_named() {
    let (sandbox, new) = store();
    let third = image::next_version(&new);
    sandbox.write("third", &third);
    let made = sandbox.chunk("make --json --name a.img --patch-from @1 third").succeeds().json();
    let bases: Vec<_> =
        made["patches"].as_array().expect("a list").iter().map(|made| string(made, "base")).collect();
    assert_eq!(bases, ["1", "2"]);
}

#[test]
fn versions_of_two_stores_have_no_patch() {
    let (sandbox, _) = store();
    sandbox.chunk("make --store other --name b.img old").succeeds();
    sandbox.chunk("patch other/b.img.cidx store/a.img.cidx").fails(2).says("is not in the store");
    sandbox.chunk("make --name c.img --patch-from other/b.img.cidx new").fails(2);
    sandbox.chunk("patch store/a.img@9.cidx store/a.img.cidx").fails(7);
}
