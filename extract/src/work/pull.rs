//! Reading what a plan would fetch, for somebody who keeps it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use chunk_fetch::Source;

use crate::ReadError;
use crate::job::{ExtractError, Observer, Progress};
use crate::plan::Plan;
use crate::recipe::Recipe;

/// How many bytes of what `plan` asks the store for `source` keeps from earlier.
pub(crate) fn kept(plan: &Plan, recipe: &Recipe, source: &dyn Source) -> u64 {
    let mut ranges: BTreeMap<u32, Vec<Range<u64>>> = BTreeMap::new();
    for request in &plan.fetches.requests {
        ranges.entry(request.pack).or_default().push(request.range.clone());
    }
    ranges.iter().map(|(pack, ranges)| source.kept(&recipe.pack_path(*pack), ranges)).sum()
}

/// Reads everything that `plan` asks the store for, `connections` requests at a time.
pub(crate) fn pull(
    plan: &Plan,
    recipe: &Recipe,
    source: &dyn Source,
    connections: usize,
    observer: &dyn Observer,
) -> Result<(), ExtractError> {
    let requests = &plan.fetches.requests;
    let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
    let total = plan.totals.download;
    let read_some = || -> Result<(), ExtractError> {
        let mut buffer = Vec::new();
        while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
            if observer.is_cancelled() {
                return Err(ExtractError::Cancelled);
            }
            let object = recipe.pack_path(request.pack);
            let read = source.read(&object, request.range.clone(), &mut buffer).map_err(ReadError::Fetch);
            read.inspect_err(|_| next.store(requests.len(), Ordering::Relaxed))?;
            let len = request.range.end - request.range.start;
            let done = done.fetch_add(len, Ordering::Relaxed) + len;
            observer.progress(&Progress::Pulling { done, total });
        }
        Ok(())
    };
    thread::scope(|scope| {
        let count = connections.min(requests.len());
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(read_some)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("reading does not panic"))
    })
}
