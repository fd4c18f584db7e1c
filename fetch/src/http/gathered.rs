//! What is wanted, and what has come of it so far.

use std::ops::Range;

use hyper::http::header::HeaderValue;

use super::course::Course;
use super::exchange::Brought;
use crate::{FetchErrorKind, Trouble, WrongAnswer};

/// So many bytes make up for the failures before them.
const PROGRESS: usize = 1 << 16;
/// A whole answer of so many bytes is a part; one of fewer is a crumb, and few of these are borne.
const PART: usize = 512;

/// Bytes somebody wants.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) object: String,
    pub(crate) range: Range<u64>,
    /// Whether the object may end earlier.
    pub(crate) may_end: bool,
    /// How many answers have turned out to be wrong.
    pub(crate) doubt: u32,
}

/// What has come so far.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) bytes: Vec<u8>,
    pub(crate) total: Option<u64>,
    /// What a mirror has called the object's state.
    tag: Option<(usize, HeaderValue)>,
}

impl Gathered {
    /// The next byte to ask for.
    pub(crate) fn position(&self, wanted: &Wanted) -> u64 {
        wanted.range.start.saturating_add(self.len())
    }

    fn len(&self) -> u64 {
        u64::try_from(self.bytes.len()).expect("a buffer's length fits")
    }

    pub(crate) fn is_complete(&self, wanted: &Wanted) -> bool {
        let end = self
            .total
            .filter(|_| wanted.may_end)
            .map_or(wanted.range.end, |total| total.min(wanted.range.end));
        (!wanted.may_end || self.total.is_some()) && self.position(wanted) >= end
    }

    /// Adds what a mirror has brought for the next bytes, and tells the course of it.
    pub(crate) fn take(&mut self, wanted: &Wanted, mirror: usize, brought: Brought, course: &mut Course) {
        let asked_at = self.position(wanted);
        if self.clashes(mirror, &brought) {
            *self = Self::default();
            return course.failed(mirror, FetchErrorKind::Network(Trouble::Changed));
        }
        let came = brought.bytes.len();
        self.bytes.extend(brought.bytes);
        self.total = self.total.or(brought.total);
        self.tag = brought.tag.map(|tag| (mirror, tag)).or(self.tag.take());
        if came >= PROGRESS {
            course.progressed();
        }
        match brought.failure {
            Some(failure) => course.failed(mirror, failure),
            None if wanted.may_end && self.total.is_none() => {
                if self.position(wanted) < wanted.range.end && asked_at == wanted.range.start {
                    // It was asked for more, so this is all there is; the hash of all of it will tell.
                    self.total = Some(self.position(wanted));
                } else {
                    course.failed(mirror, FetchErrorKind::Wrong(WrongAnswer::LengthUnknown));
                }
            }
            None if !self.is_complete(wanted) => {
                if came >= PART {
                    course.progressed();
                }
                course.fell_short(mirror);
            }
            None => {}
        }
    }

    /// Whether the object is no longer what it was when the first bytes of it came.
    fn clashes(&self, mirror: usize, brought: &Brought) -> bool {
        let differ = |before: Option<u64>, now: Option<u64>| {
            before.zip(now).is_some_and(|(before, now)| before != now)
        };
        let has_other_tag = match (&self.tag, &brought.tag) {
            (Some((from, before)), Some(now)) => *from == mirror && before != now,
            _ => false,
        };
        !self.bytes.is_empty()
            && !brought.bytes.is_empty()
            && (has_other_tag || differ(self.total, brought.total))
    }
}
