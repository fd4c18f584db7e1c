//! `verify TARGET INDEX`: what is wrong is named, and `--repair` writes that and nothing else.

use crate::extract::two_versions;
use crate::fingerprint::fingerprint;
use crate::sandbox::{Sandbox, number, string};

#[test]
fn a_target_is_verified_and_only_what_is_wrong_is_rewritten() {
    let sandbox = Sandbox::new();
    let (_, new) = two_versions(&sandbox);
    sandbox.write("out", &new);
    let run = sandbox.chunk("verify out store/a.img.cidx").succeeds();
    assert!(run.text().contains("kept      5.40 MB"), "{run}");
    let answer = sandbox.chunk("verify --json out store/a.img.cidx").succeeds().json();
    assert_eq!(string(&answer, "outcome"), "verified");
    let mut rotten = new.clone();
    rotten[1_234_567] ^= 4;
    sandbox.write("out", &rotten);
    let run = sandbox.chunk("verify --json out store/a.img.cidx");
    assert_eq!(run.code(), Some(6), "{run}");
    let answer = run.json();
    assert_eq!(string(&answer, "outcome"), "wrong");
    assert_eq!(answer["wrong"], serde_json::json!([{"offset": 1 << 20, "bytes": 1 << 20}]), "{answer}");
    assert_eq!([number(&answer, "wrong_bytes"), number(&answer, "surplus_bytes")], [1 << 20, 0]);
    let before = fingerprint(sandbox.root());
    let run = sandbox.chunk("verify out store/a.img.cidx").fails(6);
    assert!(run.text().ends_with("\nwrong     1.04 MB at byte 1048576\n"), "{run}");
    let run = run.says("out is not the image: 1048576 bytes in wrong blocks");
    run.says("hint: --repair");
    assert_eq!(fingerprint(sandbox.root()), before, "it was only looked at");
    let answer = sandbox.chunk("verify --json --repair out store/a.img.cidx").succeeds().json();
    assert_eq!(number(&answer, "write_bytes"), 4096, "one page");
    assert_eq!(answer["wrong"], serde_json::json!([{"offset": 1 << 20, "bytes": 1 << 20}]), "{answer}");
    assert!(number(&answer, "missing_bytes") < 100_000, "{answer}");
    assert_eq!(string(&answer, "outcome"), "repaired");
    assert!(sandbox.read("out") == new);
    sandbox.write("out", &rotten);
    let run = sandbox.chunk("verify --repair out store/a.img.cidx").succeeds();
    assert!(run.text().contains("\nrepaired out: image 5.40 MB, "), "{run}");
    let answer = sandbox.chunk("verify --json --repair out store/a.img.cidx").succeeds().json();
    assert_eq!((string(&answer, "outcome"), number(&answer, "write_bytes")), ("unchanged", 0));
    let run = sandbox.chunk("verify none store/a.img.cidx").fails(7);
    run.says("the target none does not exist").says("hint: `chunk verify TARGET INDEX`");
}

/// Neighbours are one range, and the last block is as short as the image leaves it.
#[test]
fn wrong_ranges_are_named_to_their_last_byte() {
    let sandbox = Sandbox::new();
    let (_, new) = two_versions(&sandbox);
    let mut rotten = new.clone();
    rotten[0] ^= 1;
    let len = rotten.len();
    rotten[len - 1] ^= 1;
    rotten[len - 1 - (1 << 20)] ^= 1;
    rotten.extend_from_slice(b"and more");
    sandbox.write("out", &rotten);
    let answer = sandbox.chunk("verify --json out store/a.img.cidx").json();
    let tail = (len as u64 - 1 - (1 << 20)) >> 20 << 20;
    let wrong = serde_json::json!([
        {"offset": 0, "bytes": 1 << 20},
        {"offset": tail, "bytes": len as u64 - tail},
    ]);
    assert_eq!(answer["wrong"], wrong);
    assert_eq!(number(&answer, "surplus_bytes"), 8);
    let run = sandbox.chunk("verify out store/a.img.cidx").fails(6);
    run.says("and it is 8 bytes longer");
}

#[test]
fn of_a_file_that_is_only_too_long_no_block_is_wrong() {
    let sandbox = Sandbox::new();
    let (_, new) = two_versions(&sandbox);
    let longer = [&new[..], b"more"].concat();
    sandbox.write("out", &longer);
    let run = sandbox.chunk("verify out store/a.img.cidx").fails(6);
    let text = run.text().to_owned();
    run.says("out is not the image: it is 4 bytes longer");
    assert!(text.contains("\ncut off   4 B\n") && !text.contains("wrong"), "{text}");
    let answer = sandbox.chunk("verify --json out store/a.img.cidx").json();
    assert_eq!([number(&answer, "wrong_bytes"), number(&answer, "surplus_bytes")], [0, 4], "{answer}");
    assert_eq!(string(&answer, "outcome"), "wrong");
    let run = sandbox.chunk("verify --repair out store/a.img.cidx").succeeds();
    assert!(
        run.text().starts_with("repaired out: ") && run.text().contains("written 0 B, cut off 4 B"),
        "{run}"
    );
    assert!(sandbox.read("out") == new);
    sandbox.write("out", &longer);
    let answer = sandbox.chunk("extract --json --in-place store/a.img.cidx out").succeeds().json();
    assert_eq!(string(&answer, "outcome"), "extracted", "it was changed");
    assert!(sandbox.read("out") == new);
}
