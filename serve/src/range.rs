//! What part of an object a request asks for.

use std::ops::Range;

/// What part of an object a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All of it: there is no range, or none that is understood, or several.
    All,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that are not there.
    Nothing,
}

/// Reads a Range header for an object of `size` bytes (RFC 9110, section 14).
pub(crate) fn parse(header: &str, size: u64) -> Asked {
    let Some(spec) = header.trim().strip_prefix("bytes=") else { return Asked::All };
    let Some((first, last)) = spec.trim().split_once('-') else { return Asked::All };
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than a number has are beyond every object.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (first, last) {
        ("", last) => match number(last) {
            Some(0) => Asked::Nothing,
            Some(count) if size > 0 => Asked::Part(size.saturating_sub(count)..size),
            Some(_) => Asked::Nothing,
            None => Asked::All,
        },
        (first, "") => match number(first) {
            Some(first) if first < size => Asked::Part(first..size),
            Some(_) => Asked::Nothing,
            None => Asked::All,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first > last => Asked::All,
            (Some(first), Some(_)) if first >= size => Asked::Nothing,
            (Some(first), Some(last)) => Asked::Part(first..last.saturating_add(1).min(size)),
            _ => Asked::All,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_ranges_are_understood_and_cut_to_what_is_there() {
        for (header, asked) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=3-", Asked::Part(3..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-30", Asked::Part(0..10)),
            ("bytes=5-99999999999999999999999", Asked::Part(5..10)),
            ("bytes=10-", Asked::Nothing),
            ("bytes=10-12", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
        ] {
            assert_eq!(parse(header, 10), asked, "{header}");
        }
        assert_eq!(parse("bytes=-1", 0), Asked::Nothing);
    }

    #[test]
    fn what_is_not_understood_asks_for_all() {
        for header in
            ["bytes=0-1,3-4", "bytes=4-2", "bytes=", "bytes=a-b", "items=0-1", "bytes=-", "bytes=1-+2", ""]
        {
            assert_eq!(parse(header, 10), Asked::All, "{header}");
        }
    }
}
