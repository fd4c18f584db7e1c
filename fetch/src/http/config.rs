//! What a caller decides.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use super::proxy::Proxies;
use super::retry::Backoff;
use crate::FetchErrorKind;

/// Whom to ask first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Whoever is likely to be fastest.
    #[default]
    Equal,
    /// The first mirror that is well.
    Ordered,
}

/// How the other side is to prove who it is, and we.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Trust {
    /// Certificates of authorities, as PEM, instead of those that the web trusts.
    pub authorities: Option<Vec<u8>>,
    /// Our certificate and its chain, as PEM, and its key, as PEM.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
    /// The time is taken to be this at least, whatever the clock says: certificates are checked on devices that
    /// start without a clock.
    pub not_before: Option<SystemTime>,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("has_authorities", &self.authorities.is_some())
            .field("has_client", &self.client.is_some())
            .field("not_before", &self.not_before)
            .finish()
    }
}

/// How to ask. Changed field by field from its default.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Whom to ask first.
    pub order: Order,
    /// Certificates.
    pub trust: Trust,
    /// Proxies; none unless [`Proxies::from_environment`] is called.
    pub proxies: Proxies,
    /// Bytes a second that are received at most.
    pub limit_rate: Option<NonZeroU64>,
    /// A request is given up when less than 1 KiB a second came for so long.
    pub stall: Duration,
    /// All requests together may take so long, from the creation of the source. Until then failures of the network
    /// are met with another try, however many there were.
    pub deadline: Option<Duration>,
    /// Without a deadline, a range is given up after so many failures; 64 KiB that came make up for those before.
    pub max_attempts: u32,
    /// Waits between failures.
    pub backoff: Backoff,
    /// A server that wants more rest than this is given up.
    pub max_rest: Duration,
    /// Another mirror is asked as well when a request takes longer than this, and three times as long as usual.
    pub hedge_after: Duration,
    /// From a server without ranges, an object is fetched whole if it is no longer than this.
    pub max_overfetch: u64,
    /// Requests to one host at once, at most.
    pub max_connections: usize,
    /// Whether the query of a mirror's URL is that of all objects, too.
    pub inherit_query: bool,
    /// Whether HTTP/2 is spoken with servers that offer it (over TLS only). It saves the handshakes of all
    /// connections but one: the further the server and the shorter the ranges, the more that is. What it costs where
    /// packets get lost, as all ranges then wait for each of them, is not measured here.
    pub http2: bool,
    /// Where whole objects are kept for a while, in files without a name; the system's temporary directory if none.
    pub spool: Option<PathBuf>,
    /// Ends everything.
    pub cancel: Cancel,
    /// Is told of every request.
    pub observer: Option<Observer>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            order: Order::default(),
            trust: Trust::default(),
            proxies: Proxies::default(),
            limit_rate: None,
            stall: Duration::from_secs(30),
            deadline: None,
            max_attempts: 10,
            backoff: Backoff::default(),
            max_rest: Duration::from_mins(5),
            hedge_after: Duration::from_secs(1),
            max_overfetch: 64 << 20,
            max_connections: 16,
            inherit_query: false,
            http2: true,
            spool: None,
            cancel: Cancel::default(),
            observer: None,
        }
    }
}

/// A flag that ends all that waits for it, within a tenth of a second.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Raises the flag, for good.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the flag is raised.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl From<Arc<AtomicBool>> for Cancel {
    /// Shares a flag that, for example, a signal handler raises.
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }
}

/// A request to a mirror that has ended, with the redirects it met.
#[derive(Debug)]
#[non_exhaustive]
pub struct Exchange<'e> {
    /// What was asked for, without credentials and query.
    pub url: &'e str,
    /// The bytes asked for.
    pub range: Range<u64>,
    /// How many of them came.
    pub received: u64,
    /// What went wrong.
    pub failure: Option<&'e FetchErrorKind>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Somebody who is told of requests, as for a log.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(&Exchange<'_>) + Send + Sync>);

impl Observer {
    /// `observe` is called after every request, by a thread of the source: it must not take long.
    pub fn new(observe: impl Fn(&Exchange<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observe))
    }

    pub(crate) fn observe(&self, exchange: &Exchange<'_>) {
        (self.0)(exchange);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// Why a source cannot be made as wanted. Shows no URL that cannot be read, as it may hold a secret.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// No mirror is named.
    NoMirror,
    /// A URL cannot be read.
    Url,
    /// A URL is neither http nor https.
    Scheme,
    /// A URL names a directory where an index was expected.
    NoName(String),
    /// User, password or token cannot be sent.
    Credentials,
    /// A header cannot be sent, or is not for others to set.
    Header(String),
    /// A proxy is not an http URL.
    Proxy,
    /// There is no https in this build.
    NoTls,
    /// A certificate or a key cannot be used.
    Certificate(Box<dyn std::error::Error + Send + Sync>),
    /// The system does not give what is needed.
    System(std::io::Error),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMirror => f.write_str("no URL is given"),
            Self::Url => f.write_str("the URL cannot be read"),
            Self::Scheme => f.write_str("the URL starts neither with http:// nor with https://"),
            Self::NoName(url) => write!(f, "{url} names a directory, not an index"),
            Self::Credentials => f.write_str("user, password or token cannot be sent in a header"),
            Self::Header(name) => write!(f, "the header {name:?} cannot be sent"),
            Self::Proxy => f.write_str("a proxy must be given as http://host:port"),
            Self::NoTls => f.write_str("this build has no https"),
            Self::Certificate(_) => f.write_str("a certificate or its key cannot be used"),
            Self::System(_) => f.write_str("the network client cannot be started"),
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Certificate(cause) => Some(cause.as_ref()),
            Self::System(cause) => Some(cause),
            _ => None,
        }
    }
}
