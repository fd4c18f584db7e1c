//! How servers are asked: what can be typed about it, and the source that comes of it.

use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chunk_fetch::http::{Cancel, Config, Credentials, Mirror, Netrc, Order, Proxies};
use chunk_fetch::{CachedSource, DirectorySource, HttpSource, Source};

use crate::exit::{Exit, Failure};
use crate::extract::Watch;
use crate::locate::In;
use crate::size::Size;

/// How servers are asked.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct Network {
    /// Another place of the store, a URL or a directory; may be repeated
    #[arg(long, value_name = "URL")]
    store: Vec<String>,
    /// Ask mirrors in the order given, not the fastest first
    #[arg(long)]
    ordered: bool,
    /// Header for requests to the host of the index
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// File with a token that the host of the index wants; ~/.netrc and URLs may have users and passwords
    #[arg(long, value_name = "FILE")]
    bearer_file: Option<PathBuf>,
    /// Certificates of authorities to trust instead of the web's
    #[arg(long, value_name = "PEM")]
    cacert: Option<PathBuf>,
    /// Our certificate
    #[arg(long, value_name = "PEM", requires = "key")]
    cert: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "PEM", requires = "cert")]
    key: Option<PathBuf>,
    /// Take the time to be at least that of this file's last change, when checking certificates
    #[arg(long, value_name = "FILE")]
    min_time: Option<PathBuf>,
    /// Receive at most this many bytes a second
    #[arg(long, value_name = "SIZE")]
    limit_rate: Option<Size>,
    /// Try for so many seconds in all, however often the network fails
    #[arg(long, value_name = "SECONDS")]
    deadline: Option<u64>,
    /// Give a request up when hardly a byte came for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    stall: u64,
    /// Longest object to fetch whole from a server without ranges
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    max_overfetch: Size,
    /// Requests at a time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=64))]
    connections: u16,
    /// Keep what is fetched in this directory, for the next time and for others
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Let the cache grow to about this size
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    cache_size: Size,
    /// Put the query of the index's URL behind those of all objects
    #[arg(long)]
    inherit_query: bool,
}

/// A store, and the name of an index in it.
pub(crate) struct Store {
    pub(crate) source: Box<dyn Source>,
    /// Requests at a time.
    pub(crate) connections: usize,
}

/// What becomes of a run whose cache cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uncached {
    /// It goes on without: a cache only spares downloads.
    GoesOn,
    /// It fails: keeping is what it is for.
    Fails,
}

/// Reads at a time from a store on this machine.
const LOCAL_READS: usize = 2;

/// Whether `text` is a URL rather than a path.
pub(crate) fn is_url(text: &str) -> bool {
    ["http://", "https://"]
        .iter()
        .any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
}

impl Network {
    /// The store that the index at `url` lies in, and the index's name in it.
    pub(crate) fn beside(
        &self,
        url: &str,
        uncached: Uncached,
        watch: &Watch,
    ) -> Result<(Store, String), Failure> {
        let (mirror, name) = Mirror::beside(url).map_err(usage)?;
        let host = mirror.host().to_owned();
        let mut mirrors = vec![self.equip(mirror, true)?];
        for store in &self.store {
            if !is_url(store) {
                // Not repeated here: it may be a URL of another kind, with a password.
                return Err(Failure::new(Exit::Usage, "a --store is neither an http nor an https URL")
                    .hint("a store in a directory goes with an index in a file"));
            }
            let mirror = Mirror::new(store).map_err(usage)?;
            let is_same = mirror.host() == host;
            mirrors.push(self.equip(mirror, is_same)?);
        }
        Ok((self.http(mirrors, uncached, watch)?, name))
    }

    /// Whether the store of `index` is asked over a network.
    pub(crate) fn is_far(&self, index: &Path) -> bool {
        index.to_str().is_some_and(is_url) || self.store.iter().any(|store| is_url(store))
    }

    /// How much of `download` bytes stays in the cache.
    pub(crate) fn most_cached(&self, download: u64) -> u64 {
        self.cache.as_ref().map_or(0, |_| download.min(self.cache_size.0))
    }

    /// The store for an index in the local directory `beside`.
    pub(crate) fn local(&self, beside: &Path, uncached: Uncached, watch: &Watch) -> Result<Store, Failure> {
        let (urls, directories): (Vec<_>, Vec<_>) = self.store.iter().partition(|store| is_url(store));
        match (&urls[..], &directories[..]) {
            ([], []) => {
                Ok(Store { source: Box::new(DirectorySource::new(beside)), connections: LOCAL_READS })
            }
            ([], [directory]) => {
                let source = Box::new(DirectorySource::new(Path::new(directory)));
                Ok(Store { source, connections: LOCAL_READS })
            }
            (urls, []) => {
                let mirrors = urls.iter().map(|url| Mirror::new(url).map_err(usage));
                let mirrors = mirrors.collect::<Result<Vec<_>, Failure>>()?;
                let host = mirrors.first().map(|mirror| mirror.host().to_owned());
                let equip = |mirror: Mirror| {
                    let is_first = Some(mirror.host()) == host.as_deref();
                    self.equip(mirror, is_first)
                };
                let mirrors = mirrors.into_iter().map(equip).collect::<Result<_, Failure>>()?;
                self.http(mirrors, uncached, watch)
            }
            _ => {
                Err(Failure::new(Exit::Usage, "--store names several directories, or a directory and a URL")
                    .hint("name one directory, or any number of URLs"))
            }
        }
    }

    /// Gives a mirror what its server wants of us. Headers and the token are for the host of the index alone, or
    /// for that of the first mirror.
    fn equip(&self, mut mirror: Mirror, is_trusted: bool) -> Result<Mirror, Failure> {
        if !is_trusted {
            return with_netrc(mirror);
        }
        for header in &self.header {
            let (name, value) = header.split_once(':').ok_or_else(|| {
                Failure::new(Exit::Usage, "a header has no colon").hint("--header 'NAME: VALUE'")
            })?;
            mirror = mirror.header(name.trim(), value.trim()).map_err(usage)?;
        }
        if let Some(file) = &self.bearer_file {
            let token = fs::read_to_string(file).map_err(|error| unreadable(file, error))?;
            return mirror.credentials(Credentials::Bearer(token.trim().to_owned())).map_err(usage);
        }
        with_netrc(mirror)
    }

    fn http(&self, mirrors: Vec<Mirror>, uncached: Uncached, watch: &Watch) -> Result<Store, Failure> {
        let read = |file: &PathBuf| fs::read(file).map_err(|error| unreadable(file, error));
        let mut config = Config::default();
        config.order = if self.ordered { Order::Ordered } else { Order::Equal };
        config.trust.authorities = self.cacert.as_ref().map(read).transpose()?;
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            config.trust.client = Some((read(cert)?, read(key)?));
        }
        if let Some(file) = &self.min_time {
            let changed = file.metadata().and_then(|metadata| metadata.modified());
            config.trust.not_before = Some(changed.map_err(|error| unreadable(file, error))?);
        }
        config.proxies = Proxies::from_environment().map_err(usage)?;
        config.limit_rate = self.limit_rate.and_then(|Size(rate)| NonZeroU64::new(rate));
        config.deadline = self.deadline.map(Duration::from_secs);
        config.stall = Duration::from_secs(self.stall.max(1));
        config.max_overfetch = self.max_overfetch.0;
        config.max_connections = usize::from(self.connections);
        config.inherit_query = self.inherit_query;
        config.cancel = Cancel::from(watch.stop());
        let source = HttpSource::new(mirrors, config).map_err(usage)?;
        let source: Box<dyn Source> = match &self.cache {
            None => Box::new(source),
            Some(directory) => match (CachedSource::new(source, directory, self.cache_size.0), uncached) {
                (Ok(cached), _) => Box::new(cached),
                (Err((error, source)), Uncached::GoesOn) => {
                    watch.uncached(directory, &error);
                    Box::new(source)
                }
                (Err((error, _)), Uncached::Fails) => {
                    return Err(Failure::new(Exit::Target, In { path: directory.clone(), error })
                        .hint("--cache names a directory that can be written, or can be made"));
                }
            },
        };
        Ok(Store { source, connections: usize::from(self.connections) })
    }
}

/// With what ~/.netrc has for the mirror's host, unless its URL has something.
fn with_netrc(mirror: Mirror) -> Result<Mirror, Failure> {
    if mirror.has_credentials() {
        return Ok(mirror);
    }
    match netrc().and_then(|netrc| netrc.find(mirror.host())) {
        Some(credentials) => mirror.credentials(credentials).map_err(usage),
        None => Ok(mirror),
    }
}

fn netrc() -> Option<Netrc> {
    let path = std::env::var_os("NETRC")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".netrc")))?;
    Some(Netrc::parse(&fs::read_to_string(path).ok()?))
}

fn usage(error: chunk_fetch::http::ConfigError) -> Failure {
    Failure::new(Exit::Usage, error)
}

fn unreadable(path: &Path, error: std::io::Error) -> Failure {
    Failure::new(Exit::Usage, In { path: path.to_owned(), error })
}
