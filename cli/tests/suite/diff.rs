//! `chunk diff`: what a device would download, to the byte.

use serde_json::Value;

use crate::image;
use crate::oracle::{self, Missing};
use crate::sandbox::{Sandbox, keys, number};
use crate::servers::Site;

/// A store with an image and its next version.
fn store() -> (Sandbox, Vec<u8>, Vec<u8>) {
    let sandbox = Sandbox::new();
    let old = image::disk(1);
    let new = image::next_version(&old);
    for (label, image) in [("old", &old), ("new", &new)] {
        sandbox.write(label, image);
        sandbox.chunk(&format!("make --name a.img --version {label} {label}")).succeeds();
    }
    (sandbox, old, new)
}

/// What the command says is missing.
fn told(diff: &Value) -> Missing {
    let regions = diff["missing_regions"].as_array().expect("--regions was given").iter();
    let regions = regions.map(|region| {
        let offset = number(region, "offset");
        offset..offset + number(region, "bytes")
    });
    Missing {
        bytes: number(diff, "missing_bytes"),
        chunks: number(diff, "missing_chunks"),
        regions: regions.collect(),
        frame_bytes: number(&diff["by_chunks"]["frames"], "bytes"),
        frame_gaps: number(&diff["by_chunks"]["frames"], "gap_bytes"),
        frame_requests: number(&diff["by_chunks"]["frames"], "requests"),
    }
}

#[test]
fn the_numbers_are_those_that_images_and_packs_give() {
    let (sandbox, old, new) = store();
    for (from, to, a, b) in [("old", "new", &old, &new), ("new", "old", &new, &old)] {
        for (flag, gap) in [("--gap 0", 0), ("", 64 << 10), ("--gap 1GiB", 1 << 30)] {
            let command = format!("diff --json --regions {flag} store/a.img@{from} store/a.img@{to}");
            let diff = sandbox.chunk(&command).succeeds().json();
            assert_eq!(told(&diff), oracle::missing(a, b, &sandbox.path("store"), gap), "{command}");
        }
    }
}

#[test]
fn frames_that_touch_are_one_request() {
    let sandbox = Sandbox::new();
    let image = image::disk(1);
    sandbox.write("a.img", &image);
    sandbox.write("empty", b"");
    sandbox.chunk("make a.img").succeeds();
    let diff = sandbox.chunk("diff --json --regions --gap 0 empty store/a.img").succeeds().json();
    assert_eq!(told(&diff), oracle::missing(b"", &image, &sandbox.path("store"), 0));
    assert_eq!(number(&diff["by_chunks"]["frames"], "requests"), 1, "one pack, and all of it is needed");
}

#[test]
fn the_regions_hold_every_changed_byte_and_little_else() {
    let (sandbox, old, new) = store();
    let diff = sandbox.chunk("diff --json --regions store/a.img@old store/a.img@new").succeeds().json();
    let regions = told(&diff).regions;
    let [overwritten, inserted] = &regions[..] else { panic!("two edits, two regions: {regions:?}") };
    assert!(overwritten.start <= 600_000 && overwritten.end >= 600_010, "{overwritten:?}");
    let at = (old.len() - 300_000) as u64;
    assert!(inserted.start <= at && inserted.end >= at + 1000, "{inserted:?}");
    // An edit changes the chunk it lies in and, where it moves a cut, the next ones.
    assert!(number(&diff, "missing_chunks") <= 8, "{diff}");
    assert_eq!(number(&diff, "regions"), 2);
    assert_eq!(number(&diff, "image_bytes"), new.len() as u64);
}

#[test]
fn a_device_that_is_up_to_date_needs_no_frame() {
    let (sandbox, ..) = store();
    let info = sandbox.chunk("info --json store/a.img").succeeds().json();
    for a in ["store/a.img@new.cidx", "store/a.img", "new"] {
        let diff = sandbox.chunk(&format!("diff --json --regions {a} store/a.img")).succeeds().json();
        let nothing = Missing {
            bytes: 0,
            chunks: 0,
            regions: vec![],
            frame_bytes: 0,
            frame_gaps: 0,
            frame_requests: 0,
        };
        assert_eq!(told(&diff), nothing, "{a}");
        // It knows its own list; only the head and the block hashes are left to fetch.
        let parts = &info["index"];
        let needed = number(parts, "head") + number(parts, "block_hashes");
        assert_eq!(number(&diff["by_chunks"]["index"], "bytes"), needed, "{a}");
        assert_eq!(number(&diff, "download_bytes"), number(&diff, "index_bytes"), "{a}");
    }
}

#[test]
fn a_device_that_holds_nothing_needs_everything_but_the_zeros() {
    let (sandbox, _, new) = store();
    sandbox.write("empty", b"");
    let diff = sandbox.chunk("diff --json --regions empty store/a.img").succeeds().json();
    let info = sandbox.chunk("info --json store/a.img").succeeds().json();
    assert_eq!(number(&diff["by_chunks"]["index"], "bytes"), number(&info["index"], "bytes"));
    assert_eq!(number(&diff["by_chunks"]["frames"], "bytes"), number(&info, "frame_bytes"));
    assert_eq!(number(&diff, "missing_chunks"), number(&info["chunks"], "distinct"));
    let zeros = number(&info["chunks"], "zero_bytes");
    assert!(zeros > 2_300_000, "the image is worth the test");
    assert_eq!(number(&diff, "missing_bytes"), new.len() as u64 - zeros);
    assert_eq!(number(&diff, "index_bytes"), number(&info["index"], "bytes"));
    assert_eq!(
        number(&diff, "download_bytes"),
        number(&info["index"], "bytes") + number(&info, "frame_bytes")
    );
}

#[test]
fn what_it_says_of_the_download_is_what_extract_downloads() {
    let (sandbox, _, new) = store();
    let site = Site::chunk(sandbox.root(), &["serve", "--listen", "127.0.0.1:0", "store"]);
    for (held, label) in [("old", "a.img@old"), ("new", "a.img@new")] {
        for wanted in ["a.img@old", "a.img@new"] {
            let diff = sandbox.chunk(&format!("diff --json {held} store/{wanted}")).succeeds().json();
            let of_index = sandbox.chunk(&format!("diff --json store/{label} store/{wanted}")).succeeds();
            assert_eq!(diff, of_index.json(), "a file is worth as much as its index");
            let url = site.url(&format!("{wanted}.cidx"));
            let extract = ["extract", "--json", "--seed", held, &url, "target"];
            let done = sandbox.chunk_with(extract).succeeds().json();
            for key in ["download_bytes", "requests", "patch_bytes", "index_bytes"] {
                assert_eq!(number(&diff, key), number(&done, key), "{held} to {wanted}: {key}");
            }
            if wanted == "a.img@new" {
                assert!(sandbox.read("target") == new);
            }
            std::fs::remove_file(sandbox.path("target")).expect("it was made");
        }
    }
}

#[test]
fn a_file_is_worth_as_much_as_its_index() {
    let (sandbox, ..) = store();
    let of_index = sandbox.chunk("diff --json --regions store/a.img@old store/a.img").succeeds();
    let of_file = sandbox.chunk("diff --json --regions old store/a.img").succeeds();
    assert_eq!(of_file.json(), of_index.json());
}

#[test]
fn the_text_says_what_the_json_says() {
    let (sandbox, ..) = store();
    let diff = sandbox.chunk("diff --json --regions old store/a.img").succeeds().json();
    assert_eq!(
        keys(&diff),
        [
            "by_chunks",
            "download_bytes",
            "gap_bytes",
            "image_bytes",
            "index_bytes",
            "missing_bytes",
            "missing_chunks",
            "missing_regions",
            "patch_bytes",
            "regions",
            "requests"
        ]
    );
    let run = sandbox.chunk("diff --regions old store/a.img").succeeds();
    let mut lines = run.text().lines();
    let download = lines.next().expect("a line about the download");
    let count = number(&diff, "requests");
    let ending = if count == 1 { "" } else { "s" };
    assert!(download.contains(&format!(" in {count} request{ending}: index ")), "{run}");
    let missing = format!(
        "missing {} of {} image bytes, {} chunks in 2 regions",
        number(&diff, "missing_bytes"),
        number(&diff, "image_bytes"),
        number(&diff, "missing_chunks")
    );
    assert_eq!(lines.next(), Some(missing.as_str()));
    let regions: Vec<_> = told(&diff)
        .regions
        .iter()
        .map(|region| format!("{} +{}", region.start, region.end - region.start))
        .collect();
    assert_eq!(lines.collect::<Vec<_>>(), regions);
    let without = sandbox.chunk("diff --json old store/a.img").succeeds().json();
    assert!(without.get("missing_regions").is_none(), "{without}");
    assert_eq!(sandbox.chunk("diff old store/a.img").succeeds().text().lines().count(), 2);
}

#[test]
fn versions_that_are_cut_differently_cannot_be_compared_by_their_indexes() {
    let (sandbox, ..) = store();
    sandbox.chunk("make --name coarse --chunk-size 64KiB old").succeeds();
    sandbox
        .chunk("diff store/a.img store/coarse")
        .fails(2)
        .says("cut differently")
        .says("hint: give the image itself");
    let diff = sandbox.chunk("diff --json old store/coarse").succeeds().json();
    assert_eq!(number(&diff, "missing_bytes"), 0, "the file is cut as the index says");
}

#[test]
fn what_cannot_be_compared_is_told() {
    let (sandbox, ..) = store();
    sandbox.chunk("diff absent store/a.img").fails(7).says("there is no index absent");
    sandbox.chunk("diff old absent").fails(7).says("there is no index absent");
    sandbox.chunk("diff old new").fails(3).says("new cannot be used").says("wrong magic");
    sandbox.chunk("diff store/packs store/a.img").fails(13).says("store/packs cannot be used");
}
