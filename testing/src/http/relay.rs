//! A long, narrow way to a server.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes passed on at once.
const PIECE: usize = 1 << 14;
/// Pieces that may be on the way in one direction of one connection.
const ON_THE_WAY: usize = 256;

/// Passes connections on to a port of this machine, later and slower. Its threads end with the process.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
}

/// One direction of all connections together.
struct Lane {
    delay: Duration,
    /// Bytes a second.
    rate: u64,
    free_at: Mutex<Instant>,
}

impl Relay {
    /// A way to `port` that takes `delay` there and as long back, and bears `rate` bytes a second each way.
    pub fn start(port: u16, delay: Duration, rate: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let lane = || Arc::new(Lane { delay, rate, free_at: Mutex::new(Instant::now()) });
        let (there, back) = (lane(), lane());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (there, back) = (Arc::clone(&there), Arc::clone(&back));
                thread::spawn(move || {
                    // A handshake takes a round trip.
                    thread::sleep(2 * there.delay);
                    let server = TcpStream::connect(("127.0.0.1", port))?;
                    pass(client.try_clone()?, server.try_clone()?, there);
                    pass(server, client, back);
                    io::Result::Ok(())
                });
            }
        });
        Ok(Self { address })
    }

    /// The port to connect to instead.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Lane {
    /// When `len` bytes that are sent now arrive.
    fn arrival(&self, len: usize) -> Instant {
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let nanos =
            u64::try_from(len).expect("a buffer's length fits").saturating_mul(1_000_000_000) / self.rate;
        *free_at = (*free_at).max(Instant::now()) + Duration::from_nanos(nanos);
        *free_at + self.delay
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, lane: Arc<Lane>) {
    let (sender, receiver) = sync_channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    thread::spawn(move || {
        let mut buffer = vec![0; PIECE];
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            if sender.send((lane.arrival(len), buffer[..len].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        to.set_nodelay(true)?;
        for (arrives_at, bytes) in receiver {
            thread::sleep(arrives_at.saturating_duration_since(Instant::now()));
            to.write_all(&bytes)?;
        }
        to.shutdown(Shutdown::Both)
    });
}
