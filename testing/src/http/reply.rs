//! Answers, honest and other.

use std::ops::Range;
use std::time::Duration;

use super::server::Asked;

/// What happens after the last byte that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The connection serves on.
    Open,
    /// It is closed in an orderly way.
    Close,
    /// It is reset.
    Reset,
    /// It stays open, and nothing comes any more.
    Silence,
    /// It leads on to this port of this machine, as through a proxy.
    Tunnel(u16),
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) has_head: bool,
    pub(crate) is_chunked: bool,
    pub(crate) sent: Option<usize>,
    pub(crate) end: End,
    pub(crate) delay: Duration,
    pub(crate) drip: Option<(usize, Duration)>,
}

impl Reply {
    /// An answer with nothing but a status and a body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = ("Content-Length".to_owned(), body.len().to_string());
        Self {
            status,
            headers: vec![length],
            body,
            has_head: true,
            is_chunked: false,
            sent: None,
            end: End::Open,
            delay: Duration::ZERO,
            drip: None,
        }
    }

    /// No answer at all, but an end.
    pub fn nothing(end: End) -> Self {
        Self { has_head: false, end, ..Self::new(200, "") }
    }

    /// What an honest server answers that has `object` where it was asked.
    pub fn object(object: &[u8], asked: &Asked) -> Self {
        match asked.range(object.len()) {
            None => Self::new(200, object),
            Some(range) if range.is_empty() => {
                Self::new(416, "").header("Content-Range", &format!("bytes */{}", object.len()))
            }
            Some(range) => Self::part(object, range),
        }
    }

    /// The answer that names and holds `range` of `object`.
    pub fn part(object: &[u8], range: Range<usize>) -> Self {
        let named = format!("bytes {}-{}/{}", range.start, range.end - 1, object.len());
        Self::new(206, &object[range]).header("Content-Range", &named)
    }

    /// With this header instead of any of its name.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        let mut reply = self.without(name);
        reply.headers.push((name.to_owned(), value.to_owned()));
        reply
    }

    /// Without this header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    /// With a body whose length is not told before.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.is_chunked = true;
        self.without("Content-Length").header("Transfer-Encoding", "chunked")
    }

    /// Sends only so many bytes of the body, and then ends so.
    #[must_use]
    pub fn cut(mut self, sent: usize, end: End) -> Self {
        self.sent = Some(sent);
        self.end = end;
        self
    }

    /// Sends all, and then ends so.
    #[must_use]
    pub fn then(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    /// Sends nothing for so long.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sends so many bytes of the body at a time, with pauses between.
    #[must_use]
    pub fn drip(mut self, bytes: usize, pause: Duration) -> Self {
        self.drip = Some((bytes, pause));
        self
    }
}
