//! Sends queries: bounded in time, number and concurrency, and tried again only where that can help.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use healthcore::snapshot::GapCause;
use tokio::sync::Semaphore;

use super::decode::{DecodeError, Envelope, Splitter};
use super::mask::without_tokens;
use super::settings::Dialect;
use super::transport::{QueryRequest, Style, Transport};
use crate::Usage;

/// After so many queries in a row without an answer in time the server counts as gone.
const GIVE_UP_AFTER: u32 = 4;

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
    /// Queries in a row that had no answer in time.
    silent: AtomicU32,
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
            silent: AtomicU32::new(0),
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
        loop {
            if self.silent.load(Ordering::Relaxed) >= GIVE_UP_AFTER {
                return Err(QueryError {
                    cause: GapCause::Timeout,
                    detail: format!(
                        "not asked: the server left {GIVE_UP_AFTER} queries in a row without an answer in {:?}",
                        self.timeout
                    ),
                    status: None,
                });
            }
            let (error, pause) =
                match tokio::time::timeout(self.timeout, self.attempt(path, &params, each)).await {
                    Ok(Ok(envelope)) => {
                        self.silent.store(0, Ordering::Relaxed);
                        return Ok(envelope);
                    }
                    Ok(Err((error, retry))) => {
                        self.silent.store(0, Ordering::Relaxed);
                        (error, retry)
                    }
                    Err(_) => {
                        self.silent.fetch_add(1, Ordering::Relaxed);
                        let detail = format!(
                            "no whole answer in {:?}; raise `--timeout` or shorten the look-back",
                            self.timeout
                        );
                        (QueryError { cause: GapCause::Timeout, detail, status: None }, None)
                    }
                };
            let Some(pause) = pause.filter(|_| attempt < self.retries) else { return Err(error) };
            attempt += 1;
            tokio::time::sleep(pause.unwrap_or_else(|| backoff(attempt))).await;
        }
    }

    /// One attempt. The second part of an error says whether to try again, and after which pause.
    async fn attempt(
        &self,
        path: &'static str,
        params: &[(&'static str, String)],
        each: &mut (dyn FnMut(&[u8]) -> Result<(), DecodeError> + Send),
    ) -> Result<Envelope, (QueryError, Option<Option<Duration>>)> {
        let style = match self.dialect {
            Dialect::Arms => Style::Url,
            Dialect::Prometheus if self.get.load(Ordering::Relaxed) => Style::Get,
            Dialect::Prometheus => Style::Form,
        };
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
        judge(status, answer.retry_after, envelope)
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
            fail(GapCause::Unauthorized, format!("the server refuses the credentials (HTTP 401){said}")),
            None,
        )),
        (403, _) => {
            Err((fail(GapCause::AccessDenied, format!("the server denies access (HTTP 403){said}")), None))
        }
        (429 | 500 | 502 | 503 | 504, _) => {
            let pause = retry_after.map(|p| p.min(LONGEST_PAUSE));
            Err((fail(GapCause::Failed, format!("the server answers HTTP {status}{said}")), Some(pause)))
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
