//! A store on web servers.
//!
//! | module | decides or does |
//! |---|---|
//! | `url`, `mirror`, `credentials`, `netrc`, `proxy` | where things lie and what opens them |
//! | `belief` | whether an answer is what was asked for |
//! | `course`, `retry`, `health`, `window`, `pace`, `meter` | whom to ask, when, how often, how many at once, how fast |
//! | `dial`, `tls`, `connect`, `pool` | connections |
//! | `request`, `follow`, `body`, `exchange`, `spool` | one question to one mirror |
//! | `client`, `gathered` | one read, over as many questions as it takes |
//!
//! The second and third row of these ask no clock and no network; their tests need none.

mod belief;
mod body;
mod client;
mod config;
mod connect;
mod course;
mod credentials;
mod dial;
mod exchange;
mod follow;
mod gathered;
mod health;
mod limiter;
mod meter;
mod mirror;
mod netrc;
mod pace;
mod pool;
mod proxy;
mod race;
mod request;
mod retry;
mod spool;
mod stream;
#[cfg(feature = "tls")]
mod tls;
mod url;
mod window;

pub use config::{Cancel, Config, ConfigError, Exchange, Observer, Order, Trust};
pub use credentials::Credentials;
pub use mirror::Mirror;
pub use netrc::Netrc;
pub use proxy::Proxies;
pub use retry::Backoff;

use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::{FetchError, FetchErrorKind, Source, Speed, Spent};
use client::Client;
use connect::Connector;
use gathered::{Gathered, Wanted};
use stream::Tally;

/// Threads that do the network's work; those that read only wait for them.
const WORKERS: usize = 2;
/// How often a thread that waits looks whether it has been cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// Reads objects from web servers that hold the same store.
#[derive(Debug)]
pub struct HttpSource {
    client: Arc<Client>,
    /// Always there, but for the moment of its end.
    runtime: Option<Runtime>,
}

impl HttpSource {
    /// A source that reads from `mirrors`, at least one.
    pub fn new(mirrors: Vec<Mirror>, config: Config) -> Result<Self, ConfigError> {
        if mirrors.is_empty() {
            return Err(ConfigError::NoMirror);
        }
        if !cfg!(feature = "tls") && mirrors.iter().any(|mirror| mirror.directory.origin.is_secure) {
            return Err(ConfigError::NoTls);
        }
        let connector = Connector {
            proxies: config.proxies.clone(),
            tally: Arc::new(Tally::default()),
            stall: config.stall,
            #[cfg(feature = "tls")]
            tls: tls::Tls::new(&config.trust, config.http2)?,
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("chunk-fetch")
            .enable_io()
            .enable_time()
            .build()
            .map_err(ConfigError::System)?;
        let client = Arc::new(Client::new(mirrors, config, connector));
        Ok(Self { client, runtime: Some(runtime) })
    }

    /// Has a worker read what is wanted, and waits for it.
    fn wait_for(&self, wanted: &Wanted) -> Result<Gathered, FetchError> {
        let runtime = self.runtime.as_ref().expect("the runtime lives as long as the source");
        let (sender, receiver) = sync_channel(1);
        let client = Arc::clone(&self.client);
        let job = wanted.clone();
        let task = runtime.spawn(async move {
            // Nobody waits any more when the call was cancelled.
            let _ = sender.send(client.read(&job).await);
        });
        loop {
            let stopped = |kind| Err(self.client.error(wanted, 0, kind));
            if self.client.config.cancel.is_cancelled() {
                task.abort();
                return stopped(FetchErrorKind::Cancelled);
            }
            match receiver.recv_timeout(LOOK) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return stopped(FetchErrorKind::Io(std::io::Error::other("a worker has panicked")));
                }
            }
        }
    }
}

impl Source for HttpSource {
    fn read(&self, object: &str, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), FetchError> {
        self.read_again(object, range, 0, buffer)
    }

    fn read_again(
        &self,
        object: &str,
        range: Range<u64>,
        doubt: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<(), FetchError> {
        buffer.clear();
        if !range.is_empty() {
            let wanted = Wanted { object: object.to_owned(), range, may_end: false, doubt };
            *buffer = self.wait_for(&wanted)?.bytes;
        }
        Ok(())
    }

    fn open(&self, object: &str, at_most: u64, buffer: &mut Vec<u8>) -> Result<u64, FetchError> {
        self.open_again(object, at_most, 0, buffer)
    }

    fn open_again(
        &self,
        object: &str,
        at_most: u64,
        doubt: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<u64, FetchError> {
        buffer.clear();
        // There is no question for no bytes that tells the length of the object.
        let range = 0..at_most.max(1);
        let gathered = self.wait_for(&Wanted { object: object.to_owned(), range, may_end: true, doubt })?;
        *buffer = gathered.bytes;
        buffer.truncate(usize::try_from(at_most).unwrap_or(usize::MAX));
        Ok(gathered.total.expect("a front is complete only when the length is known"))
    }

    fn locate(&self, object: &str) -> String {
        self.client.located(object)
    }

    fn spent(&self) -> Spent {
        self.client.tally.spent()
    }

    fn speed(&self) -> Option<Speed> {
        let config = &self.client.config;
        let speed = self.client.meter.speed(config.max_connections)?;
        // What waits to be let through has come already, as the meter sees it.
        let limit = config.limit_rate.map_or(u64::MAX, NonZeroU64::get);
        Some(Speed { rate: speed.rate.min(limit), ..speed })
    }
}

impl Drop for HttpSource {
    fn drop(&mut self) {
        // Waits for nobody: no answer is wanted any more.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
