//! Requests as they are sent.

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, HOST, HeaderValue, PRAGMA, PROXY_AUTHORIZATION,
    RANGE, USER_AGENT,
};
use hyper::{Request, Uri};

use super::connect::Sender;
use super::credentials::Credentials;
use super::mirror::Mirror;
use super::proxy::Proxy;
use super::url::Url;

/// From here on the end of a range is not named: some servers count with signs.
const ENDLESS: u64 = 1 << 62;

/// Bytes to ask a mirror for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'q> {
    pub(crate) mirror: usize,
    pub(crate) object: &'q str,
    pub(crate) start: u64,
    /// After `start`.
    pub(crate) end: u64,
    /// Whether the object may end earlier.
    pub(crate) may_end: bool,
    /// Whether caches on the way are to ask the server itself.
    pub(crate) past_caches: bool,
}

/// The request for `url` that asks `question` over `sender`, of a mirror or of whom the mirror has sent us to.
pub(crate) fn build(
    question: &Question<'_>,
    mirror: &Mirror,
    url: &Url,
    relay: Option<&Proxy>,
    sender: &Sender,
) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    let is_in_full = relay.is_some() || sender.share().is_some();
    let uri = if is_in_full { url.in_full() } else { url.path_and_query() };
    *request.uri_mut() = Uri::try_from(uri).expect("the parts of a URL are a URI");
    let headers = request.headers_mut();
    if sender.share().is_none() {
        let host = HeaderValue::try_from(url.origin.authority());
        headers.insert(HOST, host.expect("what a URL holds as host, a header holds"));
    }
    let agent = concat!("chunk/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(RANGE, range(question.start, question.end));
    if question.past_caches {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    }
    if url.origin == mirror.directory.origin {
        if let Some(value) = mirror.credentials.as_ref().and_then(Credentials::header) {
            headers.insert(AUTHORIZATION, value);
        }
        for (name, value) in &mirror.headers {
            headers.insert(name, value.clone());
        }
    }
    if let Some(value) = relay.and_then(|proxy| proxy.credentials.as_ref()?.header()) {
        headers.insert(PROXY_AUTHORIZATION, value);
    }
    request
}

fn range(start: u64, end: u64) -> HeaderValue {
    let text = match end.checked_sub(1) {
        Some(last) if end < ENDLESS => format!("bytes={start}-{last}"),
        _ => format!("bytes={start}-"),
    };
    HeaderValue::try_from(text).expect("digits fit into a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_names_its_last_byte_unless_that_is_too_far_to_mean_anything() {
        assert_eq!(range(0, 1), "bytes=0-0");
        assert_eq!(range(100, 200), "bytes=100-199");
        assert_eq!(range(5, u64::MAX), "bytes=5-");
    }
}
