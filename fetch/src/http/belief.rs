//! Whether an answer is what was asked for: everything that decides it, as a function of the question and the head.
//!
//! Servers, caches and proxies answer a range request in many ways: with the range, with more, with less, with
//! all of the object, with a compressed one, with a login page. Nothing of what they say is believed that does
//! not fit the question; the bytes themselves are believed only above, by their hash.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use std::time::SystemTime;

use hyper::http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER,
};
use hyper::http::response::Parts;

use super::retry;
use crate::{FetchErrorKind, Trouble, WrongAnswer};

/// A question: bytes of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// The first byte.
    pub(crate) start: u64,
    /// Behind the last byte.
    pub(crate) end: u64,
    /// Whether the object may end earlier, as when its front is asked for.
    pub(crate) may_end: bool,
    /// How many bytes before the first may come unasked.
    pub(crate) most_skipped: u64,
}

/// An answer that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Some of the bytes, among them the first.
    Part {
        /// Bytes before the first that was asked for.
        skip: u64,
        /// Bytes asked for that follow, at least one.
        len: u64,
        /// The length of the object, if it is told.
        total: Option<u64>,
    },
    /// The whole object, from its first byte.
    Whole {
        /// Its length, if it is told.
        total: Option<u64>,
    },
    /// The object ends where the question starts, or before.
    Nothing {
        /// The length of the object.
        total: u64,
    },
}

/// What `head` says about `asked`.
pub(crate) fn judge(asked: Asked, head: &Parts, now: SystemTime) -> Result<Answer, FetchErrorKind> {
    let headers = &head.headers;
    let status = head.status.as_u16();
    match status {
        206 => {
            check_encoding(headers)?;
            part(asked, headers)
        }
        200 if is_page(headers) => Err(FetchErrorKind::Portal),
        200 => {
            check_encoding(headers)?;
            let total = content_length(headers)?;
            if total.is_some_and(|total| total < asked.end) && !asked.may_end {
                return Err(FetchErrorKind::Short);
            }
            Ok(Answer::Whole { total })
        }
        401 | 403 | 407 => Err(FetchErrorKind::NotAuthorised { status }),
        404 | 410 => Err(FetchErrorKind::Missing),
        416 => match total_of(headers) {
            Some(total) if asked.may_end && total <= asked.start => Ok(Answer::Nothing { total }),
            _ => Err(FetchErrorKind::Short),
        },
        511 => Err(FetchErrorKind::Portal),
        408 | 425 | 429 | 500..=599 => {
            let retry_after = text(headers, &RETRY_AFTER).and_then(|text| retry::after(text, now));
            Err(FetchErrorKind::Network(Trouble::Status { status, retry_after }))
        }
        _ => Err(FetchErrorKind::Wrong(WrongAnswer::Status(status))),
    }
}

/// Whether the front of an object is that of a web page.
pub(crate) fn starts_like_a_page(front: &[u8]) -> bool {
    let front = front.strip_prefix(b"\xef\xbb\xbf").unwrap_or(front).trim_ascii_start();
    let starts_with =
        |page: &[u8]| front.get(..page.len()).is_some_and(|start| start.eq_ignore_ascii_case(page));
    starts_with(b"<!doctype html") || starts_with(b"<html")
}

/// Whether the page that came with status 400 says that we lack a certificate, as nginx does after a handshake that
/// has gone well.
pub(crate) fn wants_certificate(page: &[u8]) -> bool {
    page.windows(15).any(|words| words == b"SSL certificate")
}

/// No encoding was allowed.
fn check_encoding(headers: &HeaderMap) -> Result<(), FetchErrorKind> {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    match encodings.find(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        None => Ok(()),
        Some(encoding) => {
            let encoding = String::from_utf8_lossy(encoding.as_bytes()).into_owned();
            Err(FetchErrorKind::Wrong(WrongAnswer::Encoded(encoding)))
        }
    }
}

/// A part must say which it is, hold the first byte asked for, and be as long as it says.
fn part(asked: Asked, headers: &HeaderMap) -> Result<Answer, FetchErrorKind> {
    let said = text(headers, &CONTENT_RANGE);
    let other = || {
        // Several parts in one body are never asked for, so they are never taken apart.
        let said = said.or_else(|| text(headers, &CONTENT_TYPE)).unwrap_or("no range is named");
        FetchErrorKind::Wrong(WrongAnswer::OtherRange(said.to_owned()))
    };
    let range = said.and_then(ContentRange::parse).ok_or_else(other)?;
    if range.total.is_some_and(|total| total < asked.end) && !asked.may_end {
        return Err(FetchErrorKind::Short);
    }
    let end = range.last.checked_add(1).ok_or_else(other)?;
    let skip = asked.start.checked_sub(range.first).ok_or_else(other)?;
    if end <= asked.start || skip > asked.most_skipped {
        return Err(other());
    }
    let range_len = end.checked_sub(range.first).ok_or_else(other)?;
    match content_length(headers)? {
        Some(body) if body != range_len => {
            return Err(FetchErrorKind::Wrong(WrongAnswer::Length { range: range_len, body }));
        }
        _ => {}
    }
    let len = end.min(asked.end).checked_sub(asked.start).ok_or_else(other)?;
    Ok(Answer::Part { skip, len, total: range.total })
}

/// `bytes 0-99/200`.
struct ContentRange {
    first: u64,
    last: u64,
    total: Option<u64>,
}

impl ContentRange {
    fn parse(text: &str) -> Option<Self> {
        let (unit, rest) = text.trim().split_once(' ')?;
        let (range, total) = rest.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let total = match total.trim() {
            "*" => None,
            total => Some(number(total)?),
        };
        let is_sound =
            unit.eq_ignore_ascii_case("bytes") && first <= last && total.is_none_or(|total| last < total);
        is_sound.then_some(Self { first, last, total })
    }
}

/// `bytes */200`: the length of an object that does not have the range.
fn total_of(headers: &HeaderMap) -> Option<u64> {
    number(text(headers, &CONTENT_RANGE)?.trim().strip_prefix("bytes */")?)
}

fn is_page(headers: &HeaderMap) -> bool {
    text(headers, &CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml")
    })
}

/// What is announced; the connection itself holds the body to it.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, FetchErrorKind> {
    let Some(value) = headers.get(CONTENT_LENGTH) else { return Ok(None) };
    match value.to_str().ok().and_then(number) {
        Some(length) => Ok(Some(length)),
        None => Err(FetchErrorKind::Wrong(WrongAnswer::LengthUnknown)),
    }
}

/// Digits and nothing else: `parse` alone would take a sign.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use hyper::Response;

    use super::*;

    const ASKED: Asked = Asked { start: 100, end: 200, may_end: false, most_skipped: 50 };

    fn answer(asked: Asked, status: u16, headers: &[(&str, &str)]) -> Result<Answer, FetchErrorKind> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        judge(asked, &response.body(()).expect("a response").into_parts().0, SystemTime::UNIX_EPOCH)
    }

    fn ranged(range: &str) -> Result<Answer, FetchErrorKind> {
        answer(ASKED, 206, &[("content-range", range)])
    }

    #[test]
    fn exactly_the_range_is_taken() {
        let part = Answer::Part { skip: 0, len: 100, total: Some(1000) };
        assert_eq!(ranged("bytes 100-199/1000").expect("believed"), part);
        assert_eq!(ranged("Bytes  100-199/1000").expect("believed"), part);
        let unknown = Answer::Part { skip: 0, len: 100, total: None };
        assert_eq!(ranged("bytes 100-199/*").expect("believed"), unknown);
    }

    #[test]
    fn more_is_skipped_and_less_is_a_start() {
        let more = Answer::Part { skip: 50, len: 100, total: Some(1000) };
        assert_eq!(ranged("bytes 50-999/1000").expect("believed"), more);
        let less = Answer::Part { skip: 0, len: 1, total: Some(1000) };
        assert_eq!(ranged("bytes 100-100/1000").expect("believed"), less);
    }

    #[test]
    fn another_range_is_refused() {
        for range in [
            "bytes 101-199/1000",
            "bytes 0-99/1000",
            "bytes 49-199/1000",
            "bytes 200-299/1000",
            "bytes 199-100/1000",
            "bytes 100-199/150",
            "bytes 100-199",
            "bytes */1000",
            "items 100-199/1000",
            "bytes 100-199/",
            "bytes -199/200",
            "bytes +100-199/1000",
            "bytes 0-18446744073709551615/*",
            "bytes 100-99999999999999999999/*",
            "",
        ] {
            let error = ranged(range).expect_err(range);
            assert!(matches!(error, FetchErrorKind::Wrong(WrongAnswer::OtherRange(_))), "{range}: {error:?}");
        }
    }

    #[test]
    fn several_parts_and_a_part_without_a_name_are_refused() {
        for headers in [&[("content-type", "multipart/byteranges; boundary=x")][..], &[]] {
            let error = answer(ASKED, 206, headers).expect_err("refused");
            assert!(matches!(error, FetchErrorKind::Wrong(WrongAnswer::OtherRange(_))), "{error:?}");
        }
    }

    #[test]
    fn a_body_of_another_length_than_its_range_is_refused() {
        for length in ["99", "101"] {
            let headers = [("content-range", "bytes 100-199/1000"), ("content-length", length)];
            let error = answer(ASKED, 206, &headers).expect_err("refused");
            assert!(
                matches!(error, FetchErrorKind::Wrong(WrongAnswer::Length { range: 100, .. })),
                "{error:?}"
            );
        }
    }

    #[test]
    fn an_object_that_is_too_short_is_told_from_a_part_that_is() {
        for (status, header) in [
            (206, ("content-range", "bytes 100-149/150")),
            (200, ("content-length", "150")),
            (416, ("content-range", "bytes */150")),
        ] {
            let error = answer(ASKED, status, &[header]).expect_err("short");
            assert!(matches!(error, FetchErrorKind::Short), "{status}: {error:?}");
        }
    }

    #[test]
    fn a_front_may_be_all_there_is() {
        let front = Asked { start: 0, end: 1000, may_end: true, most_skipped: 0 };
        let all = Answer::Part { skip: 0, len: 150, total: Some(150) };
        assert_eq!(answer(front, 206, &[("content-range", "bytes 0-149/150")]).expect("believed"), all);
        let nothing = Answer::Nothing { total: 0 };
        assert_eq!(answer(front, 416, &[("content-range", "bytes */0")]).expect("believed"), nothing);
        let error = answer(front, 416, &[]).expect_err("nothing is said");
        assert!(matches!(error, FetchErrorKind::Short));
    }

    #[test]
    fn any_encoding_is_refused_on_both_answers() {
        const RANGE: (&str, &str) = ("content-range", "bytes 100-199/1000");
        for status in [200, 206] {
            for encoding in ["gzip", "br", "identity, gzip", "aws-chunked"] {
                let error =
                    answer(ASKED, status, &[("content-encoding", encoding), RANGE]).expect_err("refused");
                assert!(matches!(error, FetchErrorKind::Wrong(WrongAnswer::Encoded(_))), "{error:?}");
            }
        }
        answer(ASKED, 206, &[("content-encoding", "identity"), RANGE]).expect("none");
    }

    #[test]
    fn a_page_is_told_from_an_object() {
        let error = answer(ASKED, 200, &[("content-type", "Text/HTML; charset=utf-8")]).expect_err("a page");
        assert!(matches!(error, FetchErrorKind::Portal));
        assert!(matches!(answer(ASKED, 511, &[]).expect_err("a portal"), FetchErrorKind::Portal));
        assert!(starts_like_a_page(b"\xef\xbb\xbf \r\n<!DOCTYPE HTML><title>"));
        assert!(starts_like_a_page(b"<html lang=en>"));
        assert!(!starts_like_a_page(b"chunkidx"));
        assert!(!starts_like_a_page(b""));
    }

    #[test]
    fn busy_servers_say_for_how_long() {
        for status in [408, 429, 500, 503, 599] {
            match answer(ASKED, status, &[("retry-after", "7")]).expect_err("busy") {
                FetchErrorKind::Network(Trouble::Status { status: told, retry_after }) => {
                    assert_eq!((told, retry_after.map(|wait| wait.as_secs())), (status, Some(7)));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_answers_no_question_is_wrong() {
        for status in [201, 204, 304, 400, 405, 418] {
            let error = answer(ASKED, status, &[]).expect_err("wrong");
            let is_told = matches!(error, FetchErrorKind::Wrong(WrongAnswer::Status(told)) if told == status);
            assert!(is_told, "{error:?}");
        }
    }
}
