//! One request to Loki: time limit, retries, a bound on the answer, and what a refusal means.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use healthcore::snapshot::GapCause;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::page::{Page, PageError};
use crate::prometheus::{Answer, QueryRequest, Style, Transport, without_tokens};

/// Largest answer that is held. Unit: bytes.
const LARGEST_ANSWER: usize = 4 << 20;
/// Answers of all servers that are held at once.
const MOST_ANSWERS: usize = 4;
/// Of them those of one server: a slow one leaves places to others.
const MOST_OF_ONE: usize = 2;
/// How long an answer that is held may stand still.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);
/// Of an answer that is a refusal. Unit: bytes.
const LARGEST_REFUSAL: usize = 16 << 10;
/// Letters of a refusal that are told.
const LONGEST_TOLD: usize = 300;
/// Longest pause before a request is sent again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Places for the answers that are held at once, each with the lines that are read from it: what clones of this share is
/// memory. Who waits for the first word of a server has none. The default has four.
#[derive(Debug, Clone)]
pub struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self::of(MOST_ANSWERS)
    }
}

impl Places {
    fn of(number: usize) -> Self {
        Self(Arc::new(Semaphore::new(number)))
    }

    async fn take(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.0).acquire_owned().await.expect("the semaphore is never closed")
    }
}

/// Lines that are asked for, of which span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Span<'a> {
    pub(super) query: &'a str,
    /// Unix nanoseconds; lines of this instant are in it.
    pub(super) start: i64,
    /// Unix nanoseconds; lines of this instant are not.
    pub(super) end: i64,
    /// Lines at most.
    pub(super) limit: u32,
}

/// A page, with its place among the answers that are held.
pub(super) struct Held {
    pub(super) page: Page,
    /// Size of the answer. Unit: bytes.
    pub(super) bytes: usize,
    _places: [OwnedSemaphorePermit; 2],
}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Refusal {
    /// The time for all logs is over.
    Late,
    /// The answer, or its number of lines, is too large: fewer lines may do.
    TooLarge,
    /// It would be the same for every other question.
    Lasting(GapCause, String),
    /// It is about this question.
    Failed(GapCause, String),
}

pub(super) struct Server {
    transport: Box<dyn Transport>,
    timeout: Duration,
    retries: u32,
    /// Its own, and those that it shares with other servers.
    places: [Places; 2],
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Server {
    pub(super) fn new(
        transport: Box<dyn Transport>,
        timeout: Duration,
        retries: u32,
        shared: Places,
    ) -> Self {
        let places = [Places::of(MOST_OF_ONE), shared];
        Self { transport, timeout, retries, places, requests: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    pub(super) fn target(&self) -> String {
        self.transport.target()
    }

    /// Requests sent and bytes received so far.
    pub(super) fn usage(&self) -> (u64, u64) {
        (self.requests.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// The newest lines of a span.
    pub(super) async fn page(&self, span: Span<'_>, deadline: Instant) -> Result<Held, Refusal> {
        let mut attempt = 0;
        loop {
            let (refusal, pause) = match self.once(span, deadline).await {
                Ok(page) => return Ok(page),
                Err(refused) => refused,
            };
            attempt += 1;
            let Some(pause) = pause.filter(|_| attempt <= self.retries) else { return Err(refusal) };
            tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await;
        }
    }

    /// One attempt. The second part of an error is the pause before another, where one can help.
    async fn once(&self, span: Span<'_>, deadline: Instant) -> Result<Held, (Refusal, Option<Duration>)> {
        let request = QueryRequest {
            path: "/loki/api/v1/query_range",
            params: vec![
                ("query", span.query.to_owned()),
                ("start", span.start.to_string()),
                ("end", span.end.to_string()),
                ("limit", span.limit.to_string()),
                ("direction", "backward".to_owned()),
            ],
            style: Style::Get,
        };
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut clock = Clock { until: Instant::now() + self.timeout, deadline, time: self.timeout };
        let answer = clock.bound(self.transport.send(&request)).await?.map_err(|e| {
            (Refusal::Lasting(GapCause::Unreachable, e.why), e.may_pass.then_some(Duration::from_millis(200)))
        })?;
        let (status, retry_after) = (answer.status, answer.retry_after);
        if status != 200 {
            let said = clock.bound(self.body(answer, LARGEST_REFUSAL)).await?.unwrap_or_default();
            return Err(refusal(status, retry_after, &String::from_utf8_lossy(&said)));
        }
        let [own, shared] = &self.places;
        let places = clock.stopped(async { [own.take().await, shared.take().await] }).await?;
        let body = clock.bound(self.body(answer, LARGEST_ANSWER)).await??;
        let bytes = body.len();
        let page = tokio::task::spawn_blocking(move || Page::read(&body)).await;
        let page = page.expect("reading a page does not panic and is not cancelled");
        page.map(|page| Held { page, bytes, _places: places }).map_err(|why| {
            let text = why.to_string();
            let refusal = match why {
                PageError::NotLoki(_) => Refusal::Failed(GapCause::Failed, text),
                PageError::NoLines(_) => Refusal::Lasting(GapCause::Failed, text),
            };
            (refusal, None)
        })
    }

    async fn body(&self, mut answer: Answer, most: usize) -> Result<Vec<u8>, (Refusal, Option<Duration>)> {
        let mut body = Vec::new();
        loop {
            let Ok(next) = tokio::time::timeout(LONGEST_SILENCE, answer.body.next()).await else {
                let why = format!("the answer stood still for {LONGEST_SILENCE:?}");
                return Err((Refusal::Failed(GapCause::Timeout, why), Some(Duration::ZERO)));
            };
            let Some(chunk) = next else { return Ok(body) };
            let chunk = chunk.map_err(|e| {
                let why = format!("the answer broke off: {}", e.why);
                (Refusal::Failed(GapCause::Partial, why), Some(Duration::from_millis(200)))
            })?;
            self.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            if body.len() + chunk.len() > most {
                return Err((Refusal::TooLarge, None));
            }
            body.extend_from_slice(&chunk);
        }
    }
}

/// The time of one request.
struct Clock {
    until: Instant,
    /// End of the time for all logs.
    deadline: Instant,
    /// Time for one request.
    time: Duration,
}

impl Clock {
    /// What the server takes its time for.
    async fn bound<T>(&self, answer: impl Future<Output = T>) -> Result<T, (Refusal, Option<Duration>)> {
        timeout_at(self.until.min(self.deadline), answer).await.map_err(|_| {
            if self.until >= self.deadline {
                return (Refusal::Late, None);
            }
            let why = format!("no whole answer in {:?}; raise `loki.timeout`", self.time);
            (Refusal::Failed(GapCause::Timeout, why), Some(Duration::ZERO))
        })
    }

    /// What is no matter of the server, and not counted as its time.
    async fn stopped<T>(&mut self, wait: impl Future<Output = T>) -> Result<T, (Refusal, Option<Duration>)> {
        let begun = Instant::now();
        let done = timeout_at(self.deadline, wait).await.map_err(|_| (Refusal::Late, None))?;
        self.until += begun.elapsed();
        Ok(done)
    }
}

/// What a status and the words beside it mean.
fn refusal(status: u16, retry_after: Option<Duration>, said: &str) -> (Refusal, Option<Duration>) {
    // Loki refuses in plain text, gateways in pages for people.
    let words: String =
        said.lines().find(|l| !l.trim().is_empty()).unwrap_or("").trim().chars().take(LONGEST_TOLD).collect();
    let told = |what: String| {
        let text = if words.is_empty() { what } else { format!("{what}: {words}") };
        without_tokens(&text).into_owned()
    };
    let lasting = |cause, what: &str| (Refusal::Lasting(cause, told(what.to_owned())), None);
    let pause = retry_after.unwrap_or(Duration::from_millis(500)).min(LONGEST_PAUSE);
    match status {
        400 if words.contains("max entries limit") => (Refusal::TooLarge, None),
        401 => lasting(
            GapCause::Unauthorized,
            "the server refuses the credentials (HTTP 401); a Loki of several tenants wants the header X-Scope-OrgID",
        ),
        403 => lasting(GapCause::AccessDenied, "the server denies access (HTTP 403)"),
        404 => lasting(
            GapCause::Failed,
            "the server answers HTTP 404; give the address of Loki, without `/loki/api/v1`",
        ),
        300..=399 => lasting(
            GapCause::Failed,
            &format!("the server redirects (HTTP {status}); give the address that answers"),
        ),
        429 | 500 | 502..=504 => (
            Refusal::Failed(GapCause::Failed, told(format!("the server answers HTTP {status}"))),
            Some(pause),
        ),
        _ => (Refusal::Failed(GapCause::Failed, told(format!("the server answers HTTP {status}"))), None),
    }
}
