//! `chunk cat`: the bytes of the image and no others.

use std::process::Command;

use crate::image;
use crate::oracle::{self, Pack};
use crate::sandbox::{Run, Sandbox};

const BLOCK: usize = 1 << 20;

fn published(image: &[u8]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("a.img", image);
    sandbox.chunk("make a.img").succeeds();
    sandbox
}

/// The path of the store's only pack.
fn pack(sandbox: &Sandbox) -> String {
    let names = sandbox.names("store/packs");
    let [name] = &names[..] else { panic!("one pack: {names:?}") };
    format!("store/packs/{name}")
}

#[test]
fn the_whole_image_comes_back() {
    let image = image::disk(1);
    let sandbox = published(&image);
    assert!(sandbox.chunk("cat store/a.img.cidx").succeeds().stdout == image);
}

#[test]
fn any_part_comes_back_and_parts_beyond_the_end_are_cut_off() {
    let image = image::disk(1);
    let sandbox = published(&image);
    let len = image.len();
    for (offset, length) in [
        (0, 0),
        (0, 1),
        (1, BLOCK),
        (BLOCK - 1, 2),
        (BLOCK, BLOCK),
        (1_299_999, 2),
        (2_299_999, 2_400_002),
        (len - 1, 1),
        (len - 1, 2),
        (len - 100, usize::MAX),
        (len, 0),
        (len, 1),
    ] {
        let run = sandbox.chunk(&format!("cat store/a.img --offset {offset} --length {length}")).succeeds();
        let expected = &image[offset..offset.saturating_add(length).min(len)];
        assert!(run.stdout == expected, "{offset} {length}: {} bytes", run.stdout.len());
    }
    assert!(sandbox.chunk("cat store/a.img --offset 4MiB").succeeds().stdout == image[4 << 20..]);
    sandbox
        .chunk(&format!("cat store/a.img --offset {}", len + 1))
        .fails(2)
        .says(&format!("--offset {} lies behind the end of the image, at {len}", len + 1))
        .answers_nothing();
}

#[test]
fn before_a_damaged_frame_the_bytes_are_right_and_after_it_there_are_none() {
    let image = image::disk(1);
    let sandbox = published(&image);
    let path = pack(&sandbox);
    let whole = sandbox.read(&path);
    let frames = Pack::read(&whole).frames;
    let chunks = oracle::chunks(&image);
    let raw = frames.iter().filter(|frame| frame.is_raw).count();
    assert!(0 < raw && raw < frames.len(), "both kinds are met below");
    for frame in &frames {
        let needs = chunks.iter().find(|chunk| frame.chunks.contains(&chunk.name)).expect("it is needed");
        let blocks_before = usize::try_from(needs.image.start).expect("it fits") / BLOCK;
        for at in [frame.file.start, frame.file.start.midpoint(frame.file.end)] {
            let mut damaged = whole.clone();
            damaged[usize::try_from(at).expect("it fits")] ^= 0x10;
            sandbox.write(&path, &damaged);
            let run =
                sandbox.chunk("cat store/a.img").fails(6).says("hint: `chunk verify --set-aside STORE`");
            let place = format!("bytes {} to {} of packs/", frame.file.start, frame.file.end);
            assert!(run.stderr.contains(&place), "{run}");
            assert!(image.starts_with(&run.stdout), "wrong bytes were written");
            assert_eq!(run.stdout.len() % BLOCK, 0, "whole blocks are written");
            // Damage further inside leaves the chunks before it whole.
            let blocks = run.stdout.len() / BLOCK;
            assert!(blocks == blocks_before || at > frame.file.start && blocks > blocks_before, "{run}");
        }
    }
}

#[test]
fn damage_elsewhere_does_not_keep_a_part_from_being_read() {
    let image = image::disk(1);
    let sandbox = published(&image);
    let path = pack(&sandbox);
    let mut bytes = sandbox.read(&path);
    let last = Pack::read(&bytes).frames.pop().expect("the pack has frames");
    bytes[usize::try_from(last.file.end).expect("it fits") - 1] ^= 1;
    sandbox.write(&path, &bytes);
    let run = sandbox.chunk("cat store/a.img --length 2MiB").succeeds();
    assert!(run.stdout == image[..2 << 20]);
    sandbox.chunk(&format!("cat store/a.img --offset {}", image.len() - 1)).fails(6).answers_nothing();
}

#[test]
fn a_missing_or_truncated_pack_is_missing_data() {
    let image = image::disk(1);
    let sandbox = published(&image);
    let path = pack(&sandbox);
    let bytes = sandbox.read(&path);
    sandbox.write(&path, &bytes[..bytes.len() / 2]);
    let run = sandbox.chunk("cat store/a.img").fails(7).says(path.trim_start_matches("store/"));
    assert!(!run.stdout.is_empty() && image.starts_with(&run.stdout), "{run}");
    std::fs::remove_file(sandbox.path(&path)).expect("the pack is there");
    let run = sandbox.chunk("cat store/a.img").fails(7).answers_nothing();
    run.says(path.trim_start_matches("store/")).says("is missing");
}

#[test]
fn parts_that_are_zeros_need_no_pack() {
    let image = image::disk(1);
    let sandbox = published(&image);
    std::fs::remove_file(sandbox.path(pack(&sandbox))).expect("the pack is there");
    let run = sandbox.chunk("cat store/a.img --offset 3MiB --length 1MiB").succeeds();
    assert!(run.stdout == vec![0; BLOCK]);
}

#[test]
fn a_copy_of_the_store_is_as_good_as_the_store() {
    let image = image::disk(1);
    let sandbox = published(&image);
    std::fs::create_dir(sandbox.path("served")).expect("the sandbox can be written");
    // Only what must be served: no lookup, no locks.
    for part in ["a.img.cidx", "packs"] {
        Run::of(
            Command::new("cp").arg("-r").args([sandbox.path("store").join(part), sandbox.path("served")]),
        )
        .succeeds();
    }
    std::fs::remove_dir_all(sandbox.path("store")).expect("the store is there");
    Run::of(Command::new("chmod").args(["-R", "a-w"]).arg(sandbox.path("served"))).succeeds();
    let mut elsewhere = sandbox.command(["cat"]);
    elsewhere.arg(sandbox.path("served/a.img.cidx")).current_dir("/");
    assert!(Run::of(&mut elsewhere).succeeds().stdout == image);
    sandbox.chunk("verify served").succeeds();
    Run::of(Command::new("chmod").args(["-R", "u+w"]).arg(sandbox.path("served"))).succeeds();
}
