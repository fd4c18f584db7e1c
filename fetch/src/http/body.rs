//! A body as it comes: watched, paced, and never taken further than it is wanted.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::{Duration, Instant};

use hyper::body::{Body as _, Bytes, Incoming};
use tokio::time::{sleep, timeout, timeout_at};

use super::client::Client;
use super::connect::broken;
use super::meter::Receiving;
use super::pace::Stall;
use crate::{FetchErrorKind, Trouble};

/// A connection is worth reading so much for that nobody wants, but not more.
const MOST_DRAINED: u64 = 1 << 14;
/// So long at most.
const LINGER: Duration = Duration::from_millis(50);

/// The rest of a body.
pub(crate) struct Body<'c> {
    client: &'c Client,
    incoming: Incoming,
    stall: Stall,
    receiving: Receiving<'c>,
}

impl<'c> Body<'c> {
    pub(crate) fn new(client: &'c Client, incoming: Incoming) -> Self {
        let now = Instant::now();
        let stall = Stall::new(client.config.stall, now);
        Self { client, incoming, stall, receiving: client.meter.receive(now) }
    }

    /// Skips `skip` bytes and gives `sink` the next `len`, or all there are.
    pub(crate) async fn read(
        &mut self,
        mut skip: u64,
        len: Option<u64>,
        mut sink: impl FnMut(&[u8]) -> Result<(), FetchErrorKind>,
    ) -> Result<(), FetchErrorKind> {
        let mut left = len;
        while left != Some(0) {
            let Some(bytes) = self.next().await? else {
                return match left {
                    Some(missing) => Err(FetchErrorKind::Network(Trouble::Ended { missing })),
                    None => Ok(()),
                };
            };
            let skipped = len_of(&bytes).min(skip);
            skip -= skipped;
            let wanted = left.unwrap_or(u64::MAX).min(len_of(&bytes) - skipped);
            let bytes = &bytes[position(skipped)..position(skipped + wanted)];
            left = left.map(|left| left - wanted);
            sink(bytes)?;
        }
        Ok(())
    }

    /// The first bytes, not many more than `len`, for somebody who looks for a reason in them.
    pub(crate) async fn front(&mut self, len: usize) -> Vec<u8> {
        let mut front = Vec::new();
        while front.len() < len {
            let Ok(Some(bytes)) = self.next().await else { break };
            front.extend_from_slice(&bytes);
        }
        front
    }

    /// The next bytes; none at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, FetchErrorKind> {
        loop {
            let look_at = self.stall.next_look().into();
            let incoming = &mut self.incoming;
            let frame = timeout_at(look_at, poll_fn(|cx| Pin::new(&mut *incoming).poll_frame(cx))).await;
            let bytes = match frame {
                Ok(None) => return Ok(None),
                Ok(Some(frame)) => frame.map_err(broken)?.into_data().ok(),
                Err(_) => None,
            };
            let received = bytes.as_ref().map_or(0, len_of);
            self.stall.received(received);
            self.receiving.received(received);
            if self.stall.is_stalled(Instant::now()) {
                return Err(FetchErrorKind::Network(Trouble::Stalled(self.client.config.stall)));
            }
            if let Some(pace) = &self.client.pace {
                let wait = pace.pay(received, Instant::now());
                sleep(wait).await;
                self.stall.excuse(wait);
            }
            if bytes.is_some() {
                return Ok(bytes);
            }
        }
    }

    /// Reads what little may follow and is not wanted; tells whether the body is over, so that the connection can
    /// serve again.
    pub(crate) async fn drain(&mut self) -> bool {
        let incoming = &mut self.incoming;
        let drained = async {
            let mut left = MOST_DRAINED;
            while !incoming.is_end_stream() {
                if incoming.size_hint().lower() > left {
                    return false;
                }
                match poll_fn(|cx| Pin::new(&mut *incoming).poll_frame(cx)).await {
                    None => return true,
                    Some(Err(_)) => return false,
                    Some(Ok(frame)) => left = left.saturating_sub(frame.data_ref().map_or(1, len_of)),
                }
                if left == 0 {
                    return false;
                }
            }
            true
        };
        timeout(LINGER, drained).await.unwrap_or(false)
    }
}

fn len_of(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).expect("a buffer's length fits")
}

fn position(at: u64) -> usize {
    usize::try_from(at).expect("a position in a buffer fits")
}
