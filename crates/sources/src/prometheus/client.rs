//! Sends queries: bounded in time, number and concurrency, and tried again only where that can help.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use healthcore::snapshot::GapCause;
use tokio::sync::Semaphore;

use super::decode::{DecodeError, Envelope, Splitter};
use super::mask::without_tokens;
use super::settings::Dialect;
use super::transport::{QueryRequest, Style, Transport};
use crate::Usage;

/// A server that has answered nothing for so long counts as gone. Longer than a restart or a full disk queue takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Longest query in an address, encoded, in bytes. Gateways commonly take 8 kB for the whole request line
/// (`large_client_header_buffers` of nginx); the rest is for the path and the other parameters.
const LONGEST_IN_URL: usize = 5_900;

/// Longest query in a form, in bytes: VictoriaMetrics takes 16 KiB (`-search.maxQueryLen`).
const LONGEST_IN_FORM: usize = 16_000;

/// Longest pause before a query is sent again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why a query has no whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueryError {
    pub(super) cause: GapCause,
    pub(super) detail: String,
    /// HTTP status, when there was one.
    pub(super) status: Option<u16>,
}

/// Takes lines for a log.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;

pub(super) struct Client {
    transport: Box<dyn Transport>,
    pub(super) dialect: Dialect,
    timeout: Duration,
    retries: u32,
    permits: Semaphore,
    requests: AtomicU64,
    samples: AtomicU64,
    bytes: AtomicU64,
    silence: Mutex<Silence>,
    /// Whether the server wants GET.
    get: std::sync::atomic::AtomicBool,
    log: Option<Log>,
}

impl Client {
    pub(super) fn new(
        transport: Box<dyn Transport>,
        dialect: Dialect,
        timeout: Duration,
        retries: u32,
        concurrency: usize,
    ) -> Self {
        Self {
            transport,
            dialect,
            timeout,
            retries,
            permits: Semaphore::new(concurrency.max(1)),
            requests: AtomicU64::new(0),
            samples: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            silence: Mutex::new(Silence::new(timeout)),
            get: std::sync::atomic::AtomicBool::new(false),
            log: None,
        }
    }

    pub(super) fn log_to(&mut self, log: Log) {
        self.log = Some(log);
    }

    pub(super) fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    pub(super) fn count_samples(&self, samples: u64) {
        self.samples.fetch_add(samples, Ordering::Relaxed);
    }

    pub(super) fn usage(&self) -> Usage {
        Usage {
            requests: self.requests.load(Ordering::Relaxed),
            samples: self.samples.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    fn style(&self) -> Style {
        match self.dialect {
            Dialect::Arms => Style::Url,
            Dialect::Prometheus if self.get.load(Ordering::Relaxed) => Style::Get,
            Dialect::Prometheus => Style::Form,
        }
    }

    /// Whether servers and the gateways before them take a query of that length, sent as this server wants it.
    pub(super) fn fits(&self, query: &str) -> bool {
        match self.style() {
            Style::Form => query.len() <= LONGEST_IN_FORM,
            Style::Url | Style::Get => encoded_len(query) <= LONGEST_IN_URL,
        }
    }

    /// Sends a query and hands each element of its result to `each` as it arrives. When the query is sent again,
    /// elements come again.
    pub(super) async fn query(
        &self,
        path: &'static str,
        params: Vec<(&'static str, String)>,
        each: &mut (dyn FnMut(&[u8]) -> Result<(), DecodeError> + Send),
    ) -> Result<Envelope, QueryError> {
        self.ask(path, params, each).await.map_err(|mut e| {
            // A server that finds nothing may quote the path, and so its token.
            e.detail = without_tokens(&e.detail).into_owned();
            e
        })
    }

    async fn ask(
        &self,
        path: &'static str,
        params: Vec<(&'static str, String)>,
        each: &mut (dyn FnMut(&[u8]) -> Result<(), DecodeError> + Send),
    ) -> Result<Envelope, QueryError> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let mut attempt = 0;
        let mut late = false;
        loop {
            let from = Instant::now();
            if !self.silence().may_ask(from) {
                let detail =
                    format!("not asked: the server has answered nothing for {:?}", self.silence().patience);
                return Err(QueryError { cause: GapCause::Timeout, detail, status: None });
            }
            let (error, pause) =
                match tokio::time::timeout(self.timeout, self.attempt(path, &params, each)).await {
                    Ok(Ok(envelope)) => {
                        self.silence().answered(Instant::now());
                        return Ok(envelope);
                    }
                    Ok(Err((error, retry))) => {
                        self.silence().answered(Instant::now());
                        (error, retry)
                    }
                    Err(_) => {
                        // A server that answers others meanwhile is well, and the query too much for it.
                        let stalled = self.silence().unanswered(from, Instant::now());
                        let again = (stalled && !late).then_some(Some(Duration::ZERO));
                        late = true;
                        let detail = format!(
                            "no whole answer in {:?}; raise `--timeout` or shorten the look-back",
                            self.timeout
                        );
                        (QueryError { cause: GapCause::Timeout, detail, status: None }, again)
                    }
                };
            let Some(pause) = pause.filter(|_| attempt < self.retries) else { return Err(error) };
            attempt += 1;
            tokio::time::sleep(pause.unwrap_or_else(|| backoff(attempt))).await;
        }
    }

    fn silence(&self) -> std::sync::MutexGuard<'_, Silence> {
        self.silence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One attempt. The second part of an error says whether to try again, and after which pause.
    async fn attempt(
        &self,
        path: &'static str,
        params: &[(&'static str, String)],
        each: &mut (dyn FnMut(&[u8]) -> Result<(), DecodeError> + Send),
    ) -> Result<Envelope, (QueryError, Option<Option<Duration>>)> {
        let style = self.style();
        let request = QueryRequest { path, params: params.to_vec(), style };
        self.requests.fetch_add(1, Ordering::Relaxed);
        if let Some(log) = &self.log {
            let params: serde_json::Map<String, serde_json::Value> =
                params.iter().map(|(k, v)| ((*k).to_owned(), v.as_str().into())).collect();
            log(&format!("prometheus request: {path} {}", serde_json::Value::Object(params)));
        }
        let mut answer = self.transport.send(&request).await.map_err(|e| {
            let error = QueryError { cause: GapCause::Unreachable, detail: e.why, status: None };
            (error, e.may_pass.then_some(None))
        })?;
        let status = answer.status;
        if style == Style::Form && matches!(status, 405 | 501) {
            // A proxy that lets only GET through.
            self.get.store(true, Ordering::Relaxed);
            let error = QueryError {
                cause: GapCause::Failed,
                detail: "the server refuses POST".into(),
                status: Some(status),
            };
            return Err((error, Some(Some(Duration::ZERO))));
        }
        if (300..400).contains(&status) {
            let to = answer.location.unwrap_or_else(|| "nowhere".into());
            let detail =
                format!("the server redirects (HTTP {status}) to `{to}`; give the address that answers");
            return Err((QueryError { cause: GapCause::Failed, detail, status: Some(status) }, None));
        }
        let mut splitter = Splitter::new();
        let mut undecodable = None;
        while let Some(chunk) = answer.body.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(e) => {
                    let detail = format!("the answer broke off: {}", e.why);
                    return Err((
                        QueryError { cause: GapCause::Partial, detail, status: Some(status) },
                        Some(None),
                    ));
                }
            };
            self.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            if let Err(e) = splitter.feed(&chunk, each) {
                undecodable = Some(e);
                break;
            }
        }
        let envelope = match undecodable {
            Some(e) => Err(e),
            None => splitter.finish(),
        };
        judge(status, answer.retry_after, envelope).map_err(|(e, pause)| (length_told(e, params), pause))
    }
}

/// Length of a text in a URL or a form, in bytes.
fn encoded_len(text: &str) -> usize {
    form_urlencoded::byte_serialize(text.as_bytes()).map(str::len).sum()
}

/// Says what to do when a query was too long for the server.
fn length_told(error: QueryError, params: &[(&'static str, String)]) -> QueryError {
    let lower = error.detail.to_lowercase();
    let by_words = ["too long query", "query too long", "query is too long", "query size in bytes exceeds"];
    if !matches!(error.status, Some(413 | 414 | 431)) && !by_words.iter().any(|w| lower.contains(w)) {
        return error;
    }
    let query = params.iter().find(|(name, _)| *name == "query").map_or("", |(_, query)| query);
    let detail = format!(
        "{}; the query of {} bytes ({} in a URL) is too long for the server or a gateway before it: choose fewer namespaces \
         (`-n`), or raise the bound there (nginx: large_client_header_buffers, client_max_body_size; \
         VictoriaMetrics: -search.maxQueryLen)",
        error.detail,
        query.len(),
        encoded_len(query)
    );
    QueryError { detail, ..error }
}

/// How long a server has left every query without an answer in time. Queries that are under way together and all stall
/// count as one: what matters is the time that has passed, not their number.
#[derive(Debug)]
struct Silence {
    /// Time for one query.
    timeout: Duration,
    /// After so long the server counts as gone.
    patience: Duration,
    /// When the first query was sent of those that had no answer, since the last that had one.
    since: Option<Instant>,
    /// When the server last answered.
    answered: Option<Instant>,
    /// From when on a server that counts as gone is tried once more.
    trial: Option<Instant>,
}

impl Silence {
    fn new(timeout: Duration) -> Self {
        // With a short limit four turns, with a long one at least two.
        let patience = (4 * timeout).min(PATIENCE).max(2 * timeout);
        Self { timeout, patience, since: None, answered: None, trial: None }
    }

    /// Whether a query may be sent: always, unless the server counts as gone; then one now and again.
    fn may_ask(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) < self.patience) {
            return true;
        }
        if self.trial.is_some_and(|trial| now < trial) {
            return false;
        }
        self.trial = Some(now + self.timeout);
        true
    }

    fn answered(&mut self, now: Instant) {
        self.since = None;
        self.trial = None;
        self.answered = Some(now);
    }

    /// A query sent at `from` had no answer in time; whether no other had one since either.
    fn unanswered(&mut self, from: Instant, now: Instant) -> bool {
        if self.answered.is_some_and(|answered| answered > from) {
            return false;
        }
        self.since.get_or_insert(from);
        self.trial = Some(now + self.timeout);
        true
    }
}

/// What a status and an envelope mean.
fn judge(
    status: u16,
    retry_after: Option<Duration>,
    envelope: Result<Envelope, DecodeError>,
) -> Result<Envelope, (QueryError, Option<Option<Duration>>)> {
    let said = match &envelope {
        Ok(e) if !e.error.is_empty() => format!(": {}", e.error),
        _ => String::new(),
    };
    let fail = |cause, detail: String| QueryError { cause, detail, status: Some(status) };
    match (status, envelope) {
        (200..=299, Ok(envelope)) if envelope.status == "success" => Ok(envelope),
        (200..=299, Ok(envelope)) => {
            let kind = if envelope.error_type.is_empty() { "error" } else { &envelope.error_type };
            let cause = if kind == "timeout" { GapCause::Timeout } else { GapCause::Failed };
            Err((fail(cause, format!("the server answers `{kind}`{said}")), None))
        }
        (200..=299, Err(DecodeError::CutOff)) => {
            Err((fail(GapCause::Partial, "the answer is cut off".into()), Some(None)))
        }
        (200..=299, Err(e)) => Err((fail(GapCause::Failed, e.to_string()), None)),
        (401, _) => Err((
            fail(GapCause::Unauthorized, format!("the server answers HTTP 401, not authorized{said}")),
            None,
        )),
        (403, _) => {
            Err((fail(GapCause::AccessDenied, format!("the server denies access (HTTP 403){said}")), None))
        }
        (429 | 500 | 502 | 503 | 504, _) => {
            let pause = retry_after.map(|p| p.min(LONGEST_PAUSE));
            let hint = match status {
                429 => "; it bounds how often it is asked: lower --concurrency, or raise its bound",
                500 => "",
                _ => "; it, or a proxy before it, is down or overloaded",
            };
            Err((
                fail(GapCause::Failed, format!("the server answers HTTP {status}{said}{hint}")),
                Some(pause),
            ))
        }
        (_, _) => Err((fail(GapCause::Failed, format!("the server answers HTTP {status}{said}")), None)),
    }
}

/// Pause before attempt `n`: 200 ms doubled each time, of which a random half is taken off, so that many clients do
/// not come back together.
fn backoff(attempt: u32) -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    let full = Duration::from_millis(200 * 2u64.pow(attempt.min(5))).min(LONGEST_PAUSE);
    // The keys of `RandomState` are random; this needs no more than that.
    let random = RandomState::new().hash_one(attempt) as f64 / u64::MAX as f64;
    full.mul_f64(1.0 - random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four queries at once every 30 s from `start`, and none answered.
    fn waves(silence: &mut Silence, start: Instant, count: u32) {
        for wave in 0..count {
            let from = start + wave * silence.timeout;
            assert!((0..4).all(|_| silence.may_ask(from)), "wave {wave}");
            for _ in 0..4 {
                assert!(silence.unanswered(from, from + silence.timeout));
            }
        }
    }

    #[test]
    fn a_stall_is_sat_out_and_a_server_that_is_gone_is_tried_now_and_again() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut silence = Silence::new(30 * second);
        waves(&mut silence, start, 3);
        silence.answered(start + 91 * second);
        waves(&mut silence, start + 91 * second, 4);
        let gone = start + 211 * second;
        assert!(!silence.may_ask(gone) && !silence.may_ask(gone + 29 * second));
        let trial = gone + 30 * second;
        assert!(silence.may_ask(trial) && !silence.may_ask(trial), "one alone");
        silence.unanswered(trial, trial + 30 * second);
        assert!(!silence.may_ask(trial + 30 * second) && silence.may_ask(trial + 60 * second));
        silence.answered(trial + 61 * second);
        assert!((0..9).all(|_| silence.may_ask(trial + 61 * second)));
    }

    #[test]
    fn a_query_that_is_too_slow_alone_is_no_silence() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut silence = Silence::new(30 * second);
        for turn in 0..9 {
            let from = start + turn * 30 * second;
            silence.answered(from + 10 * second);
            assert!(!silence.unanswered(from, from + 30 * second), "not sent again");
            assert!(silence.may_ask(from + 30 * second));
        }
        assert_eq!(Silence::new(300 * second).patience, 600 * second);
    }
}
