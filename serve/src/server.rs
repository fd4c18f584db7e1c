//! Who may connect, and how many.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::clients::Clients;
use crate::connection::Shared;
use crate::counters::Counters;
use crate::host::Hosts;
use crate::journal::{Entry, Journal, Log};
use crate::site::Site;
use crate::stream::Room;

/// How often the server looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// What clients may take.
#[derive(Debug)]
struct Limits {
    /// Connections at a time; further ones wait to be accepted.
    connections: usize,
    /// Of these, connections from one client; further ones are closed.
    per_client: usize,
    /// Pieces of files in memory, over all connections.
    pieces: u32,
    /// Within this time a client has to say what it wants.
    hearing: Duration,
    /// Within each such time a client has to take some of what is sent.
    patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Each has a socket and a file, and 1024 open files are what a process usually may have.
            connections: 480,
            per_client: 120,
            // 64 MiB: a piece for each connection, or 8 of a rebuilt image's.
            pieces: 512,
            hearing: Duration::from_secs(30),
            patience: Duration::from_mins(1),
        }
    }
}

/// A server of one site.
pub struct Server {
    site: Arc<dyn Site>,
    counters: Arc<Counters>,
    log: Option<Log>,
    limits: Limits,
    is_for_addresses: bool,
    #[cfg(feature = "tls")]
    identity: Option<crate::tls::Identity>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("counters", &self.counters)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// A server of `site`.
    pub fn new(site: impl Site + 'static) -> Self {
        Self {
            site: Arc::new(site),
            counters: Arc::default(),
            log: None,
            limits: Limits::default(),
            is_for_addresses: false,
            #[cfg(feature = "tls")]
            identity: None,
        }
    }

    /// Tells `log` of each request when its answer has ended, from a thread of its own. Should `log` not keep up,
    /// entries are dropped.
    #[must_use]
    pub fn log(mut self, log: impl Fn(&Entry) + Send + 'static) -> Self {
        self.log = Some(Box::new(log));
        self
    }

    /// Answers only who asks for `localhost`, a loopback address or the address that is listened at; others get 421. For
    /// what a page of some web site must not read by letting its name lead here.
    #[must_use]
    pub fn for_addresses(self) -> Self {
        Self { is_for_addresses: true, ..self }
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
        let counters = Arc::clone(&self.counters);
        let journal = self.log.map(|log| Journal::start(log, counters)).transpose()?.map(Arc::new);
        let hosts = self.is_for_addresses.then(|| listener.local_addr().map(|at| Hosts::of(at.ip())));
        let shared = Arc::new(Shared {
            site: self.site,
            counters: self.counters,
            journal: journal.clone(),
            room: Room::new(self.limits.pieces),
            hosts: hosts.transpose()?,
            hearing: self.limits.hearing,
            patience: self.limits.patience,
            #[cfg(feature = "tls")]
            identity: self.identity,
        });
        let result = runtime.block_on(accept(listener, &self.limits, &shared, is_over));
        runtime.shutdown_background();
        if let Some(journal) = journal {
            journal.settle();
        }
        result
    }
}

async fn accept(
    listener: TcpListener,
    limits: &Limits,
    shared: &Arc<Shared>,
    is_over: impl Fn() -> bool,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(limits.connections));
    let clients = Clients::new(limits.per_client);
    while !is_over() {
        let accepted = timeout(LOOK, async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            listener.accept().await.map(|accepted| (place, accepted))
        });
        match accepted.await {
            Ok(Ok((place, (stream, peer)))) => {
                let Some(visit) = clients.admit(peer.ip()) else {
                    shared.counters.turned_away();
                    continue;
                };
                let shared = Arc::clone(shared);
                tokio::spawn(async move {
                    shared.serve(stream, peer).await;
                    drop((visit, place));
                });
            }
            // Too many open files, or a client that has gone: neither is the end.
            Ok(Err(_)) => sleep(LOOK).await,
            // Time to look.
            Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::ops::Range;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{Receiver, channel};
    use std::thread::{self, JoinHandle};
    use std::time::Instant;

    use super::*;
    use crate::site::{Lifetime, Object};

    /// More than sockets buffer.
    const LARGE: u64 = 64 << 20;

    /// `/large` and `/small`.
    struct Two;

    struct Zeros(u64);

    impl Site for Two {
        fn find(&self, path: &str) -> io::Result<Option<Arc<dyn Object>>> {
            let size = match path {
                "/large" => LARGE,
                "/small" => 5,
                _ => return Ok(None),
            };
            Ok(Some(Arc::new(Zeros(size))))
        }
    }

    impl Object for Zeros {
        fn size(&self) -> u64 {
            self.0
        }
        fn tag(&self) -> &'static str {
            "zeros"
        }
        fn lifetime(&self) -> Lifetime {
            Lifetime::Revalidate
        }
        fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
            Ok(vec![0; usize::try_from(range.end - range.start).expect("small")])
        }
    }

    /// A server that runs until it is dropped.
    struct Running {
        address: SocketAddr,
        entries: Receiver<(String, u16, u64)>,
        stop: Arc<AtomicBool>,
        thread: Option<JoinHandle<io::Result<()>>>,
    }

    impl Running {
        fn with(limits: Limits) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
            let address = listener.local_addr().expect("bound");
            let (sender, entries) = channel();
            let server = Server { limits, ..Server::new(Two) }.log(move |entry| {
                let _ = sender.send((entry.path.clone(), entry.status, entry.bytes));
            });
            let stop = Arc::new(AtomicBool::new(false));
            let is_over = Arc::clone(&stop);
            let thread = thread::spawn(move || server.run(listener, || is_over.load(Ordering::Relaxed)));
            Self { address, entries, stop, thread: Some(thread) }
        }

        fn ask(&self, path: &str) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).expect("connected");
            stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
            let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).expect("sent");
            stream
        }

        fn get(&self, path: &str) -> String {
            let mut answer = String::new();
            self.ask(path).read_to_string(&mut answer).expect("an answer");
            answer
        }

        fn entry(&self) -> (String, u16, u64) {
            self.entries.recv_timeout(Duration::from_secs(10)).expect("an entry")
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            self.stop.store(true, Ordering::Relaxed);
            if let Some(thread) = self.thread.take() {
                let _ = thread.join();
            }
        }
    }

    #[test]
    fn clients_that_take_nothing_are_dropped_and_those_that_wait_get_their_place() {
        let patience = Duration::from_millis(200);
        let limits = Limits { connections: 3, pieces: 2, patience, ..Limits::default() };
        let server = Running::with(limits);
        let stalled: Vec<_> = (0..12).map(|_| server.ask("/large")).collect();
        assert!(server.get("/small").starts_with("HTTP/1.1 200"));
        let entries = (0..=stalled.len()).map(|_| server.entry());
        let (small, large): (Vec<_>, Vec<_>) = entries.partition(|(path, ..)| path == "/small");
        assert_eq!(small, [("/small".to_owned(), 200, 5)]);
        for (_, status, bytes) in large {
            assert_eq!(status, 200);
            assert!(bytes < LARGE, "{bytes} bytes were given to a client that took none");
        }
    }

    #[test]
    fn what_is_read_in_time_arrives_whole() {
        let patience = Duration::from_millis(500);
        let limits = Limits { connections: 1, pieces: 1, patience, ..Limits::default() };
        let server = Running::with(limits);
        let answer = server.get("/large");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert_eq!(body.len() as u64, LARGE);
        assert_eq!(server.entry(), ("/large".to_owned(), 200, LARGE));
    }

    /// Waits until the server closes the connection, and tells how long that took.
    fn closed_after(stream: &mut TcpStream) -> Duration {
        let started_at = Instant::now();
        // What a server says before it goes does not matter, nor how it goes.
        while stream.read(&mut [0; 1000]).is_ok_and(|len| len > 0) {}
        started_at.elapsed()
    }

    #[test]
    fn who_does_not_say_what_it_wants_is_not_listened_to_for_long() {
        let hearing = Duration::from_millis(300);
        let server = Running::with(Limits { hearing, ..Limits::default() });
        let connect = || {
            let stream = TcpStream::connect(server.address).expect("connected");
            stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
            stream
        };
        let mut silent = connect();
        let mut idle = connect();
        write!(idle, "GET /small HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
        // One who sends a byte at a time has no longer.
        let slow = connect();
        let mut sender = slow.try_clone().expect("cloned");
        let sending = thread::spawn(move || {
            let head = "GET /small HTTP/1.1\r\nHost: a\r\n".bytes().chain(std::iter::repeat(b'a'));
            for byte in head.take(200) {
                if sender.write_all(&[byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        let mut slow = slow;
        for stream in [&mut slow, &mut silent, &mut idle] {
            assert!(closed_after(stream) < Duration::from_secs(2));
        }
        sending.join().expect("no panic");
    }

    #[test]
    fn one_client_does_not_take_the_places_of_all() {
        let server = Running::with(Limits { per_client: 2, ..Limits::default() });
        let held = [server.ask("/large"), server.ask("/large")];
        assert!(closed_after(&mut server.ask("/small")) < Duration::from_secs(2));
        drop(held);
        let answers = std::iter::repeat_with(|| {
            let mut answer = String::new();
            server.ask("/-/metrics").read_to_string(&mut answer).map(|_| answer)
        });
        // The server may take a moment to see that there is a place again.
        let answer =
            answers.take(100).inspect(|_| thread::sleep(LOOK)).flatten().find(|text| !text.is_empty());
        let answer = answer.expect("let in again");
        assert!(!answer.contains("chunk_connections_turned_away_total 0\n"), "{answer}");
    }

    #[test]
    fn counters_are_told_in_the_type_that_prometheus_knows() {
        let server = Running::with(Limits::default());
        server.get("/small");
        let answer = server.get("/-/metrics").to_lowercase();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        assert!(body.contains("chunk_requests_total 1\n"), "{body}");
    }
}
