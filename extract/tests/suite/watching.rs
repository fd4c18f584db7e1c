//! Observers that remember, and act.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chunk_extract::{Notice, Observer, Progress};

/// What was heard, and what is done when the plan is made.
#[derive(Default)]
pub(crate) struct Watching<'a> {
    on_plan: Option<Box<dyn Fn() + Sync + 'a>>,
    /// The work is cancelled when so many bytes are written.
    stop_at: Option<u64>,
    is_cancelled: AtomicBool,
    scanned: AtomicU64,
    notices: Mutex<Vec<String>>,
}

impl<'a> Watching<'a> {
    /// Calls `action` between planning and doing.
    pub(crate) fn at_the_plan(action: impl Fn() + Sync + 'a) -> Self {
        Self { on_plan: Some(Box::new(action)), ..Self::default() }
    }

    /// Cancels when so many bytes are written.
    pub(crate) fn stopping_at(written: u64) -> Self {
        Self { stop_at: Some(written), ..Self::default() }
    }

    /// How many bytes of seeds were scanned.
    pub(crate) fn scanned(&self) -> u64 {
        self.scanned.load(Ordering::SeqCst)
    }

    /// Everything but plans.
    pub(crate) fn notices(&self) -> Vec<String> {
        self.notices.lock().expect("nobody panics with it").clone()
    }
}

impl Observer for Watching<'_> {
    fn progress(&self, progress: &Progress) {
        match *progress {
            Progress::Scanning { done, total } => {
                assert!(done <= total, "{progress:?}");
                self.scanned.fetch_max(done, Ordering::SeqCst);
            }
            Progress::Writing { done, total } => {
                assert!(done <= total, "{progress:?}");
                if self.stop_at.is_some_and(|stop| stop <= done) {
                    self.is_cancelled.store(true, Ordering::SeqCst);
                }
            }
            _ => {}
        }
    }

    fn notice(&self, notice: &Notice<'_>) {
        if let Notice::Planned(_) = notice {
            if let Some(action) = &self.on_plan {
                action();
            }
        } else {
            self.notices.lock().expect("nobody panics with it").push(format!("{notice:?}"));
        }
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::SeqCst)
    }
}
