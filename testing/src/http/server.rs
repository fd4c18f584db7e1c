//! The server: threads that answer as they are told.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ServerConnection, StreamOwned};
use socket2::SockRef;

use super::certificate::Certificate;
use super::reply::{End, Reply};

/// How often a thread looks whether the server is to end.
const LOOK: Duration = Duration::from_millis(20);

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// GET, for one.
    pub method: String,
    /// Path and query; all of the URL if the client takes the server for a proxy.
    pub target: String,
    /// The headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// How many requests came before this one.
    pub number: usize,
    /// Which connection it came by.
    pub connection: usize,
}

impl Asked {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(other, _)| other == name)?;
        Some(value)
    }

    /// The range asked for of an object of `len` bytes: none if none was asked for, empty if there is nothing in it.
    pub fn range(&self, len: usize) -> Option<Range<usize>> {
        let (start, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        let start: usize = start.parse().ok()?;
        let end = last.parse().map_or(len, |last: usize| len.min(last.saturating_add(1)));
        Some(start.min(end)..end)
    }
}

/// A server on this machine, until dropped.
pub struct Server {
    address: SocketAddr,
    is_secure: bool,
    shared: Arc<Shared>,
}

struct Shared {
    behave: Box<dyn Fn(&Asked) -> Reply + Send + Sync>,
    tls: Option<Arc<rustls::ServerConfig>>,
    asked: Mutex<Vec<Asked>>,
    connections: AtomicUsize,
    is_over: AtomicBool,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Server {
    /// Starts a server that answers what `behave` says.
    pub fn start(behave: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(Box::new(behave), None)
    }

    /// Starts a server that speaks TLS and shows this certificate; it may want to see the client's.
    pub fn start_tls(
        certificate: Certificate,
        wants_client: bool,
        behave: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Box::new(behave), Some(certificate.config(wants_client)))
    }

    fn listen(
        behave: Box<dyn Fn(&Asked) -> Reply + Send + Sync>,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of this machine");
        let address = listener.local_addr().expect("a bound socket has an address");
        let is_secure = tls.is_some();
        let shared = Arc::new(Shared {
            behave,
            tls,
            asked: Mutex::default(),
            connections: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        });
        let acceptor = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if acceptor.is_over() {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let shared = Arc::clone(&acceptor);
                // What a client does to its connection is the client's business.
                thread::spawn(move || drop(shared.serve(stream)));
            }
        });
        Self { address, is_secure, shared }
    }

    /// Where it listens, ending in a slash.
    pub fn url(&self) -> String {
        format!("{}://{}/", if self.is_secure { "https" } else { "http" }, self.address)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts connections.
        let _ = TcpStream::connect(self.address);
    }
}

/// A connection, encrypted or not.
trait Connection: Read + Write {}

impl<C: Read + Write> Connection for C {}

impl Shared {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let connection = self.connections.fetch_add(1, Ordering::SeqCst);
        let socket = stream.try_clone()?;
        let stream: Box<dyn Connection> = match &self.tls {
            None => Box::new(stream),
            Some(config) => {
                let tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                Box::new(StreamOwned::new(tls, stream))
            }
        };
        let mut stream = BufReader::new(stream);
        while let Some(mut asked) = read_request(&mut stream)? {
            asked.connection = connection;
            {
                let mut all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
                asked.number = all.len();
                all.push(asked.clone());
            }
            let reply = (self.behave)(&asked);
            self.answer(stream.get_mut().as_mut(), &reply)?;
            match reply.end {
                End::Open => {}
                End::Close => return socket.shutdown(Shutdown::Both),
                End::Reset => {
                    SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
                    return Ok(());
                }
                End::Tunnel(port) => return tunnel(&socket, port),
                End::Silence => {
                    self.rest(Duration::MAX);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn answer(&self, stream: &mut dyn Connection, reply: &Reply) -> io::Result<()> {
        self.rest(reply.delay);
        if !reply.has_head {
            return Ok(());
        }
        let mut head = format!("HTTP/1.1 {} .\r\n", reply.status);
        for (name, value) in &reply.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        let body = &reply.body[..reply.sent.unwrap_or(usize::MAX).min(reply.body.len())];
        let (piece, pause) = reply.drip.unwrap_or((usize::MAX, Duration::ZERO));
        stream.write_all(head.as_bytes())?;
        for piece in body.chunks(piece) {
            if reply.is_chunked {
                stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
            }
            stream.write_all(piece)?;
            if reply.is_chunked {
                stream.write_all(b"\r\n")?;
            }
            stream.flush()?;
            self.rest(pause);
        }
        if reply.is_chunked && reply.sent.is_none() {
            stream.write_all(b"0\r\n\r\n")?;
        }
        stream.flush()
    }

    /// Waits, but not longer than the server lives.
    fn rest(&self, time: Duration) {
        let started_at = Instant::now();
        while !self.is_over() {
            let left = time.saturating_sub(started_at.elapsed());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(LOOK));
        }
    }
}

/// Passes bytes on, both ways, until either side has no more.
fn tunnel(client: &TcpStream, port: u16) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", port))?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        to_server.shutdown(Shutdown::Both)
    });
    let _ = io::copy(&mut &server, &mut &*client);
    client.shutdown(Shutdown::Both)
}

/// The next request; none if the client has closed the connection.
fn read_request(stream: &mut impl BufRead) -> io::Result<Option<Asked>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => return Ok(Some(Asked { method, target, headers, number: 0, connection: 0 })),
        }
    }
}
