//! The bytes of an object on their way out: read by a thread that may block, some pieces ahead.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::spawn_blocking;

use crate::counters::Counters;
use crate::site::Object;

/// Pieces read ahead of whoever downloads.
const AHEAD: usize = 1;

/// A body that is read while it is sent.
#[derive(Debug)]
pub(crate) struct Stream {
    /// None if there is nothing to send.
    pieces: Option<Receiver<io::Result<Bytes>>>,
    left: u64,
}

impl Stream {
    /// No bytes.
    pub(crate) fn empty() -> Self {
        Self { pieces: None, left: 0 }
    }

    /// These bytes.
    pub(crate) fn text(text: String) -> Self {
        let left = text.len() as u64;
        let (sender, receiver) = channel(1);
        // There is room for one.
        let _ = sender.try_send(Ok(Bytes::from(text)));
        Self { pieces: Some(receiver), left }
    }

    /// `range` of `object`.
    pub(crate) fn of(object: Arc<dyn Object>, range: Range<u64>, counters: Arc<Counters>) -> Self {
        let left = range.end - range.start;
        let (sender, receiver) = channel(AHEAD);
        spawn_blocking(move || {
            let mut at = range.start;
            while at < range.end {
                let end = (at / object.piece() + 1).saturating_mul(object.piece()).min(range.end);
                let piece = object.read(at..end).map(Bytes::from);
                let failed = piece.is_err();
                // Whoever has gone wants no more.
                if sender.blocking_send(piece).is_err() || failed {
                    return;
                }
                counters.sent(end - at);
                at = end;
            }
        });
        Self { pieces: Some(receiver), left }
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let Some(pieces) = &mut this.pieces else { return Poll::Ready(None) };
        pieces.poll_recv(context).map(|piece| {
            let piece = piece?;
            this.left = this.left.saturating_sub(piece.as_ref().map_or(0, |piece| piece.len() as u64));
            Some(piece.map(Frame::data))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
