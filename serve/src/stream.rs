//! The bytes of an object on their way out: read by a thread that may block, a piece when the connection wants one.
//!
//! Whoever does not read holds one piece at most, and no thread. What all clients together hold is bounded by a
//! [`Room`].

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use crate::counters::Counters;
use crate::journal::{Entry, Journal};
use crate::site::{Object, PIECE};

/// Room in memory for what is being read or waits to be sent, in ordinary pieces.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    free: Arc<Semaphore>,
    pieces: u32,
}

impl Room {
    /// Room for so many pieces of [`PIECE`] bytes.
    pub(crate) fn new(pieces: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(pieces as usize)), pieces }
    }

    /// Waits for room for `len` bytes; what is larger than all of it waits for all of it.
    async fn take(self, len: u64) -> io::Result<OwnedSemaphorePermit> {
        let wanted = u32::try_from(len.div_ceil(PIECE)).unwrap_or(u32::MAX).min(self.pieces);
        self.free.acquire_many_owned(wanted).await.map_err(io::Error::other)
    }
}

/// Bytes, and the room they take until they are dropped.
struct Piece {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

type Reading = Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send>>;

/// Where the rest of a body comes from.
enum Rest {
    Nothing,
    Text(Bytes),
    Object {
        object: Arc<dyn Object>,
        range: Range<u64>,
        room: Room,
        counters: Arc<Counters>,
        /// The piece at the start of `range`, from when it was first wanted.
        reading: Option<Reading>,
    },
}

/// A body that is read while it is sent.
pub(crate) struct Stream {
    rest: Rest,
    given: u64,
    /// The line of the log that is written when the body ends, however it does.
    line: Option<(Entry, Arc<Journal>)>,
}

impl From<Rest> for Stream {
    fn from(rest: Rest) -> Self {
        Self { rest, given: 0, line: None }
    }
}

impl Stream {
    /// No bytes.
    pub(crate) fn empty() -> Self {
        Self::from(Rest::Nothing)
    }

    /// These bytes.
    pub(crate) fn text(text: String) -> Self {
        Self::from(Rest::Text(Bytes::from(text)))
    }

    /// `range` of `object`.
    pub(crate) fn of(
        object: Arc<dyn Object>,
        range: Range<u64>,
        room: Room,
        counters: Arc<Counters>,
    ) -> Self {
        Self::from(Rest::Object { object, range, room, counters, reading: None })
    }

    /// Writes `entry` into `journal` at the end, with the bytes that were given out.
    pub(crate) fn log_at_end(&mut self, entry: Entry, journal: Arc<Journal>) {
        self.line = Some((entry, journal));
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let piece = match &mut self.rest {
            Rest::Nothing => return Poll::Ready(None),
            Rest::Text(text) => {
                let text = std::mem::take(text);
                self.rest = Rest::Nothing;
                Ok(text)
            }
            Rest::Object { range, .. } if range.is_empty() => return Poll::Ready(None),
            Rest::Object { object, range, room, counters, reading } => {
                let end = (range.start / object.piece() + 1).saturating_mul(object.piece()).min(range.end);
                let wanted = range.start..end;
                let future =
                    reading.get_or_insert_with(|| Box::pin(read(Arc::clone(object), wanted, room.clone())));
                let piece = ready!(future.as_mut().poll(context));
                *reading = None;
                if piece.is_ok() {
                    counters.sent(end - range.start);
                    range.start = end;
                } else {
                    self.rest = Rest::Nothing;
                }
                piece
            }
        };
        self.given += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(Some(piece))
    }

    fn left(&self) -> u64 {
        match &self.rest {
            Rest::Nothing => 0,
            Rest::Text(text) => text.len() as u64,
            Rest::Object { range, .. } => range.end - range.start,
        }
    }
}

/// Reads `range` of `object` once there is room for it.
async fn read(object: Arc<dyn Object>, range: Range<u64>, room: Room) -> io::Result<Bytes> {
    let taken = room.take(range.end - range.start).await?;
    // The room stays taken while the thread reads, even for a client that has gone.
    let piece = spawn_blocking(move || {
        object.read(range).map(|bytes| Bytes::from_owner(Piece { bytes, _room: taken }))
    });
    piece.await.map_err(io::Error::other)?
}

impl Body for Stream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.get_mut().poll_piece(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some((mut entry, journal)) = self.line.take() {
            entry.bytes = self.given;
            journal.tell(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::runtime::{Builder, Runtime};
    use tokio::time::timeout;

    use super::*;
    use crate::site::Lifetime;

    /// More than a pool of threads has.
    const MANY: u64 = 600;

    /// 4 pieces of `.0` bytes.
    struct Four(u64);

    impl Object for Four {
        fn size(&self) -> u64 {
            4 * self.0
        }
        fn tag(&self) -> &'static str {
            "four"
        }
        fn lifetime(&self) -> Lifetime {
            Lifetime::Immutable
        }
        fn piece(&self) -> u64 {
            self.0
        }
        fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
            Ok(vec![7; usize::try_from(range.end - range.start).expect("small")])
        }
    }

    fn runtime() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).enable_time().build().expect("a runtime")
    }

    fn body(piece: u64, room: &Room) -> Stream {
        Stream::of(Arc::new(Four(piece)), 0..4 * piece, room.clone(), Arc::default())
    }

    async fn next(stream: &mut Stream) -> Option<Bytes> {
        poll_fn(|context| stream.poll_piece(context)).await.map(|piece| piece.expect("readable"))
    }

    /// What comes of `future`, unless it waits for something that does not come.
    async fn soon<T>(future: impl Future<Output = T>) -> Option<T> {
        timeout(Duration::from_secs(5), future).await.ok()
    }

    #[test]
    fn bodies_that_nobody_reads_on_hold_no_thread() {
        runtime().block_on(async {
            let room = Room::new(1000);
            let mut stalled = Vec::new();
            for _ in 0..MANY {
                let mut stream = body(16, &room);
                let first = soon(next(&mut stream)).await.expect("a thread is free");
                stalled.push((stream, first));
            }
            let mut last = body(16, &room);
            for _ in 0..4 {
                assert_eq!(
                    soon(next(&mut last)).await.expect("a thread is free").expect("a piece").len(),
                    16
                );
            }
            assert!(soon(next(&mut last)).await.expect("the end").is_none());
            assert!(soon(spawn_blocking(|| ())).await.is_some(), "others have threads too");
        });
    }

    #[test]
    fn no_more_is_in_memory_than_there_is_room_for() {
        runtime().block_on(async {
            // Room for two pieces of twice the ordinary size.
            let room = Room::new(4);
            let (mut first, mut second, mut third) =
                (body(2 * PIECE, &room), body(2 * PIECE, &room), body(2 * PIECE, &room));
            let (held, _kept) = (soon(next(&mut first)).await, soon(next(&mut second)).await);
            assert_eq!(room.free.available_permits(), 0);
            let waits = timeout(Duration::from_millis(50), next(&mut third)).await;
            assert!(waits.is_err(), "a third piece was read");
            drop(held);
            assert!(soon(next(&mut third)).await.is_some(), "room that is free again is used");
        });
    }

    #[test]
    fn a_piece_larger_than_the_room_is_read_when_all_of_it_is_free() {
        runtime().block_on(async {
            let room = Room::new(1);
            let mut large = body(3 * PIECE, &room);
            assert!(soon(next(&mut large)).await.is_some());
        });
    }
}
