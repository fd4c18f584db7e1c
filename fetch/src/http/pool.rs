//! One host: the connections that are open to it, and how many requests it bears.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::connect::{Connector, Sender};
use super::dial::Reach;
use super::limiter::Limiter;
use super::url::Origin;
use crate::FetchErrorKind;

/// Servers close what is idle for a minute or more; better not to meet them doing so.
const LONGEST_IDLE: Duration = Duration::from_secs(50);
/// A connection that has answered is free again at once, or something is wrong with it.
const SOON: Duration = Duration::from_millis(50);

/// One host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) origin: Origin,
    pub(crate) limiter: Arc<Limiter>,
    state: Mutex<State>,
    /// Held while the first connection is made: whether it can be shared decides about all others.
    first: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<(Sender, Instant)>,
    shared: Option<Sender>,
    is_known: bool,
    ignores_ranges: bool,
}

/// A connection on loan.
#[derive(Debug)]
pub(crate) struct Loan {
    pub(crate) sender: Sender,
    /// Whether it has served before, and may have been closed since.
    pub(crate) is_used: bool,
}

impl Host {
    pub(crate) fn new(origin: Origin, most: usize) -> Self {
        let limiter = Arc::new(Limiter::new(most));
        Self { origin, limiter, state: Mutex::default(), first: tokio::sync::Mutex::default() }
    }

    /// A connection, used or new.
    pub(crate) async fn borrow(&self, connector: &Connector, reach: Reach) -> Result<Loan, FetchErrorKind> {
        if let Some(loan) = self.used().await {
            return Ok(loan);
        }
        let mut others_wait = None;
        if !self.with(|state| state.is_known) {
            others_wait = Some(self.first.lock().await);
            if let Some(loan) = self.used().await {
                return Ok(loan);
            }
            if self.with(|state| state.is_known) {
                others_wait = None;
            }
        }
        let sender = connector.connect(&self.origin, reach).await?;
        self.with(|state| {
            state.shared = sender.share();
            state.is_known = true;
        });
        drop(others_wait);
        Ok(Loan { sender, is_used: false })
    }

    /// A connection that is open and free.
    async fn used(&self) -> Option<Loan> {
        loop {
            let shared = self.with(|state| state.shared.as_ref().and_then(Sender::share));
            let is_shared = shared.is_some();
            let mut sender = match shared {
                Some(sender) => sender,
                None => self.with(|state| {
                    state.idle.retain(|(_, since)| since.elapsed() < LONGEST_IDLE);
                    state.idle.pop().map(|(sender, _)| sender)
                })?,
            };
            if matches!(timeout(SOON, sender.is_usable()).await, Ok(true)) {
                return Some(Loan { sender, is_used: true });
            }
            if is_shared {
                self.forget_shared();
            }
        }
    }

    /// Takes back a connection whose last answer was read to its end.
    pub(crate) fn give_back(&self, sender: Sender) {
        if sender.share().is_none() {
            self.with(|state| state.idle.push((sender, Instant::now())));
        }
    }

    /// The shared connection has failed.
    pub(crate) fn forget_shared(&self) {
        self.with(|state| state.shared = None);
    }

    /// Remembers whether the host has answered a range with all of the object.
    pub(crate) fn set_ignores_ranges(&self, ignores_ranges: bool) {
        self.with(|state| state.ignores_ranges = ignores_ranges);
    }

    /// Whether the host answers ranges with whole objects.
    pub(crate) fn ignores_ranges(&self) -> bool {
        self.with(|state| state.ignores_ranges)
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
