//! `chunk explain`: whose bytes are new.

use serde_json::Value;

use crate::image;
use crate::sandbox::{Sandbox, number, string};
use crate::system;

/// A store with two versions of a tar: a file is changed, one is new, one is moved.
fn store() -> Option<Sandbox> {
    let sandbox = Sandbox::new();
    for directory in ["old", "new"] {
        std::fs::create_dir_all(sandbox.path(format!("{directory}/etc")))
            .expect("the sandbox can be written");
        for number in 0..30_u64 {
            sandbox.write(format!("{directory}/etc/{number:02}"), &image::noise(number, 3000));
        }
        sandbox.write(format!("{directory}/same"), &image::noise(40, 400_000));
        let mut changed = image::noise(41, 400_000);
        if directory == "new" {
            changed[200_000..200_100].fill(0);
            sandbox.write("new/etc/added", &image::noise(42, 50_000));
        }
        sandbox.write(format!("{directory}/changed"), &changed);
        let [from, tar] = [directory.to_owned(), format!("{directory}.tar")].map(|name| {
            sandbox.path(name).to_str().expect("temporary directories have plain names").to_owned()
        });
        let arguments = ["--sort=name", "--mtime=@0", "-cf", &tar, "-C", &from, "."];
        system::or_skip("tar", system::run("tar", &arguments))?;
        sandbox.chunk(&format!("make --name a.tar --version {directory} {directory}.tar")).succeeds();
    }
    Some(sandbox)
}

fn part<'v>(told: &'v Value, name: &str) -> &'v Value {
    let parts = told["parts"].as_array().expect("parts are listed");
    parts.iter().find(|part| part["name"] == name).unwrap_or_else(|| panic!("{name} is not in {told}"))
}

#[test]
fn new_bytes_are_those_that_are_missing_and_belong_to_files() {
    let Some(sandbox) = store() else { return };
    let diff = sandbox.chunk("diff --json store/a.tar@old store/a.tar").succeeds().json();
    let told = sandbox.chunk("explain --json --limit 1000 store/a.tar@old store/a.tar").succeeds().json();
    for key in ["image_bytes", "missing_bytes", "regions"] {
        assert_eq!(number(&told, key), number(&diff, key), "{key}");
    }
    assert_eq!(told["kinds"], serde_json::json!(["tar"]));
    let parts = told["parts"].as_array().expect("parts are listed");
    let sum: u64 = parts.iter().map(|part| number(part, "new_bytes")).sum();
    assert_eq!(sum, number(&diff, "missing_bytes"), "{told}");
    assert_eq!(string(part(&told, "./etc/added"), "reason"), "new");
    assert_eq!(number(part(&told, "./etc/added"), "new_bytes"), 50_000);
    let changed = part(&told, "./changed");
    assert_eq!((string(changed, "reason"), number(changed, "bytes")), ("changed", 400_000));
    let of_file = sandbox.chunk("explain --json --limit 1000 old.tar store/a.tar").succeeds();
    assert_eq!(of_file.json(), told, "a file is worth as much as its index");
}

#[test]
fn the_list_ends_where_the_limit_says_and_counts_the_rest() {
    let Some(sandbox) = store() else { return };
    sandbox.write("empty", b"");
    let told = sandbox.chunk("explain --json --limit 3 empty store/a.tar").succeeds().json();
    let parts = told["parts"].as_array().expect("parts are listed");
    let listed: Vec<_> = parts.iter().map(|part| number(part, "new_bytes")).collect();
    assert_eq!((listed.len(), listed[0], listed[2]), (3, 400_000, 50_000));
    assert_eq!(number(&told, "more_parts"), 30 + 2, "the small files, the headers, the zeros at the end");
    assert_eq!(listed.iter().sum::<u64>() + number(&told, "more_bytes"), number(&told, "missing_bytes"));
    let run = sandbox.chunk("explain --limit 3 empty store/a.tar").succeeds();
    let lines: Vec<_> = run.text().lines().collect();
    assert!(lines[0].ends_with("; the image is tar"), "{run}");
    assert_eq!(lines[1], "A cannot be read as files, so nothing is compared with it");
    assert_eq!(lines[4], " 50.0 kB of 50.0 kB  ./etc/added: new file");
    assert!(lines[5].contains("32 more, which --limit shows"), "{run}");
}

#[test]
fn a_version_that_is_there_needs_no_explanation() {
    let Some(sandbox) = store() else { return };
    let run = sandbox.chunk("explain new.tar store/a.tar").succeeds();
    assert_eq!(run.text().lines().count(), 1, "{run}");
    assert!(run.text().starts_with("missing 0 of "), "{run}");
}

#[test]
fn an_image_without_files_is_told_by_its_regions() {
    let sandbox = Sandbox::new();
    sandbox.write("a.img", &image::disk(1));
    sandbox.write("empty", b"");
    sandbox.chunk("make a.img").succeeds();
    let told = sandbox.chunk("explain --json --limit 1 empty store/a.img").succeeds().json();
    assert_eq!((&told["kinds"], &told["savings"]), (&serde_json::json!([]), &serde_json::json!([])));
    let diff = sandbox.chunk("diff --json --regions empty store/a.img").succeeds().json();
    let regions = diff["missing_regions"].as_array().expect("--regions was given");
    let largest = regions.iter().map(|region| number(region, "bytes")).max();
    assert_eq!(told["parts"][0]["new_bytes"].as_u64(), largest);
    assert_eq!(string(&told["parts"][0], "reason"), "unknown");
}

#[test]
fn a_store_that_lost_a_pack_cannot_be_explained() {
    let Some(sandbox) = store() else { return };
    std::fs::remove_dir_all(sandbox.path("store/packs")).expect("it is there");
    sandbox.chunk("explain old.tar store/a.tar").fails(7);
    sandbox.chunk("explain absent store/a.tar").fails(7).says("there is no index absent");
}
