//! A connection that is given up when its other end takes hardly anything.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Bytes that the other end has to take in each second in which there are any for it, on average.
const SLOWEST: u64 = 1024;

/// A stream whose writes fail when less than 1 KiB a second got through over some time.
///
/// It lies below encryption, where each write that gets through is room the other end has made.
#[derive(Debug)]
pub(crate) struct Patient<S> {
    stream: S,
    patience: Duration,
    /// From the first write that had to wait: when it is given up, and the bytes missing to begin anew.
    until: Option<(Pin<Box<Sleep>>, u64)>,
}

impl<S> Patient<S> {
    /// `stream`, given up after `patience`.
    pub(crate) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, until: None }
    }

    /// What has become of a write.
    fn judge(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(len)) => {
                let len = u64::try_from(*len).unwrap_or(u64::MAX);
                self.until.take_if(|(_, missing)| {
                    *missing = missing.saturating_sub(len);
                    *missing == 0
                });
                return written;
            }
            Poll::Ready(Err(_)) => return written,
            Poll::Pending => {}
        }
        let patience = self.patience;
        let (until, _) = self.until.get_or_insert_with(|| {
            let least =
                u64::try_from(patience.as_millis()).unwrap_or(u64::MAX).saturating_mul(SLOWEST) / 1000;
            (Box::pin(sleep(patience)), least)
        });
        until.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            // What was sent before this has been answered for; time in between was nobody's fault.
            this.until = None;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.judge(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, parts);
        this.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Writes 4000 bytes to one who takes `len` of them every 10 ms, with 200 ms of patience.
    fn write_to(len: usize) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(async {
            let (near, mut far) = duplex(16);
            let reader = tokio::spawn(async move {
                while far.read_exact(&mut vec![0; len]).await.is_ok() {
                    sleep(Duration::from_millis(10)).await;
                }
            });
            let mut patient = Patient::new(near, Duration::from_millis(200));
            let written = patient.write_all(&[7; 4000]).await;
            reader.abort();
            written
        })
    }

    #[test]
    fn who_takes_a_byte_now_and_then_is_given_up_and_who_is_slow_is_not() {
        assert_eq!(write_to(1).expect_err("given up").kind(), io::ErrorKind::TimedOut);
        write_to(40).expect("4 KiB a second are enough");
    }
}
