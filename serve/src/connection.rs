//! One connection: its requests, and what is answered to them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::body::Incoming;
use hyper::header::{DATE, HeaderValue, RANGE, USER_AGENT};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
#[cfg(feature = "tls")]
use tokio::time::timeout;

use crate::answer::Answer;
use crate::counters::Counters;
use crate::host::Hosts;
use crate::journal::{Entry, Journal};
use crate::patient::Patient;
use crate::site::Site;
use crate::stream::{Room, Stream};

/// Where the counters are read.
const METRICS: &str = "/-/metrics";
/// Longest head of a request. As long as this much waits to be sent, no further piece is read.
const BUFFER: usize = 16 << 10;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) site: Arc<dyn Site>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) journal: Option<Arc<Journal>>,
    pub(crate) room: Room,
    /// The hosts that it answers for, if not for all.
    pub(crate) hosts: Option<Hosts>,
    /// Within this time a client has to say what it wants.
    pub(crate) hearing: Duration,
    /// Within each such time a client has to take some of what is sent.
    pub(crate) patience: Duration,
    #[cfg(feature = "tls")]
    pub(crate) identity: Option<crate::tls::Identity>,
}

impl Shared {
    /// Answers `peer` until one of both has had enough.
    pub(crate) async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        // Answers are small or long; neither gains by waiting for more.
        let _ = stream.set_nodelay(true);
        let stream = Patient::new(stream, self.patience);
        #[cfg(feature = "tls")]
        if let Some(identity) = self.identity.clone() {
            if let Ok(Ok(stream)) = timeout(self.hearing, identity.0.accept(stream)).await {
                self.talk(stream, peer).await;
            }
            return;
        }
        self.talk(stream, peer).await;
    }

    async fn talk<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self: Arc<Self>,
        stream: S,
        peer: SocketAddr,
    ) {
        let hearing = self.hearing;
        let service = service_fn(move |request| {
            let shared = Arc::clone(&self);
            async move { Ok::<_, Infallible>(shared.answer(&request, peer).await) }
        });
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(hearing);
        // Pieces are written from where they lie: a copy would take memory that nobody counts.
        http.max_buf_size(BUFFER).writev(true);
        // Whatever ends a connection concerns that client alone.
        let _ = http.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(&self, request: &Request<Incoming>, peer: SocketAddr) -> Response<Stream> {
        let time = SystemTime::now();
        let (answer, mut body) = self.decide(request).await;
        let status = answer.status.as_u16();
        self.counters.request(status);
        if let Some(journal) = &self.journal {
            let text =
                |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let entry = Entry {
                time,
                peer,
                method: request.method().to_string(),
                path: request.uri().path().to_owned(),
                range: text(RANGE),
                agent: text(USER_AGENT),
                status,
                bytes: 0,
            };
            body.log_at_end(entry, Arc::clone(journal));
        }
        let mut response = Response::new(body);
        *response.status_mut() = answer.status;
        for (name, value) in answer.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(time)) {
            response.headers_mut().insert(DATE, date);
        }
        response
    }

    async fn decide(&self, request: &Request<Incoming>) -> (Answer, Stream) {
        if self.hosts.is_some_and(|hosts| !hosts.accept(request.uri(), request.headers())) {
            return (Answer::bare(StatusCode::MISDIRECTED_REQUEST), Stream::empty());
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return (Answer::not_allowed(), Stream::empty());
        }
        let Some(path) = decoded(request.uri().path()) else {
            return (Answer::bare(StatusCode::BAD_REQUEST), Stream::empty());
        };
        if path == METRICS {
            let text = self.counters.to_string();
            let answer = Answer::metrics(request.method(), text.len() as u64);
            let body = if answer.body.is_some() { Stream::text(text) } else { Stream::empty() };
            return (answer, body);
        }
        let site = Arc::clone(&self.site);
        let object = match spawn_blocking(move || site.find(&path)).await {
            Ok(Ok(Some(object))) => object,
            Ok(Ok(None)) => return (Answer::bare(StatusCode::NOT_FOUND), Stream::empty()),
            Ok(Err(_)) | Err(_) => return (Answer::bare(StatusCode::INTERNAL_SERVER_ERROR), Stream::empty()),
        };
        let answer = Answer::of(request.method(), request.headers(), &*object);
        let body = match &answer.body {
            Some(range) if !range.is_empty() => {
                Stream::of(object, range.clone(), self.room.clone(), Arc::clone(&self.counters))
            }
            _ => Stream::empty(),
        };
        (answer, body)
    }
}

/// A path without its percent signs; none if it is no text then.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                high << 4 | low
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded() {
        assert_eq!(decoded("/image%401.0.cidx").as_deref(), Some("/image@1.0.cidx"));
        assert_eq!(decoded("/a%2e%2e/b").as_deref(), Some("/a../b"));
        for path in ["/%", "/%4", "/%zz", "/%ff"] {
            assert_eq!(decoded(path), None, "{path}");
        }
    }
}
