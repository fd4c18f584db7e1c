//! A seed that somebody writes to all the time, as to a mounted file system.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use chunk_extract::{Destination, Existing, Verify};

use crate::images::{Numbers, noise};
use crate::store::Store;
use crate::tries::{Stream, assert_is, job, run, seed};

const RUNS: usize = 1000;

/// Overwrites a few bytes of `file`, and puts back what was there, until told to stop.
fn disturb(file: &File, image: &[u8], mut numbers: Numbers, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let at = numbers.below(image.len());
        let end = image.len().min(at + 1 + numbers.below(4000));
        file.write_all_at(&noise(numbers.next(), end - at), at as u64).expect("written");
        thread::yield_now();
        file.write_all_at(&image[at..end], at as u64).expect("written");
    }
}

#[test]
fn a_seed_that_changes_all_the_time_costs_download_and_nothing_else() {
    let mut numbers = Numbers::new();
    println!("{}", numbers.how_to_repeat());
    let store = Store::new();
    let image = noise(1, 150_000);
    let index = store.make("new", &image);
    let lists = store.lists("new");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("seed");
    let target = directory.path().join("target");
    fs::write(&path, &image).expect("written");
    let file = File::options().write(true).open(&path).expect("a file");
    let source = store.source();
    let stop = AtomicBool::new(false);
    let mut late = 0;
    thread::scope(|scope| {
        let restless = numbers.clone();
        scope.spawn(|| disturb(&file, &image, restless, &stop));
        // Ends the thread above also when a run fails.
        let _ending = Ending(&stop);
        for number in 0..RUNS {
            let version = chunk_index::Index::decode(index.bytes().to_vec()).expect("a whole index");
            let mut job = job(&source, version, &target, Existing::Keep);
            job.options.verify = Verify::Off;
            job.seeds = vec![seed(&path, numbers.one_in(2).then(|| lists.clone()))];
            let stream = Stream::default();
            if number % 2 == 0 {
                job.destination = Destination::Stream(Box::new(stream.clone()));
            }
            late += u64::from(run(&source, job).late > 0);
            if number % 2 == 0 {
                assert!(stream.bytes() == image, "run {number}");
            } else {
                assert_is(&target, &image);
                fs::remove_file(&target).expect("it was made");
            }
        }
    });
    println!("in {late} of {RUNS} runs the seed changed between plan and use");
    assert!(late > 0, "the seed was never caught changing");
}

struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
