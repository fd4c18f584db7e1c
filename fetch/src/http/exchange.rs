//! One question to one mirror, and what the answer brings.

use std::time::{Instant, SystemTime};

use hyper::StatusCode;
use hyper::http::header::{ETAG, HeaderValue};

use super::belief::{self, Answer, Asked};
use super::body::Body;
use super::client::Client;
use super::follow::{Head, follow};
use super::request::Question;
use super::spool::{Slot, Whole};
use crate::{FetchErrorKind, Trouble, WrongAnswer};

/// Bytes of a refusal that are looked at.
const LONGEST_REASON: usize = 4 << 10;

/// What a mirror has brought.
#[derive(Debug, Default)]
pub(crate) struct Brought {
    /// The bytes from the first that was asked for.
    pub(crate) bytes: Vec<u8>,
    /// The object's length, if it was told.
    pub(crate) total: Option<u64>,
    /// What the server calls this state of the object.
    pub(crate) tag: Option<HeaderValue>,
    /// When the head of the answer came.
    pub(crate) head_at: Option<Instant>,
    /// Why there are not more bytes, if there should be.
    pub(crate) failure: Option<FetchErrorKind>,
}

/// What to do with an answer.
enum Use {
    /// Take so many bytes after so many others.
    Take { skip: u64, len: Option<u64> },
    /// Keep the whole object.
    Keep,
    /// Come back when whoever fetches the object is done.
    Wait,
}

/// Asks a mirror what `question` says. `on_sent` is called when the mirror has room for the question.
pub(crate) async fn ask(client: &Client, question: &Question<'_>, on_sent: impl Fn(Instant)) -> Brought {
    let mut brought = Brought::default();
    brought.failure = brought.ask(client, question, on_sent).await.err();
    brought
}

impl Brought {
    async fn ask(
        &mut self,
        client: &Client,
        question: &Question<'_>,
        on_sent: impl Fn(Instant),
    ) -> Result<(), FetchErrorKind> {
        let mirror = &client.mirrors[question.mirror];
        let located = mirror.locate(question.object, client.config.inherit_query);
        let url = located.ok_or(FetchErrorKind::Missing)?;
        let home = client.host(&url.origin);
        let mut slot = None;
        loop {
            let permit = home.limiter.acquire().await;
            // What others have learnt meanwhile spares a request.
            if let Some(whole) =
                client.spool.find(question.object).or_else(|| slot.as_ref().and_then(Slot::whole))
            {
                return self.take_from(&whole, question);
            }
            if slot.is_none() && home.ignores_ranges() {
                // Nobody waits for another while holding leave to ask.
                drop(permit);
                slot = Some(client.spool.slot(question.object).await);
                continue;
            }
            on_sent(Instant::now());
            let head = follow(client, question, url.clone(), permit).await?;
            let head_at = Instant::now();
            self.head_at = Some(head_at);
            let Head { response, sender, host, permit, sent_at } = head;
            client.meter.answered(head_at - sent_at);
            let (parts, incoming) = response.into_parts();
            let mut body = Body::new(client, incoming);
            let result = async {
                let asked = Asked {
                    start: question.start,
                    end: question.end,
                    may_end: question.may_end,
                    most_skipped: client.config.max_overfetch,
                };
                let answer = match belief::judge(asked, &parts, SystemTime::now()) {
                    Err(FetchErrorKind::Wrong(WrongAnswer::Status(400)))
                        if host.origin.is_secure
                            && belief::wants_certificate(&body.front(LONGEST_REASON).await) =>
                    {
                        Err(FetchErrorKind::Rejected("it answers with status 400".into()))
                    }
                    // The page of a portal is shorter than a pack, and not always called a page.
                    Err(FetchErrorKind::Short)
                        if parts.status == StatusCode::OK
                            && belief::starts_like_a_page(&body.front(LONGEST_REASON).await) =>
                    {
                        Err(FetchErrorKind::Portal)
                    }
                    judged => judged,
                }?;
                self.tag = parts.headers.get(ETAG).cloned();
                if matches!(answer, Answer::Part { .. }) {
                    home.set_ignores_ranges(false);
                }
                let planned = self.plan(client, question, answer)?;
                match planned {
                    Use::Take { skip, len } => self.take(&mut body, skip, len).await?,
                    Use::Keep => {
                        home.set_ignores_ranges(true);
                        slot = slot.or_else(|| client.spool.free_slot(question.object));
                        let Some(slot) = &mut slot else { return Ok(Use::Wait) };
                        let whole = keep(client, &mut body, self.total, slot).await?;
                        self.take_from(&whole, question)?;
                    }
                    Use::Wait => {}
                }
                Ok(planned)
            };
            let result = result.await;
            let took = sent_at.elapsed();
            if matches!(result, Ok(Use::Wait)) {
                drop((body, sender, permit));
                slot = Some(client.spool.slot(question.object).await);
                continue;
            }
            // The connection first, so that whoever is let in next finds it.
            let may_serve =
                !matches!(result, Err(FetchErrorKind::Network(Trouble::Broken(_) | Trouble::Stalled(_))));
            if may_serve && body.drain().await {
                host.give_back(sender);
            }
            match &result {
                Ok(_) => {
                    let received = u64::try_from(self.bytes.len()).expect("a buffer's length fits");
                    permit.completed(received, took);
                }
                Err(FetchErrorKind::Network(_)) => permit.pushed_back(),
                Err(_) => {}
            }
            return result.map(|_| ());
        }
    }

    /// What an answer is good for.
    fn plan(
        &mut self,
        client: &Client,
        question: &Question<'_>,
        answer: Answer,
    ) -> Result<Use, FetchErrorKind> {
        match answer {
            Answer::Nothing { total } => {
                self.total = Some(total);
                Ok(Use::Take { skip: 0, len: Some(0) })
            }
            Answer::Part { skip, len, total } => {
                self.total = total;
                Ok(Use::Take { skip, len: Some(len) })
            }
            Answer::Whole { total } => {
                self.total = total;
                let at_most = client.config.max_overfetch;
                let is_exact = total.is_some_and(|total| total <= question.end);
                let is_affordable = total.is_none_or(|total| total <= at_most);
                match total {
                    // Of an object that is too long its front can be had: what follows is not read.
                    Some(total) if question.start == 0 && (is_exact || !is_affordable) => {
                        Ok(Use::Take { skip: 0, len: Some(total.min(question.end)) })
                    }
                    _ if is_affordable => Ok(Use::Keep),
                    len => Err(FetchErrorKind::Wrong(WrongAnswer::NoRanges { len, at_most })),
                }
            }
        }
    }

    async fn take(&mut self, body: &mut Body<'_>, skip: u64, len: Option<u64>) -> Result<(), FetchErrorKind> {
        let bytes = &mut self.bytes;
        // Never more than was asked for; a buffer that grows would leave its smaller selves behind.
        bytes.reserve_exact(len.and_then(|len| usize::try_from(len).ok()).unwrap_or(0));
        body.read(skip, len, |more| {
            bytes.extend_from_slice(more);
            Ok(())
        })
        .await
    }

    fn take_from(&mut self, whole: &Whole, question: &Question<'_>) -> Result<(), FetchErrorKind> {
        if whole.len() < question.end && !question.may_end {
            return Err(FetchErrorKind::Short);
        }
        self.total = Some(whole.len());
        self.bytes = whole.read(question.start, question.end).map_err(FetchErrorKind::Io)?;
        Ok(())
    }
}

/// Reads a whole object of `total` bytes, if that is known, into its place.
async fn keep(
    client: &Client,
    body: &mut Body<'_>,
    total: Option<u64>,
    slot: &mut Slot,
) -> Result<Whole, FetchErrorKind> {
    let at_most = client.config.max_overfetch;
    let mut incomplete = client.spool.create().map_err(FetchErrorKind::Io)?;
    body.read(0, total, |bytes| {
        incomplete.append(bytes).map_err(FetchErrorKind::Io)?;
        if incomplete.len() > at_most {
            return Err(FetchErrorKind::Wrong(WrongAnswer::NoRanges { len: None, at_most }));
        }
        Ok(())
    })
    .await?;
    Ok(client.spool.keep(slot, incomplete))
}
