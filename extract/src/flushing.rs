//! When the medium is waited for while an image is written.

use std::time::{Duration, Instant};

/// After so long the medium is waited for, however little was written: a slow network must not leave the work of an hour
/// to a power cut.
const LONG: Duration = Duration::from_secs(15);

/// What was written since the medium was last waited for.
#[derive(Debug)]
pub(crate) struct Flushing {
    every: Option<u64>,
    bytes: u64,
    since: Instant,
}

impl Flushing {
    /// Waits after `every` so many bytes; `None` for never.
    pub(crate) fn every(every: Option<u64>) -> Self {
        Self { every, bytes: 0, since: Instant::now() }
    }

    /// Whether it is time to wait.
    pub(crate) fn is_due(&self) -> bool {
        self.every
            .is_some_and(|every| self.bytes >= every || (self.bytes > 0 && self.since.elapsed() >= LONG))
    }

    /// So many bytes more were written.
    pub(crate) fn written(&mut self, bytes: u64) {
        if self.bytes == 0 {
            self.since = Instant::now();
        }
        self.bytes += bytes;
    }

    /// The medium has everything.
    pub(crate) fn flushed(&mut self) {
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_medium_is_waited_for_after_so_many_bytes_or_so_long() {
        let mut flushing = Flushing::every(Some(100));
        flushing.written(99);
        assert!(!flushing.is_due());
        flushing.written(1);
        assert!(flushing.is_due());
        flushing.flushed();
        flushing.written(1);
        assert!(!flushing.is_due());
        flushing.since = flushing.since.checked_sub(LONG).expect("the machine runs for that long");
        assert!(flushing.is_due());
        flushing.flushed();
        assert!(!flushing.is_due(), "nothing was written since");
        let mut never = Flushing::every(None);
        never.written(u64::MAX);
        assert!(!never.is_due());
    }
}
