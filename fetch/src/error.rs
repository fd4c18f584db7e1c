//! What can go wrong between asking and having.

use std::error::Error;
use std::fmt;
use std::io;
use std::ops::Range;
use std::time::Duration;

/// A range that could not be had.
#[derive(Debug)]
pub struct FetchError {
    /// Where the object was looked for, without credentials.
    pub location: String,
    /// The bytes wanted.
    pub range: Range<u64>,
    /// What happened.
    pub kind: FetchErrorKind,
}

/// What happened to a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchErrorKind {
    /// There is no such object.
    Missing,
    /// The object ends before the range does.
    Short,
    /// The server or a proxy wants other credentials, or lets nobody in: 401, 403 or 407.
    NotAuthorised {
        /// The status of the answer.
        status: u16,
    },
    /// A web page came instead of the object: a network that wants a login, or a server that answers missing
    /// files with a page.
    Portal,
    /// The server answers, but not with what was asked for.
    Wrong(WrongAnswer),
    /// Nothing usable came for now; it may later.
    Network(Trouble),
    /// The server, or something on the way to it, answers without encryption.
    Unencrypted,
    /// The server could not prove who it is.
    Untrusted(Box<dyn Error + Send + Sync>),
    /// The server's certificate is not valid at the time that this machine's clock shows.
    CertificateTime(Box<dyn Error + Send + Sync>),
    /// The server lets nobody in whose certificate it does not know, or ours not.
    Rejected(Box<dyn Error + Send + Sync>),
    /// The caller has cancelled.
    Cancelled,
    /// Reading failed.
    Io(io::Error),
}

/// How an answer differs from what was asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum WrongAnswer {
    /// A status that answers no question of ours.
    Status(u16),
    /// The content has an encoding although none was allowed.
    Encoded(String),
    /// Other bytes than those asked for, or none that are named.
    OtherRange(String),
    /// The length of the body is not that of the range.
    Length {
        /// Bytes in the range.
        range: u64,
        /// Bytes in the body.
        body: u64,
    },
    /// The server sends only whole objects, and this one is too long for that.
    NoRanges {
        /// How long it is, if that was said.
        len: Option<u64>,
        /// How long it may be.
        at_most: u64,
    },
    /// The length of the object is not told.
    LengthUnknown,
    /// A redirect that must not be followed.
    Redirect(RedirectRefused),
}

/// Why a redirect was not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectRefused {
    /// One after the other, without end.
    TooMany,
    /// It names no place.
    Unreadable,
    /// It leads out of HTTP.
    Scheme,
    /// It leads from an encrypted connection to one that is not.
    Downgrade,
    /// It leads from a public server to this machine or its link.
    Inwards,
}

/// What keeps bytes from coming.
#[derive(Debug)]
#[non_exhaustive]
pub enum Trouble {
    /// The host has no address.
    Resolve(io::Error),
    /// No connection could be made.
    Connect(io::Error),
    /// The proxy did not connect us.
    Proxy(u16),
    /// The connection broke.
    Broken(Box<dyn Error + Send + Sync>),
    /// Less than 1 KiB a second came for so long.
    Stalled(Duration),
    /// The body ended early.
    Ended {
        /// Bytes that were announced and did not come.
        missing: u64,
    },
    /// The server is not able to answer now.
    Status {
        /// What it said.
        status: u16,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The object changed while it was read.
    Changed,
    /// The time for everything is used up.
    Deadline,
}

impl FetchError {
    /// Whether asking again, unchanged, may help.
    pub fn is_transient(&self) -> bool {
        match &self.kind {
            FetchErrorKind::Network(_) => true,
            FetchErrorKind::Io(error) => error.kind() == io::ErrorKind::Interrupted,
            _ => false,
        }
    }

    /// What whoever reads the message can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match &self.kind {
            FetchErrorKind::NotAuthorised { status: 407 } => {
                "give the proxy's user and password in http_proxy or https_proxy"
            }
            FetchErrorKind::NotAuthorised { status: 403 } => {
                "check the credentials; some object stores also answer 403 for what they do not have"
            }
            FetchErrorKind::NotAuthorised { .. } => "give the server's credentials",
            FetchErrorKind::Portal => "log in to the network, or correct the URL",
            FetchErrorKind::Wrong(WrongAnswer::NoRanges { .. }) => {
                "use a server that supports range requests, or allow more bytes to be fetched than are needed"
            }
            FetchErrorKind::Wrong(WrongAnswer::Encoded(_)) => {
                "turn off compression for this place on the server"
            }
            FetchErrorKind::Wrong(WrongAnswer::Redirect(_)) => {
                "name the server itself instead of what redirects to it"
            }
            FetchErrorKind::Network(Trouble::Status { retry_after: Some(_), .. }) => {
                "the server is busy and says for how long: try again later, or name another mirror"
            }
            FetchErrorKind::Network(_) => {
                "check the network and try again: what has been fetched is not lost"
            }
            FetchErrorKind::Unencrypted => {
                "if the server speaks plain http on that port, the URL should say so"
            }
            FetchErrorKind::Untrusted(_) => {
                "if the server's authority is your own, name its certificate; what the server itself shows must not be \
                 that of an authority (CA:TRUE)"
            }
            FetchErrorKind::Rejected(_) => "give a certificate of yours that the server knows, and its key",
            FetchErrorKind::CertificateTime(_) => {
                "set this machine's clock; if it is right, the server's certificate needs renewal"
            }
            _ => return None,
        })
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.range;
        let place = &self.location;
        match &self.kind {
            FetchErrorKind::Missing => write!(f, "{place} is missing"),
            FetchErrorKind::Short => write!(f, "{place} ends before byte {end}"),
            FetchErrorKind::NotAuthorised { status } => {
                write!(f, "{place} is refused to us with status {status}")
            }
            FetchErrorKind::Portal => write!(f, "a web page was sent instead of {place}"),
            FetchErrorKind::Wrong(wrong) => write!(f, "{place}: {wrong}"),
            FetchErrorKind::Network(trouble) => {
                write!(f, "bytes {start} to {end} of {place} did not come: {trouble}")
            }
            FetchErrorKind::Unencrypted => write!(f, "the server of {place} answers without encryption"),
            FetchErrorKind::Untrusted(_) => write!(f, "the server of {place} cannot be trusted"),
            FetchErrorKind::CertificateTime(_) => {
                write!(f, "the certificate of the server of {place} is not valid at the time of this machine")
            }
            FetchErrorKind::Rejected(_) => {
                write!(f, "the server of {place} wants a certificate of ours, or another one")
            }
            FetchErrorKind::Cancelled => write!(f, "reading {place} was cancelled"),
            FetchErrorKind::Io(_) => write!(f, "bytes {start} to {end} of {place} cannot be read"),
        }
    }
}

impl fmt::Display for WrongAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the server answers with status {status}"),
            Self::Encoded(encoding) => write!(f, "the server sends it encoded as {encoding:?}, unasked"),
            Self::OtherRange(range) => write!(f, "the server sends other bytes than asked for: {range:?}"),
            Self::Length { range, body } => write!(f, "the server announces {range} bytes and sends {body}"),
            Self::NoRanges { len: Some(len), at_most } => {
                write!(
                    f,
                    "the server sends only all of its {len} bytes, and more than {at_most} are not wanted"
                )
            }
            Self::NoRanges { len: None, at_most } => {
                write!(f, "the server sends only all of it, and more than {at_most} bytes are not wanted")
            }
            Self::LengthUnknown => f.write_str("the server does not tell its length"),
            Self::Redirect(refused) => write!(f, "the server redirects {refused}"),
        }
    }
}

impl fmt::Display for RedirectRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooMany => "too often",
            Self::Unreadable => "to nowhere",
            Self::Scheme => "to something that is not HTTP",
            Self::Downgrade => "from https to http",
            Self::Inwards => "from a public place to this machine or its own link",
        })
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(_) => f.write_str("the host has no address"),
            Self::Connect(_) => f.write_str("no connection"),
            Self::Proxy(status) => write!(f, "the proxy answers with status {status}"),
            Self::Broken(_) => f.write_str("the connection broke"),
            Self::Stalled(limit) => write!(f, "hardly a byte in {} s", limit.as_secs()),
            Self::Ended { missing } => write!(f, "the answer ended {missing} bytes early"),
            Self::Status { status, retry_after: None } => {
                write!(f, "the server answers with status {status}")
            }
            Self::Status { status, retry_after: Some(wait) } => {
                write!(f, "the server answers with status {status} and wants {} s of rest", wait.as_secs())
            }
            Self::Changed => f.write_str("it changed while it was read"),
            Self::Deadline => f.write_str("the time for it is over"),
        }
    }
}

impl Error for FetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            FetchErrorKind::Io(cause)
            | FetchErrorKind::Network(Trouble::Resolve(cause) | Trouble::Connect(cause)) => Some(cause),
            FetchErrorKind::Network(Trouble::Broken(cause))
            | FetchErrorKind::Untrusted(cause)
            | FetchErrorKind::Rejected(cause)
            | FetchErrorKind::CertificateTime(cause) => Some(cause.as_ref()),
            _ => None,
        }
    }
}
