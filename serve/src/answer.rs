//! What to answer: decided from a request's headers and what is known of an object, without reading it.

use std::ops::Range;

use hyper::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, StatusCode};

use crate::range::{self, Asked};
use crate::site::{Lifetime, Object};

/// An answer without its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, String)>,
    /// The bytes of the object to send.
    pub(crate) body: Option<Range<u64>>,
}

impl Answer {
    /// An answer about something that is not there, or cannot be done.
    pub(crate) fn bare(status: StatusCode) -> Self {
        Self { status, headers: vec![(CONTENT_LENGTH, "0".to_owned())], body: None }
    }

    /// To a method that is none of ours.
    pub(crate) fn not_allowed() -> Self {
        let mut answer = Self::bare(StatusCode::METHOD_NOT_ALLOWED);
        answer.headers.push((ALLOW, "GET, HEAD".to_owned()));
        answer
    }

    /// The counters, `len` bytes of text that Prometheus reads.
    pub(crate) fn metrics(method: &Method, len: u64) -> Self {
        let headers = vec![
            (CONTENT_LENGTH, len.to_string()),
            (CONTENT_TYPE, "text/plain; version=0.0.4".to_owned()),
            (CACHE_CONTROL, "no-store".to_owned()),
        ];
        Self { status: StatusCode::OK, headers, body: (method == Method::GET).then_some(0..len) }
    }

    /// What `object` is to be sent as.
    pub(crate) fn of(method: &Method, headers: &HeaderMap, object: &dyn Object) -> Self {
        let tag = format!("\"{}\"", object.tag());
        let size = object.size();
        let mut given = vec![
            (ETAG, tag.clone()),
            (ACCEPT_RANGES, "bytes".to_owned()),
            (CACHE_CONTROL, cache_control(object.lifetime()).to_owned()),
        ];
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        if text(IF_NONE_MATCH).is_some_and(|tags| matches(tags, &tag)) {
            return Self { status: StatusCode::NOT_MODIFIED, headers: given, body: None };
        }
        // A condition on another content makes a range a wish for all of it.
        let holds = text(IF_RANGE).is_none_or(|condition| condition == tag);
        let asked = text(RANGE).filter(|_| holds && method == Method::GET);
        let (status, part) = match asked.map_or(Asked::All, |header| range::parse(header, size)) {
            Asked::All => (StatusCode::OK, 0..size),
            Asked::Part(part) => {
                given.push((CONTENT_RANGE, format!("bytes {}-{}/{size}", part.start, part.end - 1)));
                (StatusCode::PARTIAL_CONTENT, part)
            }
            Asked::Nothing => {
                given.push((CONTENT_RANGE, format!("bytes */{size}")));
                given.push((CONTENT_LENGTH, "0".to_owned()));
                return Self { status: StatusCode::RANGE_NOT_SATISFIABLE, headers: given, body: None };
            }
        };
        given.push((CONTENT_LENGTH, (part.end - part.start).to_string()));
        given.push((CONTENT_TYPE, "application/octet-stream".to_owned()));
        given.push((X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()));
        Self { status, headers: given, body: (method == Method::GET).then_some(part) }
    }
}

fn cache_control(lifetime: Lifetime) -> &'static str {
    match lifetime {
        Lifetime::Immutable => "public, max-age=31536000, immutable, no-transform",
        Lifetime::Revalidate => "no-cache, no-transform",
    }
}

/// Whether one of `tags`, a list as in If-None-Match, is `tag`. A weak tag is as good as a strong one here.
fn matches(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ten;

    impl Object for Ten {
        fn size(&self) -> u64 {
            10
        }
        fn tag(&self) -> &'static str {
            "ten"
        }
        fn lifetime(&self) -> Lifetime {
            Lifetime::Revalidate
        }
        fn read(&self, _: Range<u64>) -> std::io::Result<Vec<u8>> {
            unreachable!("an answer is decided without reading")
        }
    }

    fn answer(method: &Method, headers: &[(HeaderName, &str)]) -> (u16, Option<Range<u64>>) {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))).collect();
        let answer = Answer::of(method, &headers, &Ten);
        (answer.status.as_u16(), answer.body)
    }

    #[test]
    fn ranges_conditions_and_methods_decide_what_is_sent() {
        assert_eq!(answer(&Method::GET, &[]), (200, Some(0..10)));
        assert_eq!(answer(&Method::HEAD, &[]), (200, None));
        assert_eq!(answer(&Method::GET, &[(RANGE, "bytes=2-4")]), (206, Some(2..5)));
        assert_eq!(answer(&Method::GET, &[(RANGE, "bytes=2-4"), (IF_RANGE, "\"ten\"")]), (206, Some(2..5)));
        assert_eq!(answer(&Method::GET, &[(RANGE, "bytes=2-4"), (IF_RANGE, "\"old\"")]), (200, Some(0..10)));
        assert_eq!(answer(&Method::GET, &[(RANGE, "bytes=10-")]), (416, None));
        assert_eq!(answer(&Method::GET, &[(IF_NONE_MATCH, "\"x\", W/\"ten\"")]), (304, None));
        assert_eq!(answer(&Method::GET, &[(IF_NONE_MATCH, "\"x\"")]), (200, Some(0..10)));
    }
}
