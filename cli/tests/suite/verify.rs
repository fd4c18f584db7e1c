//! `chunk verify`: whole is called whole; what is damaged is found and named, and `make` mends it.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::fingerprint::served;
use crate::image;
use crate::oracle::{PACK_TRAILER, Pack};
use crate::sandbox::{Sandbox, keys, number, string};

/// Two lines: `a.img` with a second version that adds a pack of its own, and `b.img` that shares nothing.
struct Store {
    sandbox: Sandbox,
    /// The packs in the order of publishing: of `a.img@1`, of `a.img@2`, of `b.img@1`.
    packs: [String; 3],
}

impl Store {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let first = [image::noise(1, 600_000), image::prose(2, 900_000)].concat();
        let second = [first.clone(), image::noise(3, 700_000)].concat();
        let mut known = Vec::new();
        let packs = [("a1", first), ("a2", second), ("b1", image::prose(4, 500_000))].map(|(file, image)| {
            sandbox.write(file, &image);
            publish(&sandbox, file);
            let all = sandbox.names("store/packs");
            let mut new = all.iter().filter(|name| !known.contains(*name)).cloned();
            let added = new.next().expect("each image adds a pack");
            assert_eq!(new.next(), None, "each image adds one pack");
            known = all;
            format!("packs/{added}")
        });
        Self { sandbox, packs }
    }

    fn path(&self, pack: usize) -> String {
        format!("store/{}", self.packs[pack])
    }

    /// Changes a pack's bytes.
    fn damage(&self, pack: usize, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.path(pack);
        let mut bytes = self.sandbox.read(&path);
        change(&mut bytes);
        self.sandbox.write(&path, &bytes);
    }

    /// What `verify` says, having failed with `code`.
    #[track_caller]
    fn damaged(&self, code: i32) -> Value {
        let text = self.sandbox.chunk("verify").fails(code).says("hint: `chunk verify --set-aside STORE`");
        assert!(text.text().contains("\ndamaged: "), "{text}");
        let run = self.sandbox.chunk("verify --json");
        assert_eq!(run.code(), Some(code), "{run}");
        let answer = run.json();
        assert_eq!(answer["ok"], false);
        answer
    }

    /// Sets aside what is damaged, which are these objects.
    #[track_caller]
    fn set_aside(&self, code: i32, objects: &[&str]) {
        let run = self.sandbox.chunk("verify --json --set-aside");
        assert_eq!(run.code(), Some(code), "{run}");
        let answer = run.json();
        let renamed = answer["set_aside"].as_array().expect("a list").iter();
        let renamed = renamed.map(|name| name.as_str().and_then(|name| name.split_once(".damaged")));
        assert!(renamed.map(|name| name.expect("a name").0).eq(objects.iter().copied()), "{run}");
    }

    /// Asserts that all images can be published again, and all is as it was.
    #[track_caller]
    fn is_mended_by_make(&self) {
        for file in ["a1", "a2", "b1"] {
            publish(&self.sandbox, file);
        }
        self.sandbox.chunk("verify").succeeds();
        for (index, file) in [("a.img@1", "a1"), ("a.img@2", "a2"), ("a.img", "a2"), ("b.img", "b1")] {
            let run = self.sandbox.chunk(&format!("cat store/{index}")).succeeds();
            assert!(run.stdout == self.sandbox.read(file), "{index}");
        }
    }
}

/// Publishes the file `a1` as `a.img@1` and so on.
fn publish(sandbox: &Sandbox, file: &str) {
    let (line, label) = file.split_at(1);
    sandbox.chunk(&format!("make --quiet --name {line}.img --version {label} {file}")).succeeds();
}

/// The names of damaged objects.
fn objects<'v>(answer: &'v Value, key: &str) -> Vec<&'v str> {
    answer[key].as_array().expect("a list").iter().map(|found| string(found, "object")).collect()
}

const ALL_OF_A: [&str; 3] = ["a.img.cidx", "a.img@1.cidx", "a.img@2.cidx"];
const SECOND_OF_A: [&str; 2] = ["a.img.cidx", "a.img@2.cidx"];

#[test]
fn a_whole_store_is_counted_and_called_whole() {
    let Store { sandbox, packs } = Store::new();
    let answer = sandbox.chunk("verify --json").succeeds().json();
    assert_eq!(
        keys(&answer),
        [
            "chunks",
            "damaged_packs",
            "damaged_patches",
            "damaged_versions",
            "ok",
            "pack_bytes",
            "packs",
            "patches",
            "versions"
        ]
    );
    let files = packs.map(|pack| sandbox.read(format!("store/{pack}")));
    let chunks: usize =
        files.iter().flat_map(|file| Pack::read(file).frames).map(|frame| frame.chunks.len()).sum();
    assert_eq!(
        answer,
        json!({
            "ok": true, "packs": 3, "pack_bytes": files.iter().map(Vec::len).sum::<usize>(),
            "chunks": chunks, "versions": 3, "patches": 1,
            "damaged_packs": [], "damaged_versions": [], "damaged_patches": [],
        })
    );
    let run = sandbox.chunk("verify store").succeeds();
    assert!(run.text().starts_with("whole: 3 versions, 3 packs, "), "{run}");
    assert!(run.text().ends_with(&format!(", {chunks} chunks, 1 patch\n")), "{run}");
}

#[test]
fn one_index_is_verified_with_its_packs_only() {
    let store = Store::new();
    store.damage(2, |bytes| bytes[100] ^= 1);
    let answer = store.sandbox.chunk("verify --json store/a.img@1.cidx").succeeds().json();
    assert_eq!((number(&answer, "versions"), number(&answer, "packs")), (1, 1));
    let answer = store.sandbox.chunk("verify --json store/a.img").succeeds().json();
    assert_eq!((number(&answer, "versions"), number(&answer, "packs")), (1, 2));
    let run = store.sandbox.chunk("verify store/b.img@1").fails(6);
    assert!(run.text().starts_with(&store.packs[2]), "{run}");
    store.sandbox.chunk("verify store/c.img").fails(7).says("there is no index store/c.img");
    store.sandbox.chunk("verify elsewhere").fails(7);
}

#[test]
fn a_byte_flipped_in_a_frame_is_found_with_the_versions_that_need_it() {
    for (pack, versions) in [(0, &ALL_OF_A[..]), (1, &SECOND_OF_A), (2, &["b.img.cidx", "b.img@1.cidx"])] {
        let store = Store::new();
        let frame = Pack::read(&store.sandbox.read(store.path(pack))).frames.remove(0);
        store.damage(pack, |bytes| bytes[usize::try_from(frame.file.end).expect("it fits") - 10] ^= 0x80);
        let answer = store.damaged(6);
        assert_eq!(objects(&answer, "damaged_packs"), [&store.packs[pack]]);
        assert_eq!(objects(&answer, "damaged_versions"), versions);
        let what = string(&answer["damaged_packs"][0], "damage");
        assert!(what.starts_with("1 damaged frame, the first at byte 16"), "{what}");
    }
}

#[test]
fn every_way_to_damage_a_pack_is_found_and_mended() {
    type Way = fn(&mut Vec<u8>);
    let ways: [(&str, Way); 6] = [
        ("a byte of the header", |bytes| bytes[0] ^= 1),
        ("a byte of the first frame", |bytes| bytes[20] ^= 1),
        ("a byte of the table", |bytes| {
            let table = Pack::read(bytes).table.start;
            bytes[table + 9] ^= 1;
        }),
        ("a byte of the trailer", |bytes| {
            let trailer = bytes.len() - PACK_TRAILER;
            bytes[trailer + 20] ^= 1;
        }),
        ("the last byte gone", |bytes| bytes.truncate(bytes.len() - 1)),
        ("no bytes at all", Vec::clear),
    ];
    let store = Store::new();
    for (way, change) in ways {
        store.damage(1, change);
        let answer = store.damaged(6);
        assert_eq!(objects(&answer, "damaged_packs"), [&store.packs[1]], "{way}");
        assert_eq!(objects(&answer, "damaged_versions"), SECOND_OF_A, "{way}");
        store.set_aside(6, &[&store.packs[1]]);
        store.is_mended_by_make();
    }
}

#[test]
fn what_is_set_aside_keeps_its_bytes_and_can_be_put_back() {
    let store = Store::new();
    store.damage(0, |bytes| bytes[20] ^= 1);
    let damaged = store.sandbox.read(store.path(0));
    store.set_aside(6, &[&store.packs[0]]);
    let aside = format!("{}.damaged", store.path(0));
    assert!(store.sandbox.read(&aside) == damaged);
    // Now the whole pack is missing, not a frame of it.
    assert_eq!(objects(&store.damaged(6), "damaged_versions"), ALL_OF_A);
    store.set_aside(6, &[]);
    fs::rename(store.sandbox.path(&aside), store.sandbox.path(store.path(0))).expect("it is there");
    assert_eq!(objects(&store.damaged(6), "damaged_packs"), [&store.packs[0]]);
}

#[test]
fn a_version_whose_image_is_gone_stays_damaged_and_keeps_no_other_from_being_mended() {
    let store = Store::new();
    for pack in [1, 2] {
        store.damage(pack, |bytes| bytes[20] ^= 1);
    }
    let mut both = [&store.packs[1], &store.packs[2]].map(String::as_str);
    both.sort_unstable();
    store.set_aside(6, &both);
    publish(&store.sandbox, "a2");
    let answer = store.damaged(6);
    assert_eq!(objects(&answer, "damaged_versions"), ["b.img.cidx", "b.img@1.cidx"]);
    for (index, file) in [("a.img@1", "a1"), ("a.img@2", "a2"), ("a.img", "a2")] {
        let run = store.sandbox.chunk(&format!("cat store/{index}")).succeeds();
        assert!(run.stdout == store.sandbox.read(file), "{index}");
    }
    store.sandbox.chunk("cat store/b.img").fails(7);
    publish(&store.sandbox, "b1");
    store.sandbox.chunk("verify").succeeds();
}

#[test]
fn a_whole_store_has_nothing_to_set_aside() {
    let Store { sandbox, .. } = Store::new();
    let before = served(&sandbox.path("store"));
    let answer = sandbox.chunk("verify --json --set-aside").succeeds().json();
    assert_eq!((&answer["ok"], &answer["set_aside"]), (&json!(true), &json!([])));
    assert_eq!(served(&sandbox.path("store")), before);
    sandbox.chunk("verify --set-aside store/a.img.cidx").fails(2).says("is no store");
    sandbox.chunk("verify --set-aside elsewhere").fails(7);
}

#[test]
fn nothing_is_set_aside_while_a_publisher_is_at_work() {
    let store = Store::new();
    store.damage(0, |bytes| bytes[20] ^= 1);
    let mut command = store.sandbox.command(["make", "--name", "c.img", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut publisher = command.spawn().expect("the binary can be started");
    let mut stdin = publisher.stdin.take().expect("stdin is piped");
    // More than a pipe holds: when it is taken, the store is open.
    stdin.write_all(&image::noise(9, 1 << 20)).expect("the command reads");
    let run = store.sandbox.chunk("verify --set-aside").fails(12).answers_nothing();
    run.says("somebody is writing to store");
    drop(stdin);
    assert!(publisher.wait().expect("it can be waited for").success());
    store.set_aside(6, &[&store.packs[0]]);
    store.is_mended_by_make();
}

#[test]
fn a_removed_pack_is_found_by_the_versions_that_need_it_and_mended() {
    let store = Store::new();
    fs::remove_file(store.sandbox.path(store.path(0))).expect("the pack is there");
    let answer = store.damaged(6);
    assert!(objects(&answer, "damaged_packs").is_empty(), "{answer}");
    assert_eq!(objects(&answer, "damaged_versions"), ALL_OF_A);
    let what = string(&answer["damaged_versions"][0], "damage");
    assert!(what.starts_with("cannot give bytes 0 to "), "{what}");
    let ranges = answer["damaged_versions"][0]["ranges"].as_array().expect("a list");
    assert_eq!(number(&ranges[0], "offset"), 0);
    assert_eq!(number(&ranges[0], "bytes") % (1 << 20), 0, "{answer}");
    let run = store.sandbox.chunk("make --name a.img --version 1 a1").succeeds();
    assert!(run.text().starts_with("mended a.img@1: "), "{run}");
    store.is_mended_by_make();
}

#[test]
fn a_renamed_pack_is_neither_its_old_name_nor_its_new_one() {
    let store = Store::new();
    let false_name = format!("packs/{}.pack", "0".repeat(64));
    fs::rename(store.sandbox.path(store.path(1)), store.sandbox.path(format!("store/{false_name}")))
        .expect("the pack is there");
    let answer = store.damaged(6);
    assert_eq!(objects(&answer, "damaged_packs"), [&false_name]);
    assert_eq!(objects(&answer, "damaged_versions"), SECOND_OF_A);
    store.set_aside(6, &[&false_name]);
    store.is_mended_by_make();
}

#[test]
fn a_pack_that_belongs_elsewhere_harms_nobody_under_its_own_name() {
    let store = Store::new();
    fs::remove_file(store.sandbox.path("store/b.img.cidx")).expect("the index is there");
    fs::remove_file(store.sandbox.path("store/b.img@1.cidx")).expect("the index is there");
    let answer = store.sandbox.chunk("verify --json").succeeds().json();
    assert_eq!((number(&answer, "packs"), number(&answer, "versions")), (3, 2));
}

#[test]
fn a_pack_whose_table_cannot_be_read_is_told_and_counts_as_missing() {
    let store = Store::new();
    store.damage(1, Vec::clear);
    let run = store.sandbox.chunk("make --json --name a.img --version 2 a2");
    assert_eq!(run.code(), Some(0), "{run}");
    let name = store.packs[1].trim_start_matches("packs/").trim_end_matches(".pack");
    assert!(run.stderr.starts_with(&format!("warning: pack {name} counts as missing: ")), "{run}");
    assert_eq!(number(&run.json(), "packs"), 1, "it was stored again: {run}");
    assert!(store.sandbox.chunk("cat store/a.img").succeeds().stdout == store.sandbox.read("a2"));
}

#[test]
fn an_index_under_the_name_of_another_is_found() {
    let store = Store::new();
    let sandbox = &store.sandbox;
    std::fs::copy(sandbox.path("store/a.img@1.cidx"), sandbox.path("store/a.img@2.cidx"))
        .expect("it can be copied");
    let run = sandbox.chunk("verify").fails(6);
    assert!(run.text().contains("a.img@2.cidx: says that it is a.img@1\n"), "{run}");
    store.set_aside(6, &["a.img@2.cidx"]);
    store.is_mended_by_make();
}

#[test]
fn a_newest_version_that_is_not_the_newest_is_found() {
    let store = Store::new();
    let sandbox = &store.sandbox;
    std::fs::copy(sandbox.path("store/a.img@1.cidx"), sandbox.path("store/a.img.cidx"))
        .expect("it can be copied");
    let run = sandbox.chunk("verify").fails(6);
    assert!(run.text().contains("a.img.cidx: is not the newest version, a.img@2, release 2, is\n"), "{run}");
    store.set_aside(6, &["a.img.cidx"]);
    store.is_mended_by_make();
}
