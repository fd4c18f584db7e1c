//! Connections, requests and answers.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::body::Incoming;
use hyper::header::{DATE, HeaderValue, RANGE, USER_AGENT};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::answer::Answer;
use crate::counters::Counters;
use crate::site::Site;
use crate::stream::Stream;

/// Where the counters are read.
const METRICS: &str = "/-/metrics";
/// Within this time a client has to say what it wants.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the server looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// A line of the access log.
#[derive(Debug)]
pub struct Entry {
    /// Who asked.
    pub peer: SocketAddr,
    /// How.
    pub method: String,
    /// For what.
    pub path: String,
    /// The Range header.
    pub range: Option<String>,
    /// By which program.
    pub agent: Option<String>,
    /// The answer's status.
    pub status: u16,
    /// Bytes of the body.
    pub bytes: u64,
}

/// Whoever hears of requests.
type Log = Box<dyn Fn(&Entry) + Send + Sync>;

/// A server of one site.
pub struct Server {
    site: Arc<dyn Site>,
    counters: Arc<Counters>,
    log: Option<Log>,
    #[cfg(feature = "tls")]
    identity: Option<crate::tls::Identity>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl Server {
    /// A server of `site`.
    pub fn new(site: impl Site + 'static) -> Self {
        Self {
            site: Arc::new(site),
            counters: Arc::default(),
            log: None,
            #[cfg(feature = "tls")]
            identity: None,
        }
    }

    /// Tells `log` of each request.
    #[must_use]
    pub fn log(mut self, log: impl Fn(&Entry) + Send + Sync + 'static) -> Self {
        self.log = Some(Box::new(log));
        self
    }

    /// Speaks https.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn identity(mut self, identity: crate::tls::Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Serves whoever connects to `listener` until `is_over` says so.
    pub fn run(self, listener: TcpListener, is_over: impl Fn() -> bool) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_io().enable_time().build()?;
        let server = Arc::new(self);
        let result = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            while !is_over() {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = sleep(LOOK) => continue,
                };
                let Ok((stream, peer)) = accepted else {
                    // Too many open files, or a client that has gone: neither is the end.
                    sleep(LOOK).await;
                    continue;
                };
                let server = Arc::clone(&server);
                tokio::spawn(async move { server.connection(stream, peer).await });
            }
            Ok(())
        });
        runtime.shutdown_background();
        result
    }

    async fn connection(self: Arc<Self>, stream: tokio::net::TcpStream, peer: SocketAddr) {
        // Answers are small or long; neither gains by waiting for more.
        let _ = stream.set_nodelay(true);
        #[cfg(feature = "tls")]
        if let Some(identity) = self.identity.clone() {
            if let Ok(Ok(stream)) = timeout(PATIENCE, identity.0.accept(stream)).await {
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
        let service = service_fn(move |request| {
            let server = Arc::clone(&self);
            async move { Ok::<_, Infallible>(server.answer(&request, peer).await) }
        });
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        // Whatever ends a connection concerns that client alone.
        let _ = http.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(&self, request: &Request<Incoming>, peer: SocketAddr) -> Response<Stream> {
        let (answer, body) = self.decide(request).await;
        let status = answer.status.as_u16();
        let bytes = answer.body.as_ref().map_or(0, |body| body.end - body.start);
        self.counters.request(status);
        if let Some(log) = &self.log {
            let text =
                |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            log(&Entry {
                peer,
                method: request.method().to_string(),
                path: request.uri().path().to_owned(),
                range: text(RANGE),
                agent: text(USER_AGENT),
                status,
                bytes,
            });
        }
        let mut response = Response::new(body);
        *response.status_mut() = answer.status;
        for (name, value) in answer.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(SystemTime::now())) {
            response.headers_mut().insert(DATE, date);
        }
        response
    }

    async fn decide(&self, request: &Request<Incoming>) -> (Answer, Stream) {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return (Answer::not_allowed(), Stream::empty());
        }
        let Some(path) = decoded(request.uri().path()) else {
            return (Answer::bare(StatusCode::BAD_REQUEST), Stream::empty());
        };
        if path == METRICS {
            let text = self.counters.to_string();
            let answer = Answer { status: StatusCode::OK, headers: Vec::new(), body: None };
            let body = if request.method() == Method::GET { Stream::text(text) } else { Stream::empty() };
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
            Some(range) if !range.is_empty() => Stream::of(object, range.clone(), Arc::clone(&self.counters)),
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
