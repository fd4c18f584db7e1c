//! Patches between versions: which ones are published, that they stay, and that an audit knows them.

use std::fs;
use std::path::PathBuf;

use chunk_index::PatchRef;
use chunk_publisher::{NoPatch, Outcome, PatchDamage, Patching, audit};
use chunk_store::Key;
use chunk_store::line::Version;

use crate::store::{Store, image, stream, wish};

/// Bytes that no frame makes smaller.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// The image of a release: with each, some bytes change.
fn release(number: usize) -> Vec<u8> {
    let mut image = noise(1, 3_000_000);
    for step in 1..number {
        image[step * 20_000..][..5].copy_from_slice(b"fixed");
    }
    image
}

fn patching() -> Store {
    let mut store = Store::new();
    store.options.patches = Some(Patching { level: 1, ..Patching::default() });
    store
}

fn version(file_name: &str) -> Version {
    Version::from_file_name(file_name).unwrap()
}

/// The releases from which patches lead to release `number`.
fn bases(store: &Store, number: usize) -> Vec<usize> {
    let index = store.index(&format!("image@{number}.cidx"));
    let direct = |patch: &&PatchRef| patch.next.is_none();
    let direct: Vec<_> = index.locator().ways().patches().iter().filter(direct).collect();
    let is_base = |number: &usize| {
        let image = *blake3::hash(&release(*number)).as_bytes();
        direct.iter().any(|patch| patch.base == image)
    };
    let bases: Vec<_> = (1..number).filter(is_base).collect();
    assert_eq!(bases.len(), direct.len());
    bases
}

fn patch_files(store: &Store) -> Vec<PathBuf> {
    let files = fs::read_dir(store.path("patches")).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

#[test]
fn a_release_is_patched_from_those_that_the_ruler_names() {
    let store = patching();
    for number in 1..=8 {
        let report = store.make(&release(number), &image());
        assert!(report.patches.iter().all(|made| made.patch.is_ok()), "{report:?}");
    }
    let found: Vec<_> = (1..=8).map(|number| bases(&store, number)).collect();
    let expected: [&[usize]; 8] = [&[], &[1], &[1, 2], &[3], &[1, 3, 4], &[5], &[5, 6], &[7]];
    assert_eq!(found, expected);
    let found = audit(&store.directory, &()).unwrap();
    assert!(found.is_clean(), "{found:?}");
    assert_eq!(found.patches, 11);
    store.assert_newest("image", "8");
}

#[test]
fn every_release_is_reached_from_every_one_before() {
    let store = patching();
    let images: Vec<_> = (1..=8).map(|number| *blake3::hash(&release(number)).as_bytes()).collect();
    for number in 1..=8 {
        store.make(&release(number), &image());
        let index = store.index(&format!("image@{number}.cidx"));
        let ways = index.locator().ways();
        for base in &images[..number - 1] {
            let first = ways.patches().iter().position(|patch| patch.base == *base).expect("there is a way");
            let steps: Vec<_> = ways.from(first).map(|patch| patch.base).collect();
            assert!(steps.len() <= 6, "{} steps", steps.len());
            assert!(steps.is_sorted_by_key(|step| images.iter().position(|image| image == step)));
        }
    }
}

#[test]
fn a_smaller_patch_keeps_its_place_and_a_larger_one_is_not_stored() {
    let mut store = patching();
    store.make(&release(1), &image());
    store.make(&release(2), &image());
    let (before, files) = (store.index("image@2.cidx"), patch_files(&store));
    store.options.patches = Some(Patching { level: 1, ..Patching::default() });
    let made = store.publisher().patch(&version("image@1.cidx"), &version("image@2.cidx"), &()).unwrap();
    assert_eq!(made.patch.unwrap(), before.locator().ways().patches()[0]);
    assert_eq!(store.index("image@2.cidx").locator().ways(), before.locator().ways());
    assert_eq!(patch_files(&store), files);
}

#[test]
fn a_patch_added_later_leads_on_from_where_others_lead() {
    let mut store = patching();
    store.make(&release(1), &image());
    store.make(&release(2), &image());
    store.options.patches = None;
    store.make(&release(3), &image());
    assert!(store.index("image@3.cidx").locator().ways().patches().is_empty());
    let made = store.publisher().patch(&version("image@2.cidx"), &version("image@3.cidx"), &()).unwrap();
    let patch = made.patch.unwrap();
    let index = store.index("image@3.cidx");
    let ways = index.locator().ways();
    assert_eq!(ways.patches().len(), 2);
    assert_eq!(ways.from(1).nth(1), Some(&patch));
    assert!(audit(&store.directory, &()).unwrap().is_clean());
}

#[test]
fn releases_with_labels_of_their_own_are_found() {
    let store = patching();
    for (number, label) in [(1, "b"), (2, "c")] {
        store.make(&release(number), &wish("image", Some(label)));
    }
    let report = store.make(&release(3), &wish("image", Some("a")));
    let bases: Vec<_> = report.patches.iter().map(|made| made.base.as_str()).collect();
    assert_eq!(bases, ["c", "b"], "releases 2 and 1");
}

#[test]
fn the_same_image_again_changes_no_byte_of_the_store() {
    let store = patching();
    store.make(&release(1), &image());
    store.make(&release(2), &image());
    let before = (store.stamps(), patch_files(&store));
    let report = store.make(&release(2), &image());
    assert_eq!((report.outcome, report.patches.len()), (Outcome::Unchanged, 0));
    assert_eq!((store.stamps(), patch_files(&store)), before);
}

#[test]
fn a_mended_version_keeps_its_patches() {
    let store = patching();
    store.make(&release(1), &image());
    let report = store.make(&release(2), &image());
    for pack in store.packs() {
        fs::remove_file(store.path(pack)).unwrap();
    }
    let mended = store.make(&release(2), &image());
    assert_eq!((mended.outcome, mended.id), (Outcome::Mended, report.id));
    assert_eq!(bases(&store, 2), [1]);
}

#[test]
fn patches_that_the_store_has_lost_are_made_again_with_their_image() {
    let store = patching();
    (1..=4).for_each(|number| drop(store.make(&release(number), &image())));
    let mut before = patch_files(&store);
    let index = store.index("image@4.cidx");
    for file in &before {
        fs::remove_file(file).unwrap();
    }
    for number in 1..=4 {
        let report = store.make(&release(number), &wish("image", Some(&number.to_string())));
        let expected = if number == 1 { Outcome::Unchanged } else { Outcome::Mended };
        assert_eq!(report.outcome, expected, "release {number}");
    }
    let mut after = patch_files(&store);
    before.sort();
    after.sort();
    assert_eq!(before, after, "the same bytes have the same names");
    assert_eq!(store.index("image@4.cidx").locator().ways(), index.locator().ways());
    let again = store.make(&release(4), &image());
    assert_eq!((again.outcome, again.patches.len()), (Outcome::Unchanged, 0));
}

#[test]
fn a_patch_is_added_to_a_version_that_stays_the_same() {
    let store = Store::new();
    let first = store.make(&release(1), &image());
    let second = store.make(&release(2), &image());
    assert!(first.patches.is_empty() && second.patches.is_empty());
    let publisher = store.publisher();
    let made = publisher.patch(&version("image@1.cidx"), &version("image.cidx"), &()).unwrap();
    let patch = made.patch.unwrap();
    assert_eq!(store.index("image@2.cidx").locator().ways().patches(), [patch]);
    assert_eq!(store.index("image.cidx").id(), second.id);
    store.assert_newest("image", "2");
    let back = publisher.patch(&version("image@2.cidx"), &version("image@1.cidx"), &()).unwrap();
    assert!(back.patch.is_ok(), "an older version can be reached by a patch, too");
    assert_eq!(store.index("image@1.cidx").id(), first.id);
    store.assert_newest("image", "2");
    let found = audit(&store.directory, &()).unwrap();
    assert!(found.is_clean(), "{found:?}");
    assert_eq!(found.patches, 2);
    store.assert_holds("image@2.cidx", &release(2));
}

#[test]
fn a_patch_that_saves_nothing_is_not_published() {
    let store = patching();
    store.make(&noise(5, 500_000), &image());
    let report = store.make(&noise(6, 500_000), &image());
    assert!(matches!(report.patches[0].patch, Err(NoPatch::Frames { .. })), "{report:?}");
    let publisher = store.publisher();
    let same = publisher.patch(&version("image@1.cidx"), &version("image@1.cidx"), &()).unwrap();
    assert_eq!(same.patch, Err(NoPatch::Same));
    assert!(store.index("image.cidx").locator().ways().patches().is_empty());
}

#[test]
fn a_base_whose_packs_are_gone_only_costs_its_patch() {
    let store = patching();
    store.make(&release(1), &image());
    for pack in store.packs() {
        fs::remove_file(store.path(pack)).unwrap();
    }
    let report = store.make(&release(2), &image());
    assert!(matches!(report.patches[0].patch, Err(NoPatch::Failed(_))), "{report:?}");
    store.assert_holds("image@2.cidx", &release(2));
}

#[test]
fn patches_do_not_depend_on_the_number_of_threads() {
    let patches = [1, 3].map(|jobs| {
        let mut store = patching();
        store.options.jobs = Some(jobs);
        store.make(&release(1), &image());
        store.make(&release(2), &image());
        store.index("image.cidx").locator().ways().patches().to_vec()
    });
    assert_eq!(patches[0], patches[1]);
}

#[test]
fn an_audit_tells_of_damaged_and_missing_patches() {
    let store = patching();
    store.make(&release(1), &image());
    store.try_make(stream(&release(2)), &image()).unwrap();
    let file = patch_files(&store).remove(0);
    let right = fs::read(&file).unwrap();
    let mut wrong = right.clone();
    *wrong.last_mut().unwrap() ^= 1;
    fs::write(&file, &wrong).unwrap();
    let found = audit(&store.directory, &()).unwrap();
    assert!(matches!(found.damaged_patches[..], [(_, PatchDamage::Name)]), "{found:?}");
    assert!(found.false_objects().eq([Key::Patch(found.damaged_patches[0].0)]));
    fs::remove_file(&file).unwrap();
    let found = audit(&store.directory, &()).unwrap();
    assert!(matches!(found.damaged_patches[..], [(_, PatchDamage::Unreadable(_))]), "{found:?}");
    assert_eq!(found.false_objects().count(), 0);
}

#[test]
fn a_way_that_costs_more_than_frames_is_not_listed() {
    let store = patching();
    let plain = noise(1, 1_000_000);
    for number in 1..=7 {
        // No chunk stays, and every step costs nearly what frames do.
        let mut release = plain.clone();
        release.iter_mut().skip(number).step_by(16).for_each(|byte| *byte ^= 0x55);
        store.make(&release, &image());
        let index = store.index("image.cidx");
        let ways = index.locator().ways();
        assert_eq!(ways.patches().is_empty(), number == 1);
        for first in 0..ways.patches().len() {
            let bytes: u64 = ways.from(first).map(|patch| patch.len).sum();
            assert!(bytes < 1_010_000, "{bytes} bytes by {} patches", ways.from(first).count());
        }
    }
}
