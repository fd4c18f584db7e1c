//! A read from beginning to end: mirrors, hedges, what has come so far.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout_at};

use super::belief;
use super::config::{Config, Exchange};
use super::connect::Connector;
use super::course::{Course, Step};
use super::exchange::{Brought, ask};
use super::gathered::{Gathered, Wanted};
use super::health::{Health, in_order};
use super::meter::Meter;
use super::mirror::Mirror;
use super::pace::Pace;
use super::pool::Host;
use super::race::{First, race};
use super::request::Question;
use super::retry;
use super::spool::Spool;
use super::stream::Tally;
use super::url::Origin;
use crate::{FetchError, FetchErrorKind, Trouble};

/// All that reads share.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) config: Config,
    pub(crate) mirrors: Vec<Mirror>,
    pub(crate) connector: Connector,
    pub(crate) tally: Arc<Tally>,
    pub(crate) pace: Option<Pace>,
    pub(crate) meter: Meter,
    pub(crate) spool: Spool,
    pub(crate) deadline: Option<Instant>,
    hosts: Mutex<HashMap<Origin, Arc<Host>>>,
    health: Mutex<Vec<Health>>,
    /// Who has brought the last bytes of an object.
    served: Mutex<HashMap<String, usize>>,
    /// Who has brought wrong bytes of an object, past caches too: they are asked after the others.
    blamed: Mutex<HashMap<String, Vec<usize>>>,
}

impl Client {
    pub(crate) fn new(mirrors: Vec<Mirror>, config: Config, connector: Connector) -> Self {
        let directory = config.spool.clone().unwrap_or_else(std::env::temp_dir);
        Self {
            tally: Arc::clone(&connector.tally),
            pace: config.limit_rate.map(Pace::new),
            meter: Meter::default(),
            spool: Spool::new(directory, config.max_overfetch),
            deadline: config.deadline.and_then(|deadline| Instant::now().checked_add(deadline)),
            hosts: Mutex::default(),
            health: Mutex::new(vec![Health::default(); mirrors.len()]),
            served: Mutex::default(),
            blamed: Mutex::default(),
            mirrors,
            connector,
            config,
        }
    }

    /// The host at `origin`.
    pub(crate) fn host(&self, origin: &Origin) -> Arc<Host> {
        let new = || Arc::new(Host::new(origin.clone(), self.config.max_connections));
        with(&self.hosts, |hosts| Arc::clone(hosts.entry(origin.clone()).or_insert_with(new)))
    }

    /// Reads what is wanted.
    pub(crate) async fn read(&self, wanted: &Wanted) -> Result<Gathered, FetchError> {
        let config = &self.config;
        let mut course =
            Course::new(self.mirrors.len(), config.backoff, config.max_attempts, config.max_rest);
        if self.deadline.is_some() {
            course = course.endless();
        }
        if wanted.doubt > 0 {
            self.spool.forget(&wanted.object);
            course = course.past_caches();
        }
        if wanted.doubt > 1 {
            self.blame(&wanted.object, wanted.doubt);
        }
        let mut gathered = Gathered::default();
        let mut is_first = true;
        loop {
            let left = wanted.range.end.saturating_sub(gathered.position(wanted));
            let mut order = with(&self.health, |health| in_order(config.order, health, left, Instant::now()));
            with(&self.blamed, |blamed| {
                let blamed = blamed.get(&wanted.object).map_or(&[][..], Vec::as_slice);
                order.sort_by_key(|mirror| blamed.contains(mirror));
            });
            match course.next(&order, retry::random()) {
                Step::GiveUp => {
                    let ended = (order[0], FetchErrorKind::Network(Trouble::Ended { missing: left }));
                    let (mirror, kind) = course.into_failure().unwrap_or(ended);
                    return Err(self.error(wanted, mirror, kind));
                }
                Step::Wait(wait) => {
                    let wait = self.deadline.map_or(Some(wait), |deadline| {
                        course.wait_within(wait, deadline.saturating_duration_since(Instant::now()))
                    });
                    let Some(wait) = wait else {
                        let (mirror, kind) = course
                            .into_failure()
                            .unwrap_or((order[0], FetchErrorKind::Network(Trouble::Deadline)));
                        return Err(self.error(wanted, mirror, kind));
                    };
                    sleep(wait).await;
                }
                Step::Ask { mirror, past_caches } => {
                    if !std::mem::take(&mut is_first) {
                        self.tally.retry();
                    }
                    let question = Question {
                        mirror,
                        object: &wanted.object,
                        start: gathered.position(wanted),
                        end: wanted.range.end,
                        may_end: wanted.may_end,
                        past_caches,
                    };
                    let answers = match self.deadline {
                        None => self.hedged(&question, &order).await,
                        Some(deadline) => {
                            let answers = timeout_at(deadline.into(), self.hedged(&question, &order));
                            answers.await.map_err(|_| {
                                self.error(wanted, mirror, FetchErrorKind::Network(Trouble::Deadline))
                            })?
                        }
                    };
                    for (mirror, brought) in answers {
                        gathered.take(wanted, mirror, brought, &mut course);
                    }
                    if gathered.is_complete(wanted) {
                        return Ok(gathered);
                    }
                }
            }
        }
    }

    /// Has whoever brought the last bytes of `object` asked for it after the others from now on: the `doubt`th answer was
    /// wrong. Many may doubt the same answers at the same time.
    fn blame(&self, object: &str, doubt: u32) {
        let Some(mirror) = with(&self.served, |served| served.get(object).copied()) else { return };
        with(&self.blamed, |blamed| {
            let blamed = blamed.entry(object.to_owned()).or_default();
            let is_news = blamed.len() < usize::try_from(doubt - 1).unwrap_or(usize::MAX);
            if is_news && !blamed.contains(&mirror) {
                blamed.push(mirror);
            }
        });
    }

    /// Asks a mirror, and another one too if that takes unusually long. Returns the first whole answer, or all.
    async fn hedged(&self, question: &Question<'_>, order: &[usize]) -> Vec<(usize, Brought)> {
        let first = question.mirror;
        let sent_at = OnceLock::new();
        let mut one = pin!(self.watched(question, &sent_at));
        let patience = self.patience(question);
        let other = loop {
            // Waiting for room at our end is not the mirror's fault.
            let waited = sent_at.get().map_or(Duration::ZERO, Instant::elapsed);
            if waited >= patience {
                match self.substitute(question, order) {
                    Some(other) => break other,
                    None => return vec![(first, one.await)],
                }
            }
            if let First::One(brought) =
                race(one.as_mut(), pin!(sleep(patience.saturating_sub(waited)))).await
            {
                return vec![(first, brought)];
            }
        };
        self.tally.retry();
        let second = Question { mirror: other, ..*question };
        let other_sent_at = OnceLock::new();
        let mut two = pin!(self.watched(&second, &other_sent_at));
        match race(one.as_mut(), two.as_mut()).await {
            First::One(brought) if brought.failure.is_none() => vec![(first, brought)],
            First::Other(brought) if brought.failure.is_none() => vec![(other, brought)],
            First::One(brought) => vec![(first, brought), (other, two.await)],
            First::Other(brought) => vec![(other, brought), (first, one.await)],
        }
    }

    /// How long to wait for an answer before another mirror is asked as well.
    fn patience(&self, question: &Question<'_>) -> Duration {
        let len = question.end - question.start;
        // The front of an object is asked for with more room than it may need.
        let len = if question.may_end { 0 } else { len };
        let usual = with(&self.health, |health| health[question.mirror].usual(len));
        self.config.hedge_after.max(usual.unwrap_or_default().saturating_mul(3))
    }

    /// Another mirror that is well.
    fn substitute(&self, question: &Question<'_>, order: &[usize]) -> Option<usize> {
        let now = Instant::now();
        with(&self.health, |health| {
            order.iter().copied().find(|&mirror| mirror != question.mirror && health[mirror].is_well(now))
        })
    }

    /// Asks a mirror and learns from it.
    async fn watched(&self, question: &Question<'_>, sent_at: &OnceLock<Instant>) -> Brought {
        let in_flight = InFlight::new(&self.health, question.mirror);
        let started_at = Instant::now();
        let on_sent = |now| {
            sent_at.get_or_init(|| now);
        };
        let mut brought = Box::pin(ask(self, question, on_sent)).await;
        if question.may_end && question.start == 0 && belief::starts_like_a_page(&brought.bytes) {
            brought = Brought { failure: Some(FetchErrorKind::Portal), ..Brought::default() };
        }
        drop(in_flight);
        let now = Instant::now();
        let received = u64::try_from(brought.bytes.len()).expect("a buffer's length fits");
        with(&self.health, |health| {
            let health = &mut health[question.mirror];
            match (&brought.failure, sent_at.get(), brought.head_at) {
                (None, Some(sent_at), Some(head_at)) => {
                    health.succeeded(head_at.saturating_duration_since(*sent_at), now - head_at, received);
                }
                (None, _, _) => {}
                (Some(FetchErrorKind::Network(Trouble::Status { retry_after, .. })), _, _) => {
                    health.failed(now, *retry_after);
                }
                (Some(_), _, _) => health.failed(now, None),
            }
        });
        if brought.failure.is_none() {
            with(&self.served, |served| served.insert(question.object.to_owned(), question.mirror));
        }
        if let Some(observer) = &self.config.observer {
            observer.observe(&Exchange {
                url: &self.location(question.mirror, question.object),
                range: question.start..question.end,
                received,
                failure: brought.failure.as_ref(),
                elapsed: started_at.elapsed(),
            });
        }
        brought
    }

    /// Where `object` was last read from.
    pub(crate) fn located(&self, object: &str) -> String {
        let mirror = with(&self.served, |served| served.get(object).copied()).unwrap_or(0);
        self.location(mirror, object)
    }

    /// What is said when reading stops for a reason that no mirror has given.
    pub(crate) fn error(&self, wanted: &Wanted, mirror: usize, kind: FetchErrorKind) -> FetchError {
        FetchError { location: self.location(mirror, &wanted.object), range: wanted.range.clone(), kind }
    }

    fn location(&self, mirror: usize, object: &str) -> String {
        let mirror = &self.mirrors[mirror];
        let url = mirror.locate(object, false);
        url.map_or_else(|| format!("{object:?} at {}", mirror.directory), |url| url.to_string())
    }
}

fn with<S, T>(state: &Mutex<S>, change: impl FnOnce(&mut S) -> T) -> T {
    change(&mut state.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A question counted as on its way, until dropped.
struct InFlight<'c> {
    health: &'c Mutex<Vec<Health>>,
    mirror: usize,
}

impl<'c> InFlight<'c> {
    fn new(health: &'c Mutex<Vec<Health>>, mirror: usize) -> Self {
        with(health, |health| health[mirror].in_flight += 1);
        Self { health, mirror }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        with(self.health, |health| health[self.mirror].in_flight -= 1);
    }
}
