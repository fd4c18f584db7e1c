//! From a mirror to whoever has the object: connections that were closed meanwhile, and redirects.

use std::sync::Arc;
use std::time::Instant;

use hyper::body::{Body, Incoming};
use hyper::http::header::LOCATION;
use hyper::{Response, StatusCode};
use tokio::time::timeout;

use super::client::Client;
use super::connect::{Sender, broken};
use super::dial::Reach;
use super::limiter::Permit;
use super::pool::{Host, Loan};
use super::request::{self, Question};
use super::url::{Origin, Url};
use crate::{FetchErrorKind, RedirectRefused, Trouble, WrongAnswer};

const MOST_REDIRECTS: u32 = 8;
/// Connections in a row that may have been closed before they were used again.
const MOST_CLOSED: u32 = 16;

/// An answer whose body has not been read.
pub(crate) struct Head {
    pub(crate) response: Response<Incoming>,
    pub(crate) sender: Sender,
    pub(crate) host: Arc<Host>,
    pub(crate) permit: Permit,
    /// When the question was sent, over a connection that was open.
    pub(crate) sent_at: Instant,
}

/// An answer, and the connection that it came over.
struct Reply {
    response: Response<Incoming>,
    sender: Sender,
    sent_at: Instant,
}

/// Sends `question`, first to `url` with `permit`, and returns the first answer that is no redirect.
pub(crate) async fn follow(
    client: &Client,
    question: &Question<'_>,
    mut url: Url,
    mut permit: Permit,
) -> Result<Head, FetchErrorKind> {
    let home = url.origin.clone();
    let refused = |why| FetchErrorKind::Wrong(WrongAnswer::Redirect(why));
    for _ in 0..=MOST_REDIRECTS {
        let host = client.host(&url.origin);
        let reply = send(client, question, &url, &host, reach(&home, &url.origin)?).await;
        let Reply { response, sender, sent_at } = match reply {
            Ok(reply) => reply,
            Err(kind) => {
                if matches!(kind, FetchErrorKind::Network(_)) {
                    permit.pushed_back();
                }
                return Err(kind);
            }
        };
        if !is_redirect(response.status()) {
            return Ok(Head { response, sender, host, permit, sent_at });
        }
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let next = location.ok_or(RedirectRefused::Unreadable).and_then(|location| url.follow(location));
        if response.body().is_end_stream() {
            host.give_back(sender);
        }
        url = next.map_err(refused)?;
        // Whoever waits for leave to ask holds no other: two that wait for each other's would wait for ever.
        drop(permit);
        permit = client.host(&url.origin).limiter.acquire().await;
    }
    Err(refused(RedirectRefused::TooMany))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a mirror at `home` may send us: not from a public place to this machine or its link.
fn reach(home: &Origin, next: &Origin) -> Result<Reach, FetchErrorKind> {
    if home.host == next.host || home.is_local() {
        Ok(Reach::Everywhere)
    } else if next.is_local() {
        Err(FetchErrorKind::Wrong(WrongAnswer::Redirect(RedirectRefused::Inwards)))
    } else {
        Ok(Reach::Outwards)
    }
}

async fn send(
    client: &Client,
    question: &Question<'_>,
    url: &Url,
    host: &Host,
    reach: Reach,
) -> Result<Reply, FetchErrorKind> {
    let mirror = &client.mirrors[question.mirror];
    let relay = client.connector.relay(&url.origin);
    let mut closed = 0;
    loop {
        let Loan { mut sender, is_used } = host.borrow(&client.connector, reach).await?;
        let request = request::build(question, mirror, url, relay, &sender);
        client.tally.request();
        let stall = client.config.stall;
        let sent_at = Instant::now();
        let failure = match timeout(stall, sender.send(request)).await {
            Ok(Ok(response)) => return Ok(Reply { response, sender, sent_at }),
            Ok(Err(error)) => broken(error),
            Err(_) => FetchErrorKind::Network(Trouble::Stalled(stall)),
        };
        host.forget_shared();
        // Servers close connections when they like; that it happened just now is nobody's failure.
        let was_closed = is_used && matches!(failure, FetchErrorKind::Network(Trouble::Broken(_)));
        if !was_closed || closed == MOST_CLOSED {
            return Err(failure);
        }
        closed += 1;
        client.tally.retry();
    }
}
