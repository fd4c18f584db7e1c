//! The access log, written by a thread of its own: whoever reads it slowly, or not at all, delays no answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, Builder};
use std::time::{Duration, Instant, SystemTime};
use std::{fmt, io};

use crate::counters::Counters;
use crate::moment;

/// Lines that may wait to be written; any more are dropped, and counted.
const WAITING: usize = 1024;
/// How long the end of the server waits for the lines that are left.
const FAREWELL: Duration = Duration::from_secs(1);

/// A line of the access log, complete when the answer has ended.
#[derive(Debug)]
pub struct Entry {
    /// When the request came.
    pub time: SystemTime,
    /// Who asked.
    pub peer: SocketAddr,
    /// How.
    pub method: String,
    /// For what.
    pub path: String,
    /// The Range header.
    pub range: Option<String>,
    /// By which program.
    pub agent: Option<String>,
    /// The answer's status.
    pub status: u16,
    /// Bytes of the body that were given to the connection. If it broke, the last piece of them may not have
    /// arrived.
    pub bytes: u64,
}

impl Entry {
    /// [`Self::time`] as RFC 3339 writes it, in UTC, to the second.
    pub fn time_text(&self) -> String {
        moment::text(self.time)
    }
}

/// Whoever hears of requests.
pub(crate) type Log = Box<dyn Fn(&Entry) + Send>;

/// The way to the thread that writes.
pub(crate) struct Journal {
    lines: SyncSender<Entry>,
    waiting: Arc<AtomicUsize>,
    counters: Arc<Counters>,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl Journal {
    /// Starts the thread, which ends with the last that has the journal.
    pub(crate) fn start(log: Log, counters: Arc<Counters>) -> io::Result<Self> {
        let (lines, entries) = sync_channel::<Entry>(WAITING);
        let waiting = Arc::new(AtomicUsize::new(0));
        let written = Arc::clone(&waiting);
        Builder::new().name("access log".to_owned()).spawn(move || {
            for entry in entries {
                log(&entry);
                written.fetch_sub(1, Ordering::Release);
            }
        })?;
        Ok(Self { lines, waiting, counters })
    }

    /// Hands `entry` over, or drops it if too many wait; never blocks.
    pub(crate) fn tell(&self, entry: Entry) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if self.lines.try_send(entry).is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counters.unlogged();
        }
    }

    /// Waits a moment for what is still to be written.
    pub(crate) fn settle(&self) {
        let end = Instant::now() + FAREWELL;
        while self.waiting.load(Ordering::Acquire) > 0 && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn entry() -> Entry {
        Entry {
            time: SystemTime::UNIX_EPOCH,
            peer: ([127, 0, 0, 1], 1).into(),
            method: "GET".to_owned(),
            path: "/a".to_owned(),
            range: None,
            agent: None,
            status: 200,
            bytes: 5,
        }
    }

    #[test]
    fn a_log_that_nobody_takes_drops_lines_and_delays_nobody() {
        let (release, stuck) = channel::<()>();
        let counters = Arc::<Counters>::default();
        let log: Log = Box::new(move |_| {
            let _ = stuck.recv();
        });
        let journal = Journal::start(log, Arc::clone(&counters)).expect("started");
        for _ in 0..WAITING + 100 {
            journal.tell(entry());
        }
        // One more than wait may have been taken by the thread, which is stuck with it.
        let text = counters.to_string();
        let dropped = ["chunk_unlogged_total 99\n", "chunk_unlogged_total 100\n"];
        assert!(dropped.iter().any(|line| text.contains(line)), "{text}");
        drop(release);
        journal.settle();
        assert_eq!(journal.waiting.load(Ordering::Acquire), 0, "what waited is written in the end");
    }
}
