//! What others see of an extraction: a terminal, a supervisor, a program that reads events.

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chunk_extract::{Notice, Observer, Progress};
use rustix::fs::OFlags;
use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::exit::visible;
use crate::output::Output;
use crate::size::human;

use super::apart::{descriptor, expect_open_for_writing};

/// Time between two lines about the same phase.
const INTERVAL: Duration = Duration::from_millis(200);

/// Watches an extraction. The first SIGINT or SIGTERM asks it to stop, the second one stops it.
pub(crate) struct Watch {
    bar: Bar,
    warns: bool,
    events: Option<Mutex<File>>,
    supervisor: Option<(UnixDatagram, SocketAddr)>,
    last: Mutex<Option<(&'static str, Instant, Instant)>>,
    stop: Arc<AtomicBool>,
    /// Seeds that could not be used.
    unused: Mutex<Vec<String>>,
}

/// What is shown on stderr.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bar {
    /// Nothing.
    Hidden,
    /// One line that changes.
    Line,
    /// A line for each step: phase, percentage, time left.
    Parsable,
}

impl Watch {
    pub(crate) fn new(output: &Output, events_fd: Option<u32>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop))?;
            signal_hook::flag::register(signal, Arc::clone(&stop))?;
        }
        let bar = if env::var_os("DESYNC_ENABLE_PARSABLE_PROGRESS").is_some_and(|value| !value.is_empty()) {
            Bar::Parsable
        } else if output.shows_progress() && io::stderr().is_terminal() {
            Bar::Line
        } else {
            Bar::Hidden
        };
        let events = events_fd.map(open_events).transpose()?;
        Ok(Self {
            bar,
            warns: output.warns(),
            events: events.map(Mutex::new),
            supervisor: supervisor(),
            last: Mutex::new(None),
            stop,
            unused: Mutex::default(),
        })
    }

    /// What the signals set.
    pub(crate) fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Tells the readers of events.
    pub(super) fn event(&self, event: &Value) {
        let Some(events) = &self.events else { return };
        if let Ok(mut events) = events.lock() {
            // A reader that has gone, or does not read, does not stop an update. A line goes out whole or not at all.
            let _ = events.write(format!("{event}\n").as_bytes());
        }
    }

    fn show(&self, phase: &'static str, done: u64, total: u64) {
        let Ok(mut last) = self.last.lock() else { return };
        let now = Instant::now();
        let started = match *last {
            Some((before, started, told)) if before == phase => {
                if now - told < INTERVAL && done < total {
                    return;
                }
                started
            }
            _ => now,
        };
        *last = Some((phase, started, now));
        drop(last);
        let percent = u128::from(done) * 100 / u128::from(total.max(1));
        let millis = started.elapsed().as_millis().max(1);
        let left = u128::from(total.saturating_sub(done)) * millis / u128::from(done.max(1)) / 1000;
        self.event(&json!({"ev": "progress", "phase": phase, "done": done, "total": total}));
        if let Some((socket, address)) = &self.supervisor {
            let text = format!("STATUS={phase} {percent}%\nX_IMPORT_PROGRESS={percent}%\n");
            let _ = socket.send_to_addr(text.as_bytes(), address);
        }
        let text = match self.bar {
            Bar::Hidden => return,
            Bar::Parsable => format!("{phase} {percent}.00% {left}s\n"),
            Bar::Line => {
                let rate = human(u64::try_from(u128::from(done) * 1000 / millis).unwrap_or(u64::MAX));
                format!("\r\x1b[K{phase}: {percent}% of {}, {rate}/s, {left} s left", human(total))
            }
        };
        let _ = io::stderr().write_all(text.as_bytes());
    }

    /// Tells that it goes on without `seed`.
    pub(super) fn unusable(&self, seed: &str, error: &(dyn Error + 'static)) {
        let why = chain(error);
        self.warn(&format!("seed {seed} cannot be used, it goes on without: {why}"));
        self.event(&json!({"ev": "unusable", "seed": seed, "why": why}));
        if let Ok(mut unused) = self.unused.lock() {
            unused.push(seed.to_owned());
        }
    }

    /// Tells that nothing will be remembered in `state`.
    pub(super) fn stateless(&self, state: &Path, error: &io::Error) {
        self.warn(&format!(
            "the state directory {} cannot be used, it goes on without: nothing is remembered, and an update in place \
             that is cut short downloads again what it was moving: {error}",
            state.display()
        ));
        self.event(&json!({"ev": "stateless", "why": error.to_string()}));
    }

    /// Tells that what `index` says of `seed` is not known, so that it will be scanned.
    pub(super) fn misled(&self, seed: &str, index: &str, error: &(dyn Error + 'static)) {
        let why = chain(error);
        self.warn(&format!("{index} is no index of seed {seed}, it goes on without: {why}"));
        self.event(&json!({"ev": "misled", "seed": seed, "index": index, "why": why}));
    }

    /// Tells that it goes on without the cache in `directory`.
    pub(crate) fn uncached(&self, directory: &Path, error: &(dyn Error + 'static)) {
        let (directory, why) = (directory.display().to_string(), chain(error));
        self.warn(&format!("the cache {directory} cannot be used, it goes on without: {why}"));
        self.event(&json!({"ev": "uncached", "cache": directory, "why": why}));
    }

    /// Tells that only the first `len` bytes of standard input could be kept.
    pub(super) fn cut(&self, len: u64, directory: &Path) {
        let directory = directory.display();
        self.warn(&format!(
            "only the first {} of standard input have room in {directory}, it goes on with them: \
             --state or TMPDIR names another place",
            human(len)
        ));
        self.event(&json!({"ev": "cut", "seed": "standard input", "bytes": len}));
    }

    /// The seeds that could not be used.
    pub(super) fn unused(&self) -> Vec<String> {
        self.unused.lock().map(|unused| unused.clone()).unwrap_or_default()
    }

    /// Wipes the line that changes, if there is one: what is said next stays.
    pub(super) fn clear(&self) {
        let drawn = self.bar == Bar::Line && self.last.lock().is_ok_and(|mut last| last.take().is_some());
        if drawn {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    /// Tells of what costs no more than time or download.
    pub(super) fn warn(&self, text: &str) {
        if self.warns {
            let start = if self.bar == Bar::Line { "\r\x1b[K" } else { "" };
            let _ = writeln!(io::stderr(), "{start}warning: {}", visible(text));
        }
    }
}

impl Observer for Watch {
    fn progress(&self, progress: &Progress) {
        match *progress {
            Progress::Checking { done, total } => self.show("check", done, total),
            Progress::Scanning { done, total } => self.show("seed", done, total),
            Progress::Writing { done, total } => self.show("write", done, total),
            Progress::Pulling { done, total } => self.show("fetch", done, total),
            Progress::Clearing { done, total } => self.show("tail", done, total),
            Progress::ReadingBack { done, total } => self.show("verify", done, total),
            Progress::Flushing => self.show("flush", 0, 1),
            _ => {}
        }
    }

    fn notice(&self, notice: &Notice<'_>) {
        match notice {
            Notice::Unreadable { seed, range, error } => {
                self.warn(&format!(
                    "bytes {} to {} of seed {seed} cannot be read: {error}",
                    range.start, range.end
                ));
                self.event(&json!({
                    "ev": "unreadable", "seed": seed, "offset": range.start, "bytes": range.end - range.start,
                }));
            }
            Notice::Forgotten { error } => {
                self.warn(&format!("what was installed cannot be remembered: {error}"));
                self.event(&json!({"ev": "forgotten"}));
            }
            Notice::Leftover { error } => {
                self.warn(&format!("something in the state directory cannot be removed: {error}"));
                self.event(&json!({"ev": "leftover", "why": error.to_string()}));
            }
            Notice::Unjournaled { bytes, error } => {
                self.warn(&format!(
                    "the update goes on without a journal, so a power cut may cost the download of {}: {error}",
                    human(*bytes)
                ));
                self.event(&json!({"ev": "unjournaled", "bytes": bytes, "why": error.to_string()}));
            }
            Notice::Rewritten { ranges } => {
                let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
                let first = ranges.first().map_or(0, |range| range.start);
                self.warn(&format!(
                    "{bytes} bytes, the first at {first}, read back otherwise than written: \
                     they are fetched and written once more"
                ));
                self.event(&json!({"ev": "rewritten", "bytes": bytes, "offset": first}));
            }
            Notice::Undiscarded { error } => {
                self.warn(&format!("what lies behind the image cannot be discarded: {error}"));
                self.event(&json!({"ev": "undiscarded"}));
            }
            Notice::Stale { seed } => {
                self.warn(&format!("the index of seed {seed} does not fit it; the seed is scanned instead"));
                self.event(&json!({"ev": "stale", "seed": seed}));
            }
            Notice::Unpatched { patch, error } => {
                self.warn(&format!("{patch} is of no use, frames are: {error}"));
                self.event(&json!({"ev": "unpatched", "patch": patch, "why": error.to_string()}));
            }
            Notice::Planned(totals) => {
                self.event(&json!({
                    "ev": "plan", "image_bytes": totals.image, "kept_bytes": totals.kept,
                    "download_bytes": totals.download, "patch_bytes": totals.patch, "requests": totals.requests, "write_bytes": totals.write,
                }));
            }
            _ => {}
        }
    }

    fn is_cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.clear();
    }
}

/// An error with its causes in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The descriptor `fd`, opened anew so that a reader that does not read holds nothing up: it misses events.
fn open_events(fd: u32) -> io::Result<File> {
    // Opening it anew would not tell: a file may be written although this descriptor of it is for reading.
    expect_open_for_writing(fd)?;
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag fits");
    File::options().append(true).custom_flags(flags).open(descriptor(fd))
}

/// The service manager that waits for news, if there is one.
fn supervisor() -> Option<(UnixDatagram, SocketAddr)> {
    let path = env::var_os("NOTIFY_SOCKET")?;
    let address = match path.as_encoded_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name).ok()?,
        None => SocketAddr::from_pathname(&path).ok()?,
    };
    let socket = UnixDatagram::unbound().ok()?;
    // A supervisor that does not listen must not hold the update up.
    socket.set_nonblocking(true).ok()?;
    Some((socket, address))
}
