//! Work done on all cores whose results come back in the order it was handed out.
//!
//! This is what makes the output independent of the number of threads: workers race, results do not.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, sync_channel};

use rayon::ThreadPool;

/// A bounded queue of jobs, first in first out.
pub(crate) struct Ordered<T> {
    results: VecDeque<Receiver<T>>,
    depth: usize,
}

/// A job panicked; its result will never come.
#[derive(Debug)]
pub(crate) struct Panicked;

impl<T: Send + 'static> Ordered<T> {
    /// A queue of at most `depth` jobs.
    pub(crate) fn new(depth: usize) -> Self {
        Self { results: VecDeque::with_capacity(depth), depth }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.results.len() >= self.depth
    }

    /// Hands a job to the pool.
    pub(crate) fn spawn(&mut self, pool: &ThreadPool, job: impl FnOnce() -> T + Send + 'static) {
        let (sender, receiver) = sync_channel(1);
        self.results.push_back(receiver);
        pool.spawn(move || {
            // The receiver is gone when the whole work was given up; then nobody wants the result.
            let _ = sender.send(job());
        });
    }

    /// Waits for the oldest job; none if there is none.
    pub(crate) fn next(&mut self) -> Option<Result<T, Panicked>> {
        Some(self.results.pop_front()?.recv().map_err(|_| Panicked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_jobs() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        let mut ordered = Ordered::new(100);
        for number in 0..100u64 {
            ordered.spawn(&pool, move || {
                // Later jobs finish sooner.
                std::thread::sleep(std::time::Duration::from_micros(100 * (100 - number)));
                number
            });
        }
        assert!(ordered.is_full());
        let results: Vec<_> = std::iter::from_fn(|| ordered.next()).map(Result::unwrap).collect();
        assert_eq!(results, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_job_that_panics_is_told() {
        let quiet = |_| {};
        let pool = rayon::ThreadPoolBuilder::new().panic_handler(quiet).build().unwrap();
        let mut ordered: Ordered<()> = Ordered::new(1);
        ordered.spawn(&pool, || panic!("on purpose"));
        assert!(ordered.next().unwrap().is_err());
    }
}
