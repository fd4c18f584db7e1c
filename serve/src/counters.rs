//! What a server has done so far, for a monitoring system.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Counters {
    requests: AtomicU64,
    failures: AtomicU64,
    bytes: AtomicU64,
    turned_away: AtomicU64,
    unlogged: AtomicU64,
}

impl Counters {
    pub(crate) fn request(&self, status: u16) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if status >= 400 {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn turned_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unlogged(&self) {
        self.unlogged.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Display for Counters {
    /// The text format of Prometheus.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, help, value) in [
            ("requests", "Requests answered.", &self.requests),
            ("failures", "Answers with a status of 400 or more.", &self.failures),
            ("sent_bytes", "Bytes of objects sent.", &self.bytes),
            (
                "connections_turned_away",
                "Connections closed at once because their client had too many.",
                &self.turned_away,
            ),
            ("unlogged", "Lines of the access log dropped because nobody took them.", &self.unlogged),
        ] {
            writeln!(f, "# HELP chunk_{name}_total {help}")?;
            writeln!(f, "# TYPE chunk_{name}_total counter")?;
            writeln!(f, "chunk_{name}_total {}", value.load(Ordering::Relaxed))?;
        }
        Ok(())
    }
}
