//! Ranges of an object read ahead, several at a time, and handed over in their order.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use chunk_fetch::{FetchError, Source};

type Answer = Result<Vec<u8>, FetchError>;

/// Reads `ranges` of `object`, after `doubt` answers that were wrong, at most `most` at a time, of which that many may wait to be handed over. `take` gets them in
/// their order until it wants no more.
pub(super) fn read_ahead(
    source: &dyn Source,
    (object, doubt): (&str, u32),
    ranges: &[Range<u64>],
    most: usize,
    take: &mut dyn FnMut(Answer) -> bool,
) {
    let most = most.clamp(1, ranges.len().max(1));
    let desk = Desk { state: Mutex::default(), changed: Condvar::new() };
    thread::scope(|scope| {
        for _ in 0..most {
            scope.spawn(|| {
                while let Some(number) = desk.next(ranges.len(), most) {
                    let mut buffer = Vec::new();
                    let range = ranges[number].clone();
                    let read = source.read_again(object, range, doubt, &mut buffer);
                    desk.put(number, read.map(|()| buffer));
                }
            });
        }
        let _closing = Closing(&desk);
        for number in 0..ranges.len() {
            if !take(desk.take(number)) {
                break;
            }
        }
    });
}

/// Where requests are given out and answers come in.
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Requests that were given out.
    given: usize,
    /// Answers that were handed over.
    taken: usize,
    answers: BTreeMap<usize, Answer>,
    is_closed: bool,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'g>(&self, state: MutexGuard<'g, State>) -> MutexGuard<'g, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// The next of `count` requests, once no more than `most` are under way or wait.
    fn next(&self, count: usize, most: usize) -> Option<usize> {
        let mut state = self.lock();
        while !state.is_closed && state.given < count && state.given >= state.taken + most {
            state = self.wait(state);
        }
        if state.is_closed || state.given == count {
            return None;
        }
        state.given += 1;
        Some(state.given - 1)
    }

    fn put(&self, number: usize, answer: Answer) {
        self.lock().answers.insert(number, answer);
        self.changed.notify_all();
    }

    fn take(&self, number: usize) -> Answer {
        let mut state = self.lock();
        loop {
            if let Some(answer) = state.answers.remove(&number) {
                state.taken += 1;
                self.changed.notify_all();
                return answer;
            }
            state = self.wait(state);
        }
    }
}

/// Sends everybody home, however it ends.
struct Closing<'d>(&'d Desk);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    /// Answers with the range, the later ones sooner, and counts.
    #[derive(Default)]
    struct Hasty {
        asked: AtomicUsize,
        handed_over: AtomicUsize,
        most_ahead: AtomicUsize,
    }

    impl Source for Hasty {
        fn read(&self, _: &str, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), FetchError> {
            let asked = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_ahead.fetch_max(asked - self.handed_over.load(Ordering::SeqCst), Ordering::SeqCst);
            thread::sleep(Duration::from_millis(3 - range.start % 3));
            *buffer = vec![u8::try_from(range.start).expect("small")];
            Ok(())
        }

        fn open(&self, _: &str, _: u64, _: &mut Vec<u8>) -> Result<u64, FetchError> {
            unreachable!("nothing is opened")
        }
    }

    #[test]
    fn answers_come_in_order_and_no_more_wait_than_may() {
        for most in [1, 3, 100] {
            let source = Hasty::default();
            let ranges: Vec<_> = (0..50).map(|at| at..at + 1).collect();
            let mut found = Vec::new();
            read_ahead(&source, ("object", 0), &ranges, most, &mut |answer| {
                found.extend(answer.expect("it is there"));
                source.handed_over.fetch_add(1, Ordering::SeqCst);
                found.len() < 40
            });
            assert!(found.iter().copied().eq(0..40), "{found:?}");
            // One may have been taken and not yet counted.
            assert!(source.most_ahead.into_inner() <= most.min(50) + 1);
            assert!(source.asked.into_inner() <= 40 + most);
        }
        read_ahead(&Hasty::default(), ("object", 0), &[], 4, &mut |_| unreachable!("nothing is asked for"));
    }
}
