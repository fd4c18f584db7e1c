//! A connection that speaks HTTP: direct or through a proxy, encrypted or not, in version 1.1 or 2.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
#[cfg(feature = "tls")]
use hyper::client::conn::http2;
use hyper::http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Method, Request, Response, Uri};
#[cfg(feature = "tls")]
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::credentials::Credentials;
use super::dial::{Reach, dial};
use super::proxy::{Proxies, Proxy};
use super::stream::{Counted, Tally};
#[cfg(feature = "tls")]
use super::tls::{self, Tls};
use super::url::Origin;
use crate::{FetchErrorKind, Trouble};

/// No connection is waited for longer.
const LONGEST: Duration = Duration::from_secs(20);

/// All that is needed to connect to anybody.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) proxies: Proxies,
    pub(crate) tally: Arc<Tally>,
    pub(crate) stall: Duration,
    #[cfg(feature = "tls")]
    pub(crate) tls: Tls,
}

/// Our end of a connection.
#[derive(Debug)]
pub(crate) enum Sender {
    One(http1::SendRequest<Empty<Bytes>>),
    #[cfg(feature = "tls")]
    Two(http2::SendRequest<Empty<Bytes>>),
}

impl Sender {
    /// Whether a request may be sent. A connection that has just answered may take a moment to say so.
    pub(crate) async fn is_usable(&mut self) -> bool {
        match self {
            Self::One(sender) => sender.ready().await.is_ok(),
            #[cfg(feature = "tls")]
            Self::Two(sender) => sender.ready().await.is_ok(),
        }
    }

    /// The same connection for another request at the same time, if it bears that.
    pub(crate) fn share(&self) -> Option<Self> {
        match self {
            Self::One(_) => None,
            #[cfg(feature = "tls")]
            Self::Two(sender) => Some(Self::Two(sender.clone())),
        }
    }

    pub(crate) async fn send(&mut self, request: Request<Empty<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::One(sender) => sender.send_request(request).await,
            #[cfg(feature = "tls")]
            Self::Two(sender) => sender.send_request(request).await,
        }
    }
}

impl Connector {
    /// The proxy that `origin` is asked through and that is told the whole URL.
    pub(crate) fn relay(&self, origin: &Origin) -> Option<&Proxy> {
        if origin.is_secure { None } else { self.proxies.find(origin) }
    }

    /// Connects to `origin`.
    pub(crate) async fn connect(&self, origin: &Origin, reach: Reach) -> Result<Sender, FetchErrorKind> {
        let limit = self.stall.min(LONGEST);
        let connecting = timeout(limit, self.connect_unlimited(origin, reach));
        connecting.await.unwrap_or(Err(FetchErrorKind::Network(Trouble::Stalled(limit))))
    }

    async fn connect_unlimited(&self, origin: &Origin, reach: Reach) -> Result<Sender, FetchErrorKind> {
        let proxy = self.proxies.find(origin);
        // A proxy is the caller's choice, wherever it is; and where the host is, only the proxy knows.
        let (next, reach) = proxy.map_or((origin, reach), |proxy| (&proxy.origin, Reach::Everywhere));
        let stream = Counted::new(dial(next, reach).await?, Arc::clone(&self.tally));
        if !origin.is_secure {
            return handshake(stream).await;
        }
        let stream = match proxy {
            Some(proxy) => tunnel(stream, proxy, origin).await?,
            None => stream,
        };
        self.encrypt(origin, stream).await
    }

    #[cfg(feature = "tls")]
    async fn encrypt(&self, origin: &Origin, stream: Counted) -> Result<Sender, FetchErrorKind> {
        let stream = self.tls.connect(&origin.host, stream).await?;
        if !tls::has_chosen_http2(&stream) {
            return handshake(stream).await;
        }
        // The windows are what a fast, distant server fills: smaller ones hold it back.
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        // How it ends, its requests hear.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Sender::Two(sender))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "as the one that encrypts")]
    async fn encrypt(&self, _: &Origin, _: Counted) -> Result<Sender, FetchErrorKind> {
        Err(FetchErrorKind::Untrusted("there is no https in this build".into()))
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<Sender, FetchErrorKind> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // How it ends, its requests hear.
    tokio::spawn(async move { drop(connection.await) });
    Ok(Sender::One(sender))
}

/// Asks a proxy for a connection to `origin`.
async fn tunnel(stream: Counted, proxy: &Proxy, origin: &Origin) -> Result<Counted, FetchErrorKind> {
    let (mut sender, connection) =
        http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await.map_err(broken)?;
    tokio::spawn(async move { drop(connection.with_upgrades().await) });
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::CONNECT;
    let target = origin.host_and_port();
    let host = HeaderValue::try_from(&target).expect("what a URL holds as host, a header holds");
    request.headers_mut().insert(HOST, host);
    *request.uri_mut() = Uri::try_from(target).expect("what a URL holds as host and port is a target");
    if let Some(value) = proxy.credentials.as_ref().and_then(Credentials::header) {
        request.headers_mut().insert(PROXY_AUTHORIZATION, value);
    }
    let response = sender.send_request(request).await.map_err(broken)?;
    match response.status().as_u16() {
        200..=299 => {}
        status @ 407 => return Err(FetchErrorKind::NotAuthorised { status }),
        511 => return Err(FetchErrorKind::Portal),
        status => return Err(FetchErrorKind::Network(Trouble::Proxy(status))),
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(broken)?;
    let parts = upgraded.downcast::<TokioIo<Counted>>().expect("the connection that was handed over");
    if !parts.read_buf.is_empty() {
        // TLS has us speak first.
        let early = io::Error::new(io::ErrorKind::InvalidData, "the proxy sends bytes before any were due");
        return Err(FetchErrorKind::Network(Trouble::Broken(early.into())));
    }
    Ok(parts.io.into_inner())
}

pub(crate) fn broken(error: hyper::Error) -> FetchErrorKind {
    #[cfg(feature = "tls")]
    if let Some(rejected) = tls::rejection(&error) {
        return rejected;
    }
    FetchErrorKind::Network(Trouble::Broken(error.into()))
}
