//! Two runs at once to one target.

use std::fs;
use std::thread;

use chunk_extract::{Existing, ExtractError, Refusal, TargetError, Verify};

use crate::images::{blocks, noise};
use crate::store::Store;
use crate::tries::{job, part_of};
use crate::watching::Watching;

const ROUNDS: u64 = 200;

#[test]
fn while_one_run_writes_another_is_refused() {
    let store = Store::new();
    store.make("new", &blocks(0..2));
    let directory = tempfile::tempdir().expect("a temporary directory");
    for existing in [Existing::Keep, Existing::Update] {
        let target = directory.path().join("target");
        if existing == Existing::Update {
            fs::write(&target, noise(1, 100)).expect("written");
        }
        let source = store.source();
        // Once the plan of the first is made, its target is locked until it is done.
        let second = Watching::at_the_plan(|| {
            let error = job(&source, store.index("new"), &target, existing).run().expect_err("it is locked");
            assert!(
                matches!(error, ExtractError::Target(TargetError::Refused(_, Refusal::Locked))),
                "{error:?}"
            );
        });
        let mut first = job(&source, store.index("new"), &target, existing);
        first.observer = &second;
        first.run().expect("it was first");
        assert!(fs::read(&target).expect("made") == blocks(0..2));
        fs::remove_file(&target).expect("it was made");
    }
}

/// Who opens a part file just before it is renamed must not write into the image that it has become.
#[test]
fn of_two_runs_each_makes_its_image_or_is_refused() {
    let store = Store::new();
    let images = [noise(1, 20_000), noise(2, 30_000)];
    store.make("left", &images[0]);
    store.make("right", &images[1]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let target = directory.path().join("target");
    let mut refused = 0;
    for round in 0..ROUNDS {
        let outcomes = thread::scope(|scope| {
            let make = |name| {
                let (store, target) = (&store, &target);
                scope.spawn(move || {
                    let source = store.source();
                    let mut job = job(&source, store.index(name), target, Existing::Replace);
                    job.options.verify = Verify::Off;
                    job.options.threads = 1;
                    job.run().map(drop)
                })
            };
            [make("left"), make("right")].map(|run| run.join().expect("no run panics"))
        });
        for outcome in &outcomes {
            match outcome {
                Ok(()) => {}
                Err(ExtractError::Target(TargetError::Refused(_, Refusal::Locked))) => refused += 1,
                Err(error) => panic!("round {round}: {error}: {error:?}"),
            }
        }
        let found = fs::read(&target).expect("one of them has made it");
        assert!(images.contains(&found), "round {round}");
        assert!(!part_of(&target).exists(), "round {round}");
    }
    println!("{refused} of {} runs were refused", 2 * ROUNDS);
}
