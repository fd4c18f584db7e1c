//! Frames that are fetched together, with what lies between them.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use chunk_extract::{Existing, Totals};
use chunk_fetch::{FetchError, Source, Speed};

use crate::counting::Counting;
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
    assert!(unknown.requests > near.requests, "short requests where nothing is known of the way");
    assert_eq!(far.requests, near.requests - 2);
    assert_eq!(far.download, near.download + far.gaps);
    assert!((1..=far.download / 20).contains(&far.gaps), "{far:?}");
}

/// A store whose answers take a while; remembers the most bytes that were on the way at once.
struct Slow {
    inner: Counting,
    on_the_way: AtomicU64,
    most: AtomicU64,
}

impl Source for Slow {
    fn read(&self, object: &str, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), FetchError> {
        let len = range.end - range.start;
        let now = self.on_the_way.fetch_add(len, Ordering::SeqCst) + len;
        self.most.fetch_max(now, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(2));
        let read = self.inner.read(object, range, buffer);
        self.on_the_way.fetch_sub(len, Ordering::SeqCst);
        read
    }

    fn open(&self, object: &str, at_most: u64, buffer: &mut Vec<u8>) -> Result<u64, FetchError> {
        self.inner.open(object, at_most, buffer)
    }

    fn speed(&self) -> Option<Speed> {
        self.inner.speed()
    }
}

/// What is not complete when a run is cut short has come in vain.
#[test]
fn no_more_is_on_the_way_at_once_than_comes_within_seconds() {
    let store = Store::new();
    let image = noise(1, 16 << 20);
    store.make("new", &image);
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (rate, bounds) in [(100_000, 128 << 10..=256 << 10), (1_000_000, 1 << 20..=2_000_000)] {
        let speed = Speed { round_trip: Duration::from_millis(2), rate, at_once: 16 };
        let inner = store.source().with_speed(speed);
        let source = Slow { inner, on_the_way: AtomicU64::new(0), most: AtomicU64::new(0) };
        let target = directory.path().join(rate.to_string());
        job(&source, store.index("new"), &target, Existing::Keep).run().expect("made");
        assert_is(&target, &image);
        let most = source.most.into_inner();
        assert!(bounds.contains(&most), "{most} bytes at {rate} a second");
    }
}
