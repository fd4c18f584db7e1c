//! `extract` and `plan`: what is answered, and what is left on the disk.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::fingerprint::fingerprint;
use crate::image;
use crate::sandbox::{Sandbox, keys, number, string};
use crate::system::{LoopDevice, SmallDisk};

/// A store with two versions of `a.img`, and both images.
pub(crate) fn two_versions(sandbox: &Sandbox) -> (Vec<u8>, Vec<u8>) {
    let old = image::disk(1);
    let new = image::next_version(&old);
    sandbox.write("old", &old);
    sandbox.write("new", &new);
    sandbox.chunk("make --name a.img --version old old").succeeds();
    sandbox.chunk("make --name a.img --version new new").succeeds();
    (old, new)
}

#[test]
fn without_a_target_the_image_gets_its_own_name_here() {
    let sandbox = Sandbox::new();
    let (_, new) = two_versions(&sandbox);
    let run = sandbox.chunk("extract store/a.img.cidx").succeeds();
    assert!(sandbox.read("a.img") == new);
    let [line] = run.text().lines().collect::<Vec<_>>()[..] else { panic!("one line: {run}") };
    assert!(line.starts_with("extracted a.img: image 5.40 MB, kept 1.04 MB, "), "{line}");
    for told in [
        ", downloaded ",
        " requests with 0 retries, ",
        ", written ",
        ", memory ",
        " s (check 0.",
        ", settle ",
    ] {
        assert!(line.contains(told), "{told}: {line}");
    }
    let run = sandbox.chunk("extract store/a.img.cidx").succeeds();
    assert!(run.text().starts_with("unchanged a.img: image 5.40 MB was there already, "), "{run}");
}

#[test]
fn a_version_is_chosen_by_its_label() {
    let sandbox = Sandbox::new();
    let (old, new) = two_versions(&sandbox);
    sandbox.chunk("extract store/a.img@old 1").succeeds();
    sandbox.chunk("extract store/a.img 2").succeeds();
    assert!(sandbox.read("1") == old);
    assert!(sandbox.read("2") == new);
}

#[test]
fn a_plan_is_what_is_then_done_and_changes_nothing() {
    let sandbox = Sandbox::new();
    let (_, new) = two_versions(&sandbox);
    for target in ["--seed old store/a.img.cidx fresh", "--in-place store/a.img.cidx old"] {
        let before = fingerprint(sandbox.root());
        let plan = sandbox.chunk(&format!("plan --json {target}")).succeeds().json();
        let dry = sandbox.chunk(&format!("extract --json --dry-run {target}")).succeeds().json();
        assert_eq!(plan, dry);
        assert_eq!(fingerprint(sandbox.root()), before, "nothing has changed");
        let done = sandbox.chunk(&format!("extract --json {target}")).succeeds().json();
        assert_eq!(string(&plan, "outcome"), "planned");
        assert_eq!(string(&done, "outcome"), "extracted");
        let same = [
            "image_bytes",
            "kept_bytes",
            "zero_bytes",
            "repeated_bytes",
            "patched_bytes",
            "missing_bytes",
            "download_bytes",
            "patch_bytes",
            "patches",
            "mend_bytes",
            "gap_bytes",
            "requests",
            "index_bytes",
            "saved_bytes",
            "target_disk_bytes",
            "state_disk_bytes",
        ];
        for key in same {
            assert_eq!(number(&plan, key), number(&done, key), "{key}");
        }
        assert_eq!(plan["seeds"], done["seeds"]);
        assert!(number(&done, "write_bytes") <= number(&plan, "write_bytes"));
        assert_eq!(number(&done, "late_bytes"), 0);
        // Ten bytes overwritten and a kilobyte inserted.
        let new_bytes = number(&done, "missing_bytes") + number(&done, "patched_bytes");
        assert!((1..300_000).contains(&new_bytes), "{done}");
    }
    assert!(sandbox.read("old") == new && sandbox.read("fresh") == new);
}

#[test]
fn the_report_names_what_machines_ask_for() {
    let sandbox = Sandbox::new();
    let (_, new) = two_versions(&sandbox);
    let answer = sandbox.chunk("extract --json --seed old store/a.img.cidx out").succeeds().json();
    let wanted = [
        "download_bytes",
        "gap_bytes",
        "id",
        "image_bytes",
        "index_bytes",
        "kept_bytes",
        "late_bytes",
        "memory_bytes",
        "missing_bytes",
        "outcome",
        "patch_bytes",
        "patched_bytes",
        "patches",
        "peak_memory_bytes",
        "received_bytes",
        "repeated_bytes",
        "requests",
        "retries",
        "saved_bytes",
        "seconds",
        "seeds",
        "sent_requests",
        "target",
        "surplus_bytes",
        "cached_bytes",
        "write_bytes",
        "zero_bytes",
    ];
    let keys = keys(&answer);
    assert!(wanted.iter().all(|key| keys.contains(key)), "{keys:?}");
    assert_eq!(string(&answer, "target"), "out");
    assert_eq!(number(&answer, "image_bytes"), new.len() as u64);
    assert_eq!(string(&answer["seeds"][0], "seed"), "old");
    // The index lies here and was read before, all else was asked of the store.
    let told = ["sent_requests", "received_bytes", "retries"].map(|key| number(&answer, key));
    assert_eq!(told, [number(&answer, "requests"), number(&answer, "download_bytes"), 0], "{answer}");
    let parts = ["kept_bytes", "zero_bytes", "repeated_bytes", "patched_bytes", "missing_bytes"]
        .map(|key| number(&answer, key));
    let copied = number(&answer["seeds"][0], "bytes");
    assert_eq!(parts.iter().sum::<u64>() + copied, new.len() as u64, "{answer}");
    for phase in ["check", "scan", "plan", "write", "settle"] {
        assert!(answer["seconds"][phase].is_f64(), "{answer}");
    }
}

#[test]
fn more_download_than_allowed_is_refused_before_anything_is_written() {
    let sandbox = Sandbox::new();
    two_versions(&sandbox);
    let before = fingerprint(sandbox.root());
    for target in ["store/a.img.cidx out", "--in-place store/a.img.cidx old", "--force store/a.img.cidx old"]
    {
        let run = sandbox.chunk(&format!("extract --max-download 1 {target}")).fails(21).answers_nothing();
        run.says("bytes would be downloaded, 1 are allowed").says("hint: raise --max-download");
        assert_eq!(fingerprint(sandbox.root()), before, "{target}");
    }
    sandbox.chunk("extract --max-download 1M --seed old store/a.img.cidx out").succeeds();
}

#[test]
fn only_the_pinned_version_is_made() {
    let sandbox = Sandbox::new();
    let (old, new) = two_versions(&sandbox);
    let [of_old, of_new] = [&old, &new].map(|image| blake3::hash(image).to_string());
    let run = sandbox.chunk(&format!("extract --expect blake3:{of_old} store/a.img.cidx out")).fails(4);
    run.answers_nothing().says("not the one expected");
    assert!(!sandbox.path("out").exists() && !sandbox.path("out.part").exists());
    sandbox.chunk(&format!("extract --expect blake3:{of_new} store/a.img.cidx out")).succeeds();
    let answer = sandbox.chunk("plan --json store/a.img.cidx out").succeeds().json();
    let id = string(&answer, "id");
    sandbox.chunk(&format!("extract --expect {id} store/a.img.cidx out")).succeeds();
    sandbox.chunk("extract --expect blake3:zz store/a.img.cidx out").fails(2);
}

#[test]
fn an_existing_file_is_left_alone_unless_something_is_said_about_it() {
    let sandbox = Sandbox::new();
    let (_, new) = two_versions(&sandbox);
    sandbox.write("out", b"precious");
    fs::set_permissions(sandbox.path("out"), Permissions::from_mode(0o640)).expect("it is ours");
    let before = fingerprint(sandbox.root());
    let run = sandbox.chunk("extract store/a.img.cidx out").fails(12).answers_nothing();
    run.says("out exists and is not the image").says("hint: --in-place updates it");
    assert_eq!(fingerprint(sandbox.root()), before);
    for verb in ["plan", "extract --dry-run"] {
        let run = sandbox.chunk(&format!("{verb} store/a.img.cidx out")).fails(12);
        assert!(run.text().starts_with("image     5.40 MB\n"), "the plan is told all the same: {run}");
        run.says("out exists and is not the image").says("hint: --in-place updates it");
        let run = sandbox.chunk(&format!("{verb} --json store/a.img.cidx out"));
        assert_eq!((run.code(), string(&run.json(), "outcome")), (Some(12), "planned"), "{run}");
    }
    assert_eq!(fingerprint(sandbox.root()), before);
    sandbox.chunk("extract --force --in-place store/a.img.cidx out").fails(2);
    sandbox.chunk("extract --force store/a.img.cidx out").succeeds();
    assert!(sandbox.read("out") == new);
    assert_eq!(fs::metadata(sandbox.path("out")).expect("a file").mode() & 0o777, 0o640);
    sandbox.write("out", b"precious");
    sandbox.chunk("extract --seed out store/a.img.cidx out").succeeds();
    assert!(sandbox.read("out") == new, "who names the target as seed wants it updated");
}

#[test]
fn targets_that_are_none_are_refused() {
    let sandbox = Sandbox::new();
    two_versions(&sandbox);
    let index = sandbox.path("store/a.img.cidx");
    let index = index.to_str().expect("a plain name");
    for verb in ["extract", "extract --dry-run", "plan"] {
        let kind = "neither a regular file nor a block device";
        let device = "no file is made below /dev";
        let parent = "its directory does not exist";
        for (target, why) in
            [("/dev/mmcblk0p99", device), ("none/out", parent), ("store", kind), ("/dev/null", kind)]
        {
            sandbox.chunk(&format!("{verb} {index} {target}")).fails(12).says(why);
        }
    }
    let mut typo = sandbox.command(["extract", index, "mmcblk0p99"]);
    let run = crate::sandbox::Run::of(typo.current_dir("/dev"));
    run.fails(12).says("no file is made below /dev");
}

#[test]
fn an_index_or_store_that_is_not_there_or_damaged_is_told_apart() {
    let sandbox = Sandbox::new();
    two_versions(&sandbox);
    sandbox.chunk("extract store/none.cidx out").fails(7);
    let index = sandbox.read("store/a.img.cidx");
    sandbox.write("store/cut.cidx", &index[..index.len() / 2]);
    sandbox.chunk("extract store/cut.cidx out").fails(3);
    let pack = format!("store/packs/{}", sandbox.names("store/packs")[0]);
    let whole = sandbox.read(&pack);
    sandbox.write(&pack, &vec![0xa5; whole.len()]);
    sandbox
        .chunk("extract --no-seed store/a.img.cidx out")
        .fails(6)
        .says("hint: what is written so far stays");
    fs::remove_file(sandbox.path(&pack)).expect("it is there");
    sandbox.chunk("extract --no-seed store/a.img.cidx out").fails(7).says("is missing");
    assert!(!sandbox.path("out").exists());
    sandbox.write(&pack, &whole);
    sandbox.chunk("extract store/a.img.cidx out").succeeds();
}

#[test]
fn the_final_line_tells_what_came_from_each_seed() {
    let sandbox = Sandbox::new();
    let (old, _) = two_versions(&sandbox);
    sandbox.write("first", &old[..2_500_000]);
    sandbox.write("second", &old[2_500_000..]);
    let run = sandbox.chunk("extract --seed first --seed second store/a.img out").succeeds();
    for seed in [" MB from first, copied ", " kB from second, "] {
        assert!(run.text().contains(seed), "{run}");
    }
}

#[test]
fn what_is_remembered_saves_the_second_update_its_scan() {
    let sandbox = Sandbox::new();
    let (_, new) = two_versions(&sandbox);
    sandbox.chunk("extract --state state store/a.img@old out").succeeds();
    assert_eq!(sandbox.names("state").len(), 2, "its chunks, and which image it is");
    let answer = sandbox.chunk("extract --json --in-place --state state store/a.img out").succeeds().json();
    assert!(number(&answer, "missing_bytes") < 300_000, "{answer}");
    assert!(sandbox.read("out") == new);
    // Stale, damaged, gone: it is only a hint.
    let names = sandbox.names("state");
    for (bytes, version) in [(&b"nonsense"[..], "old"), (&new[..5000], "new")] {
        for name in &names {
            sandbox.write(format!("state/{name}"), bytes);
        }
        sandbox.chunk(&format!("extract --in-place --state state store/a.img@{version} out")).succeeds();
        assert!(sandbox.read("out") == sandbox.read(version));
    }
}

#[test]
fn whoever_plans_makes_no_state_directory_and_hears_if_it_cannot_be_made() {
    let sandbox = Sandbox::new();
    two_versions(&sandbox);
    sandbox.write("file", b"");
    for verb in ["plan", "extract --dry-run"] {
        sandbox.chunk(&format!("{verb} --state state/of/mine store/a.img out")).succeeds();
        assert!(!sandbox.path("state").exists());
    }
    for verb in ["plan", "extract"] {
        for state in ["file", "file/below"] {
            let run = sandbox.chunk(&format!("{verb} --state {state} store/a.img out"));
            run.fails(2).says(state).says("hint: --state names a directory");
        }
        let run = sandbox.chunk(&format!("{verb} --state /proc/x store/a.img out"));
        assert_eq!(run.code(), Some(0), "{run}");
        run.says("the state directory /proc/x cannot be used, it goes on without");
    }
}

#[test]
fn a_state_in_which_nothing_can_be_written_costs_no_update() {
    let sandbox = Sandbox::new();
    let (old, new) = two_versions(&sandbox);
    let extract = "extract --in-place --state state store/a.img@";
    sandbox.chunk(&format!("{extract}old out")).succeeds();
    let mut names = sandbox.names("state");
    let index = names
        .iter()
        .find(|name| Path::new(name).extension() == Some("cidx".as_ref()))
        .cloned()
        .expect("it is remembered");
    names.extend(["image", "staged", "fetched", "journal"].map(|kind| index.replace("cidx", kind)));
    for name in names {
        let _ = std::fs::remove_file(sandbox.path("state").join(&name));
        std::fs::create_dir_all(sandbox.path("state").join(&name).join("not/empty")).expect("made");
    }
    let run = sandbox.chunk("extract --in-place --state state store/a.img out");
    assert_eq!(run.code(), Some(0), "{run}");
    run.says("warning");
    assert!(sandbox.read("out") == new);
    sandbox.write("out", &old);
    let Some(disk) = SmallDisk::mount(&sandbox.path("disk"), 2) else { return };
    disk.make_read_only();
    let run = sandbox.chunk("extract --in-place --state disk/state store/a.img out");
    assert_eq!(run.code(), Some(0), "{run}");
    run.says("disk/state cannot be used, it goes on without");
    assert!(sandbox.read("out") == new);
}

#[test]
fn what_is_the_image_already_is_not_replaced_by_it() {
    let sandbox = Sandbox::new();
    let (old, new) = two_versions(&sandbox);
    sandbox.write("out", &new);
    let inode = || std::fs::metadata(sandbox.path("out")).expect("it is there").ino();
    let before = inode();
    for verify in ["write", "readback"] {
        let command = format!("extract --json --force --verify {verify} --seed old store/a.img out");
        let answer = sandbox.chunk(&command).succeeds().json();
        assert_eq!(string(&answer, "outcome"), "unchanged", "{answer}");
        assert_eq!((number(&answer, "missing_bytes"), number(&answer, "write_bytes")), (0, 0), "{answer}");
        assert_eq!(inode(), before);
    }
    let plan = sandbox.chunk("plan --json --force store/a.img out").succeeds().json();
    assert_eq!((number(&plan, "missing_bytes"), number(&plan, "write_bytes")), (0, 0), "{plan}");
    // As long as the image, and not it.
    let other: Vec<u8> = old.iter().copied().cycle().take(new.len()).collect();
    sandbox.write("out", &other);
    let answer = sandbox.chunk("extract --json --force --seed old store/a.img out").succeeds().json();
    assert_eq!(string(&answer, "outcome"), "extracted", "{answer}");
    assert!(sandbox.read("out") == new && inode() != before);
}

#[test]
fn a_seed_with_holes_that_holds_the_whole_image_leaves_nothing_to_download() {
    use std::os::unix::fs::FileExt;
    let sandbox = Sandbox::new();
    let noise = |seed: u8, len: usize| image::noise(seed.into(), len);
    // Holes at both ends and between, shorter and longer than what is skipped.
    let data =
        [(5_000_000_u64, noise(1, 900_001)), (30_000_123, noise(2, 200_000)), (70_000_000, noise(3, 3))];
    let mut dense = vec![0; 95_000_017];
    for (at, bytes) in &data {
        let at = usize::try_from(*at).expect("small");
        dense[at..at + bytes.len()].copy_from_slice(bytes);
    }
    sandbox.write("dense", &dense);
    let sparse = std::fs::File::create(sandbox.path("sparse")).expect("a file");
    sparse.set_len(dense.len() as u64).expect("a hole");
    for (at, bytes) in &data {
        sparse.write_all_at(bytes, *at).expect("written");
    }
    drop(sparse);
    sandbox.chunk("make --name a.img dense").succeeds();
    let plan = sandbox.chunk("plan --json --seed sparse store/a.img out").succeeds().json();
    assert_eq!((number(&plan, "missing_bytes"), number(&plan, "download_bytes")), (0, 0), "{plan}");
}

#[test]
fn parts_of_a_disk_that_do_not_touch_are_seed_and_target() {
    let sandbox = Sandbox::new();
    let (old, new) = two_versions(&sandbox);
    let slot = 8 << 20;
    let mut disk = vec![0; 2 * slot];
    disk[..old.len()].copy_from_slice(&old);
    sandbox.write("disk", &disk);
    let file = sandbox.path("disk");
    let Some(one) = LoopDevice::of_part(&file, 0, slot) else { return };
    let Some(two) = LoopDevice::of_part(&file, slot, slot) else { return };
    let two = two.path().display();
    for seed in [one.path().display().to_string(), format!("disk@0+{slot}")] {
        let plan = sandbox.chunk(&format!("plan --json --seed {seed} store/a.img {two}")).succeeds().json();
        assert!(number(&plan, "missing_bytes") < new.len() as u64, "{plan}");
    }
    for seed in ["disk".to_owned(), format!("disk@0+{}", slot + 1)] {
        sandbox.chunk(&format!("plan --seed {seed} store/a.img {two}")).fails(12).says("overlaps the seed");
    }
    sandbox.chunk(&format!("extract --seed {} store/a.img {two}", one.path().display())).succeeds();
    let disk = sandbox.read("disk");
    assert!(disk[..old.len()] == old && disk[slot..slot + new.len()] == new);
}

#[test]
fn readback_reads_what_was_written() {
    let sandbox = Sandbox::new();
    let (_, new) = two_versions(&sandbox);
    sandbox.chunk("extract --verify readback store/a.img out").succeeds();
    sandbox.chunk("extract --verify off store/a.img other").succeeds();
    assert!(sandbox.read("out") == new && sandbox.read("other") == new);
}

#[test]
fn memory_and_jobs_change_nothing_but_themselves() {
    let sandbox = Sandbox::new();
    let (_, new) = two_versions(&sandbox);
    for (number, arguments) in ["--memory 1", "--memory 1MiB --jobs 1", "--jobs 16"].iter().enumerate() {
        sandbox.chunk(&format!("extract {arguments} --seed old store/a.img {number}")).succeeds();
        assert!(sandbox.read(number.to_string()) == new, "{arguments}");
    }
}
