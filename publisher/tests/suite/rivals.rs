//! Publishers that work in one store at the same time.

use std::sync::{Barrier, Mutex};

use chunk_chunker::image::BLOCK;
use chunk_publisher::{Outcome, Report};
use chunk_store::Directory;

use crate::images::mixed;
use crate::inputs::random;
use crate::store::{Store, stream, wish};

const ROUNDS: u64 = 6;

/// Each publisher, a store of its own in the same directory, publishes its images one after the other, all at
/// the same moments. Returns every report with its image.
fn publish_at_once(
    store: &Store,
    publishers: u64,
    line: impl Fn(u64) -> String + Sync,
    image: impl Fn(u64, u64) -> Vec<u8> + Sync,
) -> Vec<(Report, Vec<u8>)> {
    let start = Barrier::new(usize::try_from(publishers).unwrap());
    let reports = Mutex::new(Vec::new());
    std::thread::scope(|threads| {
        for number in 0..publishers {
            let (start, reports, line, image) = (&start, &reports, &line, &image);
            threads.spawn(move || {
                let mut own = Store::at(store.directory.root());
                own.options = store.options.clone();
                own.directory = Directory::open_for_writing(store.directory.root()).unwrap();
                for round in 0..ROUNDS {
                    let image = image(number, round);
                    start.wait();
                    let report = own.make(&image, &wish(&line(number), None));
                    reports.lock().unwrap().push((report, image));
                }
            });
        }
    });
    reports.into_inner().unwrap()
}

/// Releases of a line run from 1 to `count`, and each report's version is there.
fn assert_all_there(store: &Store, line: &str, reports: &[(Report, Vec<u8>)], count: u64) {
    let of_line = || reports.iter().filter(|(report, _)| report.record.description().line.as_str() == line);
    let mut releases: Vec<_> =
        of_line().map(|(report, _)| report.record.description().release.get()).collect();
    releases.sort_unstable();
    assert_eq!(releases, (1..=count).collect::<Vec<_>>());
    for (report, image) in of_line() {
        assert_eq!(report.outcome, Outcome::Published);
        let file_name = format!("{line}@{}.cidx", report.record.description().label);
        assert_eq!(store.index(&file_name).id(), report.id);
        store.assert_holds(&file_name, image);
    }
    store.assert_newest(line, &count.to_string());
}

#[test]
fn publishers_of_one_line_get_releases_of_their_own() {
    let store = Store::new();
    let common = mixed(1, 300_000);
    let image = |number, round| [&common[..], &random(number << 32 | round, 50_000)].concat();
    let reports = publish_at_once(&store, 3, |_| "image".to_owned(), image);
    assert_all_there(&store, "image", &reports, 3 * ROUNDS);
    store.assert_whole();
}

#[test]
fn publishers_of_different_lines_do_not_disturb_each_other() {
    let store = Store::new();
    let common = mixed(2, 300_000);
    let image = |number, round| [&common[..], &random(number << 32 | round, 50_000)].concat();
    let reports = publish_at_once(&store, 3, |number| format!("line{number}"), image);
    for number in 0..3 {
        assert_all_there(&store, &format!("line{number}"), &reports, ROUNDS);
    }
    store.assert_whole();
}

/// Both publishers store the fill. The next version copies it from its own line's pack where its block is the
/// same, and finds it in the other one where it is not.
#[test]
fn a_chunk_that_two_publishers_stored_is_one_entry_where_it_repeats() {
    let store = Store::new();
    let fill = vec![7; 3 * BLOCK];
    let with_fill = |seed, len| [&random(seed, len)[..], &fill].concat();
    let (mut one, mut two) = (store.publisher(), store.publisher());
    one.make(stream(&with_fill(1, 900_000)), &wish("one", None), &()).unwrap();
    let mut image = with_fill(2, 100_000);
    two.make(stream(&image), &wish("two", None), &()).unwrap();
    for (release, changed) in [(2, 2 * BLOCK - 1), (3, BLOCK + 5)] {
        image[changed] ^= 1;
        store.make(&image, &wish("two", None));
        store.assert_holds(&format!("two@{release}.cidx"), &image);
    }
    store.assert_whole();
}

#[test]
fn publishers_of_the_same_image_make_one_version_of_it() {
    let store = Store::new();
    let reports = publish_at_once(&store, 3, |_| "image".to_owned(), |_, round| mixed(round, 200_000));
    let published = reports.iter().filter(|(report, _)| report.outcome == Outcome::Published).count();
    assert_eq!(published as u64, ROUNDS);
    assert_eq!(store.indexes().len() as u64, ROUNDS + 1);
    for (report, image) in &reports {
        let file_name = format!("image@{}.cidx", report.record.description().label);
        assert_eq!(store.index(&file_name).id(), report.id);
        store.assert_holds(&file_name, image);
    }
    store.assert_newest("image", &ROUNDS.to_string());
    store.assert_whole();
}
