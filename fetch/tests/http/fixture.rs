//! What all tests share: an object, a short patience, and few words.

use std::time::{Duration, Instant};

use chunk_fetch::http::{Backoff, Config, Mirror};
use chunk_fetch::{FetchError, FetchErrorKind, HttpSource, Source};
use chunk_testing::http::{Asked, Server};

/// The name of the object that all servers have.
pub(crate) const PACK: &str = "packs/0.pack";

/// Bytes whose period is a prime, so that bytes from a wrong place show.
pub(crate) fn object(len: usize) -> Vec<u8> {
    (0..251u8).cycle().take(len).collect()
}

/// As in use, but for waits: they are a hundred times shorter, and nobody is asked in parallel.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.stall = Duration::from_millis(300);
    config.backoff = Backoff { first: Duration::from_millis(5), longest: Duration::from_millis(50) };
    config.max_attempts = 4;
    config.hedge_after = Duration::from_mins(1);
    config
}

pub(crate) fn source(servers: &[&Server], config: Config) -> HttpSource {
    let mirrors = servers.iter().map(|server| Mirror::new(&server.url()).expect("a URL")).collect();
    HttpSource::new(mirrors, config).expect("a source")
}

pub(crate) fn read(source: &HttpSource, start: u64, end: u64) -> Result<Vec<u8>, FetchError> {
    let mut buffer = b"old".to_vec();
    source.read(PACK, start..end, &mut buffer).map(|()| buffer)
}

pub(crate) fn open(source: &HttpSource, at_most: u64) -> Result<(u64, Vec<u8>), FetchError> {
    let mut buffer = b"old".to_vec();
    source.open("image.cidx", at_most, &mut buffer).map(|len| (len, buffer))
}

/// The error of a read that must fail.
pub(crate) fn refusal(source: &HttpSource, start: u64, end: u64) -> FetchErrorKind {
    read(source, start, end).expect_err("no such bytes").kind
}

/// The ranges that a server was asked for.
pub(crate) fn ranges(asked: &[Asked]) -> Vec<&str> {
    asked.iter().map(|asked| asked.header("range").unwrap_or("all")).collect()
}

/// Runs `action`, which must not take longer than `limit`.
pub(crate) fn within<T>(limit: Duration, action: impl FnOnce() -> T) -> T {
    let started_at = Instant::now();
    let result = action();
    let took = started_at.elapsed();
    assert!(took <= limit, "it took {took:?}, more than {limit:?}");
    result
}
