//! `chunk make`: what is published, under which name, and what is said about it.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::fingerprint::{fingerprint, served};
use crate::oracle::hex;
use crate::sandbox::{Sandbox, keys, number, string};
use crate::{image, oracle};

#[test]
fn the_first_version_goes_to_store_in_the_current_directory() {
    let sandbox = Sandbox::new();
    sandbox.write("image.ext4", &image::disk(1));
    let run = sandbox.chunk("make image.ext4").succeeds();
    assert!(run.text().starts_with("published image.ext4@1: image 5.40 MB, new 3.0"), "{run}");
    assert_eq!(run.text().lines().count(), 1, "{run}");
    assert_eq!(sandbox.names(""), ["image.ext4", "store"]);
    assert_eq!(sandbox.names("store"), ["image.ext4.cidx", "image.ext4@1.cidx", "lookup", "packs", "tmp"]);
    assert_eq!(sandbox.read("store/image.ext4.cidx"), sandbox.read("store/image.ext4@1.cidx"));
}

#[test]
fn the_answer_in_json_counts_what_was_published() {
    let sandbox = Sandbox::new();
    let image = image::disk(1);
    sandbox.write("a.img", &image);
    let answer = sandbox.chunk("make --json a.img").succeeds().json();
    let expected_keys = [
        "again_bytes",
        "blake3",
        "chunks",
        "id",
        "image",
        "image_bytes",
        "index_bytes",
        "label",
        "name",
        "new_bytes",
        "new_chunks",
        "outcome",
        "packs",
        "patches",
        "release",
        "seconds",
        "sha256",
        "stored_bytes",
    ];
    assert_eq!(keys(&answer), expected_keys);
    for (key, value) in [
        ("image", json!("a.img")),
        ("outcome", json!("published")),
        ("name", json!("a.img")),
        ("label", json!("1")),
        ("release", json!(1)),
        ("sha256", json!(null)),
        ("image_bytes", json!(image.len())),
        ("blake3", json!(blake3::hash(&image).to_string())),
        ("index_bytes", json!(sandbox.read("store/a.img.cidx").len())),
        ("packs", json!(1)),
    ] {
        assert_eq!(answer[key], value, "{key}");
    }
    let chunks = oracle::chunks(&image);
    let new: Vec<_> = chunks.iter().filter(|chunk| !chunk.is_zero).collect();
    assert_eq!(number(&answer, "chunks"), chunks.len() as u64);
    assert_eq!(number(&answer, "new_chunks"), new.len() as u64);
    let new_bytes: u64 = new.iter().map(|chunk| chunk.image.end - chunk.image.start).sum();
    assert_eq!(number(&answer, "new_bytes"), new_bytes);
    let pack = format!("store/packs/{}", sandbox.names("store/packs")[0]);
    assert_eq!(number(&answer, "stored_bytes"), sandbox.read(pack).len() as u64);
    assert!(string(&answer, "seconds").parse::<f64>().is_ok(), "{answer}");
}

#[test]
fn what_is_said_on_the_command_line_is_in_the_record() {
    let sandbox = Sandbox::new();
    let image = image::prose(7, 50_000);
    sandbox.write("rootfs.img", &image);
    sandbox
        .chunk(
            "make --store out --name board --version 2.0-rc+1 --compatible board-a --arch aarch64 \
             --annotate build=42 --annotate url=https://example.org/?a=b --sha256 rootfs.img",
        )
        .succeeds();
    assert_eq!(sandbox.names(""), ["out", "rootfs.img"]);
    let info = sandbox.chunk("info --json out/board@2.0-rc+1.cidx").succeeds().json();
    assert_eq!(info["name"], "board");
    assert_eq!(info["label"], "2.0-rc+1");
    assert_eq!(info["sha256"], hex(&Sha256::digest(&image)));
    let annotations = json!({
        "arch": "aarch64", "build": "42", "compatible": "board-a", "url": "https://example.org/?a=b",
    });
    assert_eq!(info["annotations"], annotations);
}

#[test]
fn an_image_from_stdin_needs_a_name_and_is_the_same_as_from_a_file() {
    let sandbox = Sandbox::new();
    let image = image::disk(3);
    sandbox.chunk_reading("make -", &image).fails(2).says("hint: give it one with --name").answers_nothing();
    sandbox.chunk_reading("make --store piped --name a.img -", &image).succeeds();
    sandbox.write("a.img", &image);
    sandbox.chunk("make --store read a.img").succeeds();
    assert_eq!(served(&sandbox.path("piped")), served(&sandbox.path("read")));
}

#[test]
fn several_images_are_published_in_one_call_and_share_what_they_share() {
    let sandbox = Sandbox::new();
    sandbox.write("a.img", &image::disk(1));
    sandbox.write("b.img", &image::next_version(&image::disk(1)));
    let run = sandbox.chunk("make --json --version 9 a.img b.img").succeeds();
    let answers: Vec<serde_json::Value> =
        run.text().lines().map(|line| serde_json::from_str(line).expect("one answer on each line")).collect();
    let [a, b] = &answers[..] else { panic!("two answers: {run}") };
    assert_eq!((string(a, "name"), string(b, "name")), ("a.img", "b.img"));
    assert!(number(a, "new_bytes") > 2_900_000, "{a}");
    assert!(number(b, "new_bytes") < number(a, "new_bytes") / 4, "{b}");
    assert_eq!(sandbox.chunk("list").succeeds().text().lines().count(), 2);
    sandbox.chunk("make --name both a.img b.img").fails(2).says("--name fits one image only");
}

#[test]
fn the_same_image_again_is_unchanged_and_nothing_is_written() {
    let sandbox = Sandbox::new();
    sandbox.write("a.img", &image::disk(1));
    sandbox.chunk("make --version 1.0 a.img").succeeds();
    let before = fingerprint(&sandbox.path("store"));
    for arguments in ["make --version 1.0 a.img", "make a.img", "make --jobs 1 a.img"] {
        let run = sandbox.chunk(arguments).succeeds();
        assert!(run.text().starts_with("unchanged a.img@1.0: image 5.40 MB, new 0 B, stored 0 B"), "{run}");
        let answer = sandbox.chunk(&format!("{arguments} --json")).succeeds().json();
        assert_eq!(answer["outcome"], "unchanged");
        assert_eq!((number(&answer, "new_chunks"), number(&answer, "packs")), (0, 0));
    }
    assert_eq!(fingerprint(&sandbox.path("store")), before);
}

#[test]
fn a_new_version_becomes_the_newest_and_the_old_one_stays() {
    let sandbox = Sandbox::new();
    let (old, new) = (image::disk(1), image::next_version(&image::disk(1)));
    sandbox.write("a.img", &old);
    sandbox.chunk("make a.img").succeeds();
    let old_index = sandbox.read("store/a.img@1.cidx");
    sandbox.write("a.img", &new);
    let answer = sandbox.chunk("make --json a.img").succeeds().json();
    assert_eq!((string(&answer, "label"), number(&answer, "release")), ("2", 2));
    assert_eq!(sandbox.read("store/a.img.cidx"), sandbox.read("store/a.img@2.cidx"));
    assert_eq!(sandbox.read("store/a.img@1.cidx"), old_index);
    assert!(sandbox.chunk("cat store/a.img@1.cidx").succeeds().stdout == old);
    assert!(sandbox.chunk("cat store/a.img.cidx").succeeds().stdout == new);
}

#[test]
fn a_label_never_changes_its_image() {
    let sandbox = Sandbox::new();
    sandbox.write("a.img", &image::prose(1, 100_000));
    sandbox.write("b.img", &image::prose(2, 100_000));
    sandbox.chunk("make --version 1.0 a.img").succeeds();
    let index = sandbox.read("store/a.img.cidx");
    sandbox
        .chunk("make --version 1.0 --name a.img b.img")
        .fails(12)
        .says("a.img@1.0.cidx exists and is another image")
        .says("hint: choose another --version");
    assert_eq!(sandbox.read("store/a.img.cidx"), index);
    assert_eq!(sandbox.read("store/a.img@1.0.cidx"), index);
}

#[test]
fn the_same_image_with_another_label_is_another_version_that_adds_no_chunk() {
    let sandbox = Sandbox::new();
    sandbox.write("a.img", &image::disk(1));
    sandbox.chunk("make --version 1.0 a.img").succeeds();
    let packs = sandbox.names("store/packs");
    let answer = sandbox.chunk("make --json --version 1.0-final a.img").succeeds().json();
    assert_eq!((string(&answer, "outcome"), number(&answer, "release")), ("published", 2));
    assert_eq!(sandbox.names("store/packs"), packs);
}

#[test]
fn the_number_of_threads_changes_no_byte_of_the_store() {
    let sandbox = Sandbox::new();
    sandbox.write("a.img", &image::disk(5));
    for jobs in ["1", "2", "5"] {
        sandbox.chunk(&format!("make --jobs {jobs} --store {jobs} a.img")).succeeds();
        assert_eq!(served(&sandbox.path(jobs)), served(&sandbox.path("1")), "{jobs} threads");
    }
}

#[test]
fn sizes_of_chunks_and_frames_are_taken_within_their_limits() {
    let sandbox = Sandbox::new();
    let image = image::disk(1);
    sandbox.write("a.img", &image);
    sandbox.chunk("make --chunk-size 32KiB --frame-size 64K --level -1 a.img").succeeds();
    let info = sandbox.chunk("info --json store/a.img").succeeds().json();
    assert_eq!(info["cut"], json!({ "min": 8192, "avg": 32768, "max": 262_144, "level": 2 }));
    let longest_frame = oracle::packs(&sandbox.path("store"))
        .into_values()
        .flat_map(|pack| pack.frames)
        .map(|frame| frame.file.end - frame.file.start)
        .max();
    assert!(longest_frame < Some((64 << 10) + 262_144), "{longest_frame:?}");
    assert!(sandbox.chunk("cat store/a.img").succeeds().stdout == image);
    for (arguments, why) in [
        ("--chunk-size 10000", "--chunk-size"),
        ("--chunk-size 128", "--chunk-size"),
        ("--chunk-size 4GiB", "--chunk-size is too large"),
        ("--frame-size 1", "--frame-size must be 4KiB to 2MiB"),
        ("--frame-size 3MiB", "--frame-size must be 4KiB to 2MiB"),
    ] {
        sandbox.chunk(&format!("make {arguments} a.img")).fails(2).says(why).answers_nothing();
    }
}

#[test]
fn images_shorter_than_a_chunk_are_images_too() {
    let sandbox = Sandbox::new();
    for image in [vec![], b"x".to_vec(), vec![0; 1 << 20], vec![0; 3_000_000]] {
        let name = format!("{}.img", image.len());
        sandbox.write(&name, &image);
        sandbox.chunk(&format!("make --store short {name}")).succeeds();
        assert_eq!(sandbox.chunk(&format!("cat short/{name}")).succeeds().stdout, image, "{name}");
    }
    assert_eq!(sandbox.names("short/packs").len(), 1, "only the one byte that is not zero was stored");
    sandbox.chunk("verify short").succeeds();
}
