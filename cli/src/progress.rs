//! Progress on a terminal, and the wish to stop.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chunk_publisher::Observer;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::output::Output;
use crate::size::human;

/// Time between two lines.
const INTERVAL: Duration = Duration::from_millis(200);

/// Watches a long verb. The first SIGINT or SIGTERM asks it to stop, the second one stops it.
#[derive(Debug)]
pub(crate) struct Progress {
    what: String,
    shown: bool,
    last: Mutex<Option<Instant>>,
    started: Instant,
    stop: Arc<AtomicBool>,
}

impl Progress {
    pub(crate) fn new(what: &str, output: &Output) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop))?;
            signal_hook::flag::register(signal, Arc::clone(&stop))?;
        }
        Ok(Self {
            what: crate::exit::visible(what),
            shown: output.shows_progress() && io::stderr().is_terminal(),
            last: Mutex::new(None),
            started: Instant::now(),
            stop,
        })
    }

    /// What the signals set.
    pub(crate) fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    fn line(&self, done: u64, total: Option<u64>) -> String {
        let millis = self.started.elapsed().as_millis().max(1);
        let rate = human(u64::try_from(u128::from(done) * 1000 / millis).unwrap_or(u64::MAX));
        match total.filter(|total| *total > 0) {
            Some(total) => {
                let percent = u128::from(done) * 100 / u128::from(total);
                let left = u128::from(total.saturating_sub(done)) * millis / u128::from(done.max(1)) / 1000;
                format!("{}: {percent}% of {}, {rate}/s, {left} s left", self.what, human(total))
            }
            None => format!("{}: {}, {rate}/s", self.what, human(done)),
        }
    }
}

impl Observer for Progress {
    fn progress(&self, done: u64, total: Option<u64>) {
        if !self.shown {
            return;
        }
        let Ok(mut last) = self.last.lock() else { return };
        if last.is_none_or(|last| last.elapsed() >= INTERVAL) {
            *last = Some(Instant::now());
            let _ = write!(io::stderr(), "\r\x1b[K{}", self.line(done, total));
        }
    }

    fn is_cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let drawn = self.last.lock().is_ok_and(|last| last.is_some());
        if drawn {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
