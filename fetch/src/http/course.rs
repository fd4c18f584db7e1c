//! The course of one read: whom to ask next, when, and when to give up.
//!
//! Failures of the network are met with patience, refusals with the next mirror. When all mirrors have refused,
//! one is asked once more past all caches, as what they remember may be older than the object. Nothing here asks
//! a clock or a network.

use std::time::Duration;

use super::retry::Backoff;
use crate::{FetchErrorKind, Trouble};

/// Nobody answers in less.
const LAST_TRY: Duration = Duration::from_millis(20);

/// What is known so far.
#[derive(Debug)]
pub(crate) struct Course {
    backoff: Backoff,
    max_attempts: u32,
    max_rest: Duration,
    /// By mirror.
    mirrors: Vec<State>,
    failures: u32,
    /// Answers among them that were less than asked for.
    parts: u32,
    rounds: u32,
    /// Rest that a server has asked for in this round.
    rest: Duration,
    /// As much of the last wait as a server has asked for.
    rested: Duration,
    past_caches: bool,
    is_endless: bool,
}

#[derive(Debug, Default)]
struct State {
    was_asked: bool,
    is_given_up: bool,
    failure: Option<FetchErrorKind>,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Ask { mirror: usize, past_caches: bool },
    Wait(Duration),
    GiveUp,
}

impl Course {
    pub(crate) fn new(mirrors: usize, backoff: Backoff, max_attempts: u32, max_rest: Duration) -> Self {
        Self {
            backoff,
            max_attempts,
            max_rest,
            mirrors: std::iter::repeat_with(State::default).take(mirrors).collect(),
            failures: 0,
            parts: 0,
            rounds: 0,
            rest: Duration::ZERO,
            rested: Duration::ZERO,
            past_caches: false,
            is_endless: false,
        }
    }

    /// Asks past caches from the start.
    pub(crate) fn past_caches(mut self) -> Self {
        self.past_caches = true;
        self
    }

    /// However often the network fails, there is another try: the caller knows when to end it.
    pub(crate) fn endless(mut self) -> Self {
        self.is_endless = true;
        self
    }

    /// What to do, if `order` is the order in which mirrors should be asked.
    pub(crate) fn next(&mut self, order: &[usize], random: u64) -> Step {
        // Parts are asked for without a wait between, so there must be an end of them.
        let attempts = if self.is_endless { self.parts } else { self.failures };
        if attempts >= self.max_attempts {
            return Step::GiveUp;
        }
        let open = |state: &State| !state.is_given_up;
        if !self.mirrors.iter().any(open) {
            let may_be_stale =
                |mirror: &&usize| self.mirrors[**mirror].failure.as_ref().is_some_and(may_be_stale);
            return match order.iter().find(may_be_stale) {
                Some(&mirror) if !self.past_caches => {
                    // From here on it is asked like any other: what may pass is met with patience.
                    self.past_caches = true;
                    let state = &mut self.mirrors[mirror];
                    (state.is_given_up, state.was_asked) = (false, true);
                    Step::Ask { mirror, past_caches: true }
                }
                _ => Step::GiveUp,
            };
        }
        let next =
            order.iter().find(|&&mirror| open(&self.mirrors[mirror]) && !self.mirrors[mirror].was_asked);
        if let Some(&mirror) = next {
            self.mirrors[mirror].was_asked = true;
            return Step::Ask { mirror, past_caches: self.past_caches };
        }
        for state in &mut self.mirrors {
            state.was_asked = false;
        }
        self.rounds += 1;
        self.rested = std::mem::take(&mut self.rest);
        Step::Wait(self.backoff.wait(self.rounds, random) + self.rested)
    }

    /// The last wait, if only `left` is left until all must be over: cut, so that there is time for another try behind it.
    /// None if there is not, or if a server wants more rest than that.
    pub(crate) fn wait_within(&self, wait: Duration, left: Duration) -> Option<Duration> {
        let unclaimed = left.checked_sub(self.rested).filter(|unclaimed| !unclaimed.is_zero())?;
        (left >= LAST_TRY).then(|| wait.min(self.rested + unclaimed / 2))
    }

    /// A mirror brought a good part of what was wanted: what failed before counts no more.
    pub(crate) fn progressed(&mut self) {
        (self.failures, self.parts, self.rounds) = (0, 0, 0);
    }

    /// A mirror brought less than it was asked for, without a failure. It may be asked for the rest at once.
    pub(crate) fn fell_short(&mut self, mirror: usize) {
        self.failures += 1;
        self.parts += 1;
        self.mirrors[mirror].was_asked = false;
    }

    /// A mirror failed or refused.
    pub(crate) fn failed(&mut self, mirror: usize, failure: FetchErrorKind) {
        self.failures += 1;
        let state = &mut self.mirrors[mirror];
        match &failure {
            FetchErrorKind::Network(Trouble::Status { retry_after: Some(rest), .. }) => {
                state.is_given_up |= *rest > self.max_rest;
                self.rest = self.rest.max(*rest);
            }
            FetchErrorKind::Network(_) => {}
            _ => state.is_given_up = true,
        }
        state.failure = Some(failure);
    }

    /// Why this course was given up, and the mirror to name: a failure that may pass, or else the refusal that
    /// says most.
    pub(crate) fn into_failure(self) -> Option<(usize, FetchErrorKind)> {
        let failures = self.mirrors.into_iter().enumerate();
        let failures = failures.filter_map(|(mirror, state)| Some((mirror, state.failure?)));
        failures.min_by_key(|(_, failure)| weight(failure))
    }
}

/// Whether a cache may have remembered it.
fn may_be_stale(failure: &FetchErrorKind) -> bool {
    match failure {
        FetchErrorKind::NotAuthorised { status } => *status == 403,
        FetchErrorKind::Missing | FetchErrorKind::Short | FetchErrorKind::Wrong(_) => true,
        _ => false,
    }
}

/// That something is missing says least: a mirror may just be behind the others.
fn weight(failure: &FetchErrorKind) -> u32 {
    match failure {
        FetchErrorKind::Io(_) | FetchErrorKind::Cancelled => 0,
        FetchErrorKind::Network(_) => 1,
        FetchErrorKind::CertificateTime(_) => 2,
        FetchErrorKind::Unencrypted | FetchErrorKind::Untrusted(_) | FetchErrorKind::Rejected(_) => 3,
        FetchErrorKind::NotAuthorised { .. } => 4,
        FetchErrorKind::Portal => 5,
        FetchErrorKind::Wrong(_) => 6,
        FetchErrorKind::Short => 7,
        FetchErrorKind::Missing => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(mirrors: usize) -> Course {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(8) };
        Course::new(mirrors, backoff, 6, Duration::from_secs(100))
    }

    fn busy(rest: u64) -> FetchErrorKind {
        let retry_after = Some(Duration::from_secs(rest));
        FetchErrorKind::Network(Trouble::Status { status: 503, retry_after })
    }

    const ENDED: FetchErrorKind = FetchErrorKind::Network(Trouble::Ended { missing: 1 });

    fn ask(mirror: usize) -> Step {
        Step::Ask { mirror, past_caches: false }
    }

    #[test]
    fn a_failure_leads_to_the_next_mirror_at_once_and_a_round_of_failures_to_a_wait() {
        let mut course = course(2);
        assert_eq!(course.next(&[1, 0], 0), ask(1));
        course.failed(1, ENDED);
        assert_eq!(course.next(&[1, 0], 0), ask(0));
        course.failed(0, ENDED);
        assert_eq!(course.next(&[1, 0], 0), Step::Wait(Duration::ZERO));
        assert_eq!(course.next(&[1, 0], 0), ask(1));
    }

    #[test]
    fn patience_ends_unless_there_is_progress() {
        let mut course = course(1);
        for round in 0..20 {
            assert!(matches!(course.next(&[0], 0), Step::Ask { .. }));
            course.failed(0, ENDED);
            if round < 10 {
                course.progressed();
            } else if round == 15 {
                assert_eq!(course.next(&[0], 0), Step::GiveUp);
                return;
            }
            assert!(matches!(course.next(&[0], 0), Step::Wait(_)));
        }
        panic!("no end");
    }

    #[test]
    fn endless_patience_is_for_the_network_not_for_refusals_or_crumbs() {
        let mut course = course(1).endless();
        for _ in 0..1000 {
            assert!(matches!(course.next(&[0], 0), Step::Ask { .. }));
            course.failed(0, ENDED);
            assert!(matches!(course.next(&[0], 0), Step::Wait(_)));
        }
        for _ in 0..6 {
            assert_eq!(course.next(&[0], 0), ask(0));
            course.fell_short(0);
        }
        assert_eq!(course.next(&[0], 0), Step::GiveUp);
        let mut course = self::course(1).endless();
        course.next(&[0], 0);
        course.failed(0, FetchErrorKind::Portal);
        assert_eq!(course.next(&[0], 0), Step::GiveUp);
    }

    #[test]
    fn a_server_is_left_alone_as_long_as_it_wants_and_given_up_if_that_is_too_long() {
        let mut course = course(1);
        course.next(&[0], 0);
        course.failed(0, busy(50));
        assert_eq!(course.next(&[0], 0), Step::Wait(Duration::from_secs(50)));
        course.next(&[0], 0);
        course.failed(0, busy(101));
        assert_eq!(course.next(&[0], 0), Step::GiveUp);
        assert!(matches!(course.into_failure(), Some((0, FetchErrorKind::Network(_)))));
    }

    #[test]
    fn when_all_have_refused_one_is_asked_once_more_past_caches() {
        let mut course = course(2);
        course.next(&[0, 1], 0);
        course.failed(0, FetchErrorKind::NotAuthorised { status: 401 });
        course.next(&[0, 1], 0);
        course.failed(1, FetchErrorKind::Missing);
        assert_eq!(course.next(&[0, 1], 0), Step::Ask { mirror: 1, past_caches: true });
        course.failed(1, FetchErrorKind::Missing);
        assert_eq!(course.next(&[0, 1], 0), Step::GiveUp);
    }

    #[test]
    fn a_trouble_after_a_refusal_is_met_with_patience() {
        let mut course = course(1).endless();
        course.next(&[0], 0);
        course.failed(0, FetchErrorKind::Missing);
        for _ in 0..100 {
            assert_eq!(course.next(&[0], 0), Step::Ask { mirror: 0, past_caches: true });
            course.failed(0, ENDED);
            assert!(matches!(course.next(&[0], 0), Step::Wait(_)));
        }
        assert_eq!(course.next(&[0], 0), Step::Ask { mirror: 0, past_caches: true });
        course.failed(0, FetchErrorKind::Missing);
        assert_eq!(course.next(&[0], 0), Step::GiveUp);
    }

    #[test]
    fn a_wait_leaves_time_for_another_try_unless_a_server_wants_it_all() {
        let seconds = Duration::from_secs;
        let mut course = course(1);
        assert_eq!(course.wait_within(seconds(3), seconds(8)), Some(seconds(3)));
        assert_eq!(course.wait_within(seconds(30), seconds(8)), Some(seconds(4)));
        assert_eq!(course.wait_within(seconds(30), Duration::from_millis(1)), None);
        course.next(&[0], 0);
        course.failed(0, busy(6));
        assert_eq!(course.next(&[0], 0), Step::Wait(seconds(6)));
        assert_eq!(course.wait_within(seconds(30), seconds(8)), Some(seconds(7)));
        assert_eq!(course.wait_within(seconds(6), seconds(6)), None);
    }

    #[test]
    fn what_no_cache_can_be_blamed_for_is_not_asked_again() {
        for refusal in [FetchErrorKind::Portal, FetchErrorKind::NotAuthorised { status: 401 }] {
            let mut course = course(1);
            course.next(&[0], 0);
            course.failed(0, refusal);
            assert_eq!(course.next(&[0], 0), Step::GiveUp);
        }
        let mut course = course(1).past_caches();
        assert_eq!(course.next(&[0], 0), Step::Ask { mirror: 0, past_caches: true });
        course.failed(0, FetchErrorKind::Missing);
        assert_eq!(course.next(&[0], 0), Step::GiveUp);
    }

    #[test]
    fn the_failure_that_says_most_is_told() {
        let mut course = course(3);
        course.failed(0, FetchErrorKind::Missing);
        course.failed(1, FetchErrorKind::Portal);
        course.failed(2, FetchErrorKind::Short);
        assert!(matches!(course.into_failure(), Some((1, FetchErrorKind::Portal))));
    }

    #[test]
    fn a_part_leads_to_the_rest_but_not_for_ever() {
        let mut course = course(1);
        for _ in 0..6 {
            assert_eq!(course.next(&[0], 0), ask(0));
            course.fell_short(0);
        }
        assert_eq!(course.next(&[0], 0), Step::GiveUp);
        assert!(course.into_failure().is_none());
    }
}
