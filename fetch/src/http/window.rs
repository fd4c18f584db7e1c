//! How many requests a host is sent at once.
//!
//! Nobody knows what a path bears, so it is found out: twice as many requests are tried as long as more bytes come
//! in the same time, then one more now and then; what does not help is taken back. After the host or the path has
//! pushed back, half as many are left.
//!
//! What comes in a time is reckoned from how long each request took once its connection was there: a clock over all
//! of them would count the handshakes of new connections, several round trips each, as the slowness of the path.

use std::time::{Duration, Instant};

/// Rounds without a try after one that has brought nothing.
const HELD_ROUNDS: u32 = 8;
/// Failures this close to each other have one cause.
const ONE_CAUSE: Duration = Duration::from_millis(250);

/// The number of requests to have on the way, and what is known about it.
#[derive(Debug)]
pub(crate) struct Window {
    limit: usize,
    most: usize,
    round: Round,
    /// Bytes a second that so many requests bring at once, by the round before, if it was full.
    before: Option<u64>,
    /// How many requests this round has more than the one before.
    tried: usize,
    /// Whether the window is still being doubled.
    is_doubling: bool,
    /// Rounds to wait before the next try.
    held: u32,
    pushed_back_at: Option<Instant>,
}

/// As many requests as are allowed at once.
#[derive(Debug)]
struct Round {
    since: Instant,
    requests: usize,
    bytes: u64,
    /// What the requests took, one after the other.
    took: Duration,
    /// Whether each request found the window full: only then does its size matter.
    is_full: bool,
}

impl Round {
    fn new(since: Instant) -> Self {
        Self { since, requests: 0, bytes: 0, took: Duration::ZERO, is_full: true }
    }
}

impl Window {
    pub(crate) fn new(start: usize, most: usize, now: Instant) -> Self {
        let most = most.max(1);
        Self {
            limit: start.clamp(1, most),
            most,
            round: Round::new(now),
            before: None,
            tried: 0,
            is_doubling: true,
            held: 0,
            pushed_back_at: None,
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// A request has brought `bytes` and `took` so long over a connection that was open; `is_full` says whether there
    /// were as many requests as may be.
    pub(crate) fn completed(&mut self, bytes: u64, took: Duration, is_full: bool, now: Instant) {
        // One that ran for the most part before the round tells how that was.
        if took > 2 * now.saturating_duration_since(self.round.since) {
            return;
        }
        self.round.requests += 1;
        self.round.bytes = self.round.bytes.saturating_add(bytes);
        self.round.took += took;
        self.round.is_full &= is_full;
        if self.round.requests >= self.limit {
            let round = std::mem::replace(&mut self.round, Round::new(now));
            self.end_round(&round);
        }
    }

    fn end_round(&mut self, round: &Round) {
        if !round.is_full {
            self.before = None;
            return;
        }
        let micros = u64::try_from(round.took.as_micros()).unwrap_or(u64::MAX).max(1);
        let rate = (round.bytes.saturating_mul(1_000_000) / micros).saturating_mul(wide(self.limit));
        let tried = std::mem::take(&mut self.tried);
        let before = self.before.replace(rate);
        // Half of what so many more requests could bring at best is enough to keep them.
        let least_gain = |before: u64| before / (2 * wide(self.limit - tried)).max(1) * wide(tried);
        let is_better = before.is_none_or(|before| rate >= before.saturating_add(least_gain(before)));
        if tried > 0 && !is_better {
            self.limit -= tried;
            self.is_doubling = false;
            self.held = HELD_ROUNDS;
        } else if self.held > 0 {
            self.held -= 1;
        } else {
            let step = if self.is_doubling { self.limit } else { 1 };
            self.tried = step.min(self.most - self.limit);
            self.limit += self.tried;
        }
    }

    /// The host was too busy, or the path broke.
    pub(crate) fn pushed_back(&mut self, now: Instant) {
        if self.pushed_back_at.is_some_and(|at| now.duration_since(at) < ONE_CAUSE) {
            return;
        }
        self.pushed_back_at = Some(now);
        self.limit = (self.limit / 2).max(1);
        self.round = Round::new(now);
        self.before = None;
        self.tried = 0;
        self.is_doubling = false;
        self.held = HELD_ROUNDS;
    }
}

fn wide(requests: usize) -> u64 {
    u64::try_from(requests).expect("few requests")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: u64 = 1 << 20;

    /// Runs rounds over a path that gains from up to `useful` requests at once.
    fn run(window: &mut Window, rounds: usize, useful: usize, now: &mut Instant) {
        for _ in 0..rounds {
            let at_once = window.limit();
            // All end together, after a time that grows once there are more than are useful.
            let micros = 50_000 * at_once.max(useful) / useful;
            let took = Duration::from_micros(u64::try_from(micros).expect("short"));
            *now += took;
            for _ in 0..at_once {
                window.completed(BYTES, took, true, *now);
            }
        }
    }

    #[test]
    fn the_window_grows_as_long_as_it_helps() {
        let mut now = Instant::now();
        let mut window = Window::new(4, 16, now);
        run(&mut window, 40, 10, &mut now);
        assert!((9..=11).contains(&window.limit()), "{}", window.limit());
        let mut window = Window::new(4, 16, now);
        run(&mut window, 3, 100, &mut now);
        assert_eq!(window.limit(), 16);
    }

    /// How many round trips `requests` take over a way that only they bound: the first over a connection takes three,
    /// two of them for the handshakes of TCP and TLS.
    fn round_trips(window: &mut Window, requests: usize, start: Instant) -> u128 {
        const ROUND_TRIP: Duration = Duration::from_millis(200);
        let (mut now, mut done, mut idle) = (start, 0, 0_usize);
        let mut on_the_way: Vec<Instant> = Vec::new();
        while done < requests {
            let left = requests - done - on_the_way.len();
            for _ in 0..left.min(window.limit().saturating_sub(on_the_way.len())) {
                let takes = if idle > 0 { ROUND_TRIP } else { 3 * ROUND_TRIP };
                idle = idle.saturating_sub(1);
                on_the_way.push(now + takes);
            }
            on_the_way.sort_unstable_by_key(|end| std::cmp::Reverse(*end));
            let is_full = on_the_way.len() >= window.limit();
            now = on_the_way.pop().expect("more than were done");
            (done, idle) = (done + 1, idle + 1);
            window.completed(1 << 14, ROUND_TRIP, is_full, now);
        }
        (now - start).as_millis().div_ceil(ROUND_TRIP.as_millis())
    }

    #[test]
    fn handshakes_of_new_connections_do_not_look_like_a_slow_path() {
        let now = Instant::now();
        let mut window = Window::new(8, 64, now);
        let took = round_trips(&mut window, 400, now);
        assert!(took <= 14, "{took} round trips");
        assert_eq!(window.limit(), 64);
    }

    #[test]
    fn what_ran_before_the_window_grew_does_not_tell_what_that_brings() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut window = Window::new(4, 8, start);
        (0..4).for_each(|_| window.completed(BYTES, second, true, start + second));
        assert_eq!(window.limit(), 8);
        // Four that were on the way already end as fast as they would have; all others take half as long again.
        (0..4).for_each(|_| window.completed(BYTES, second, true, start + second * 5 / 4));
        (0..8).for_each(|_| window.completed(BYTES, second * 3 / 2, true, start + second * 5 / 2));
        assert_eq!(window.limit(), 4);
    }

    #[test]
    fn what_does_not_help_is_taken_back() {
        let mut now = Instant::now();
        let mut window = Window::new(4, 16, now);
        run(&mut window, 2, 4, &mut now);
        assert_eq!(window.limit(), 4);
        run(&mut window, 100, 4, &mut now);
        assert!((4..=5).contains(&window.limit()), "{}", window.limit());
    }

    #[test]
    fn a_window_that_is_not_full_stays() {
        let mut now = Instant::now();
        let mut window = Window::new(4, 16, now);
        for _ in 0..100 {
            let took = Duration::from_millis(10);
            now += took;
            window.completed(BYTES, took, false, now);
        }
        assert_eq!(window.limit(), 4);
    }

    #[test]
    fn push_back_halves_the_window_once_for_one_cause_and_never_closes_it() {
        let start = Instant::now();
        let mut window = Window::new(4, 16, start);
        for after in [0, 10, 20] {
            window.pushed_back(start + Duration::from_millis(after));
        }
        assert_eq!(window.limit(), 2);
        for after in 1..10 {
            window.pushed_back(start + Duration::from_secs(after));
        }
        assert_eq!(window.limit(), 1);
    }

    #[test]
    fn after_push_back_growth_starts_again_later() {
        let mut now = Instant::now();
        let mut window = Window::new(8, 16, now);
        window.pushed_back(now);
        run(&mut window, 8, 100, &mut now);
        assert_eq!(window.limit(), 4);
        run(&mut window, 5, 100, &mut now);
        assert!(window.limit() > 4);
    }
}
