//! One request: permits, time limit, retries, counting, and what a refusal means.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use tokio::sync::Semaphore;

use super::wire;
use crate::Usage;

/// Largest answer that is taken. Unit: bytes. 500 pods are some 10 MB; of what is larger a list asks for smaller pages.
const LARGEST_ANSWER: usize = 64 << 20;

/// How often and how patiently a request that failed is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Times that a request is sent at most; at least 1.
    pub attempts: u32,
    /// Wait before the second attempt; it doubles with each attempt, and half of it is random.
    pub first_wait: Duration,
    /// Longest wait, also when the server asks for a longer one (`Retry-After`).
    pub longest_wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 4, first_wait: Duration::from_millis(250), longest_wait: Duration::from_secs(20) }
    }
}

impl Retry {
    fn wait(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let backoff = self.first_wait.saturating_mul(1 << attempt.min(16)).min(self.longest_wait);
        let jittered = backoff.mul_f64(0.5 + 0.5 * fastrand::f64());
        asked.map_or(jittered, |asked| asked.min(self.longest_wait).max(jittered))
    }
}

/// Why a request got no answer that can be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{0}")]
    Denied(String),
    #[error("the credentials were refused, with the words `{0}`")]
    Unauthorized(String),
    #[error("the continuation of the list has expired")]
    Gone {
        /// A continuation that still works, with what the list holds by now.
        next: Option<String>,
    },
    #[error("not found")]
    NotFound,
    #[error("the server answered {code}: {message}")]
    Status { code: u16, message: String },
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("{0}")]
    Unreachable(String),
    #[error("the answer cannot be read: {0}")]
    Broken(String),
    #[error("the answer is larger than 64 MiB")]
    TooLarge,
}

impl Refusal {
    fn passes(&self) -> bool {
        match self {
            Self::Status { code, .. } => matches!(code, 429 | 500 | 502 | 503 | 504),
            // A certificate that is not trusted now will not be in a moment.
            Self::Unreachable(why) => !why.contains("certificate"),
            Self::Timeout(_) | Self::Broken(_) => true,
            _ => false,
        }
    }
}

/// The API server, asked with bounded concurrency.
pub(super) struct ApiServer {
    client: Client,
    timeout: Duration,
    retry: Retry,
    permits: Semaphore,
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl ApiServer {
    pub(super) fn new(client: Client, timeout: Duration, retry: Retry, concurrency: usize) -> Self {
        Self {
            client,
            timeout,
            retry,
            permits: Semaphore::new(concurrency.max(1)),
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn usage(&self) -> Usage {
        Usage {
            requests: self.requests.load(Ordering::Relaxed),
            samples: 0,
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// The body of an answer to a GET; sent again while that can help.
    pub(super) async fn get(&self, path: &str, accept: &str) -> Result<Bytes, Refusal> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let mut attempt = 0;
        loop {
            let (refusal, asked) = match self.once(path, accept).await {
                Ok(body) => return Ok(body),
                Err(refused) => refused,
            };
            attempt += 1;
            if attempt >= self.retry.attempts || !refusal.passes() {
                return Err(refusal);
            }
            tokio::time::sleep(self.retry.wait(attempt - 1, asked)).await;
        }
    }

    /// An answer to a GET that may be too large to be held. Sent once: what is read so is not worth asking for again. How many
    /// are read at once is for the caller to bound.
    pub(super) async fn open(&self, path: &str) -> Result<Opened<'_>, Refusal> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let request = Request::builder().method(Method::GET).uri(path).body(Body::empty());
        let request = request.map_err(|e| Refusal::Broken(e.to_string()))?;
        let answer = async {
            let answer = self.client.send(request).await.map_err(|e| unreachable(&e))?;
            let (head, body) = answer.into_parts();
            if head.status.is_success() {
                return Ok(body);
            }
            Err(refusal(head.status, &self.collect(body).await?))
        };
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(body) => Ok(Opened { body: body?, server: self }),
            Err(_) => Err(Refusal::Timeout(self.timeout)),
        }
    }

    async fn once(&self, path: &str, accept: &str) -> Result<Bytes, (Refusal, Option<Duration>)> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let request = Request::builder()
            .method(Method::GET)
            .uri(path)
            .header(http::header::ACCEPT, accept)
            .body(Body::empty())
            .map_err(|e| (Refusal::Broken(e.to_string()), None))?;
        let answer = async {
            let answer = self.client.send(request).await.map_err(|e| (unreachable(&e), None))?;
            let (head, body) = answer.into_parts();
            let body = self.collect(body).await.map_err(|e| (e, None))?;
            if head.status.is_success() {
                return Ok(body);
            }
            let seconds = head.headers.get(http::header::RETRY_AFTER);
            let seconds = seconds.and_then(|v| v.to_str().ok()).and_then(|v| v.trim().parse().ok());
            Err((refusal(head.status, &body), seconds.map(Duration::from_secs)))
        };
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(result) => result,
            Err(_) => Err((Refusal::Timeout(self.timeout), None)),
        }
    }

    async fn collect(&self, mut body: Body) -> Result<Bytes, Refusal> {
        let mut all = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| Refusal::Broken(chain(&e)))?;
            if let Some(data) = frame.data_ref() {
                self.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
                if all.len() + data.len() > LARGEST_ANSWER {
                    return Err(Refusal::TooLarge);
                }
                all.extend_from_slice(data);
            }
        }
        Ok(all.freeze())
    }
}

/// An answer that is read while it arrives.
pub(super) struct Opened<'a> {
    body: Body,
    server: &'a ApiServer,
}

impl Opened<'_> {
    /// The next bytes; none after the last.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, Refusal>> {
        loop {
            let limit = self.server.timeout;
            let Ok(frame) = tokio::time::timeout(limit, self.body.frame()).await else {
                return Some(Err(Refusal::Timeout(limit)));
            };
            match frame?.map(|frame| frame.into_data()) {
                Ok(Ok(data)) => {
                    self.server.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
                    return Some(Ok(data));
                }
                // Trailers.
                Ok(Err(_)) => {}
                Err(e) => return Some(Err(Refusal::Broken(chain(&e)))),
            }
        }
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> Refusal {
    let said: Option<wire::Status> = serde_json::from_slice(body).ok();
    let next = said.as_ref().map(|s| s.metadata.next.clone()).filter(|n| !n.is_empty());
    let message = match said {
        Some(said) if !said.message.is_empty() => said.message,
        // A proxy between may answer with a page for people.
        _ => match String::from_utf8_lossy(body).trim().lines().next() {
            Some(line) if !line.is_empty() => line.chars().take(200).collect(),
            _ => status.canonical_reason().unwrap_or("no message").to_owned(),
        },
    };
    match status {
        StatusCode::UNAUTHORIZED => Refusal::Unauthorized(message),
        StatusCode::FORBIDDEN => Refusal::Denied(message),
        StatusCode::NOT_FOUND => Refusal::NotFound,
        StatusCode::GONE => Refusal::Gone { next },
        _ => Refusal::Status { code: status.as_u16(), message },
    }
}

fn unreachable(error: &kube::Error) -> Refusal {
    match error {
        kube::Error::Auth(e) => Refusal::Unauthorized(super::connect::auth_problem(e)),
        _ => Refusal::Unreachable(chain(error)),
    }
}

/// An error and what caused it, each once.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut out = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        // kube's own wrappers repeat their cause.
        let text = text.trim_start_matches("ServiceError: ").trim_start_matches("HyperError: ");
        if !out.contains(text) {
            if !out.is_empty() {
                out.push_str(": ");
            }
            out.push_str(text);
        }
        next = error.source();
    }
    out
}
