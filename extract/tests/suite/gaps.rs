//! Frames that are fetched together, with what lies between them.

use std::time::Duration;

use chunk_extract::{Existing, Totals};
use chunk_fetch::Speed;

use crate::images::noise;
use crate::store::Store;
use crate::tries::{assert_is, job, run, seed};

/// What it takes to make an image of 4 MiB of which a seed holds two parts of 96 KiB, over a way of that `speed`.
fn totals(speed: Option<Speed>) -> Totals {
    let store = Store::new();
    let image = noise(1, 4 << 20);
    store.make("new", &image);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (held, target) = (directory.path().join("seed"), directory.path().join("target"));
    let parts = [&image[1_500_000..][..96 << 10], &image[3_600_000..][..96 << 10]].concat();
    std::fs::write(&held, parts).expect("written");
    let source = store.source();
    let source = match speed {
        Some(speed) => source.with_speed(speed),
        None => source,
    };
    let mut job = job(&source, store.index("new"), &target, Existing::Keep);
    job.seeds = vec![seed(&held, None)];
    let report = run(&source, job);
    assert_is(&target, &image);
    report.totals
}

#[test]
fn frames_are_joined_across_what_a_request_costs_on_the_way_to_the_store() {
    let far = Speed { round_trip: Duration::from_millis(500), rate: 10_000_000, at_once: 16 };
    let near = Speed { round_trip: Duration::from_millis(1), ..far };
    let [unknown, near, far] = [None, Some(near), Some(far)].map(totals);
    assert_eq!((unknown.gaps, near.gaps), (0, 0));
    assert_eq!(unknown.requests, near.requests);
    assert_eq!(far.requests, near.requests - 2);
    assert_eq!(far.download, near.download + far.gaps);
    assert!((1..=far.download / 20).contains(&far.gaps), "{far:?}");
}
