//! One request to a query API and its answer, whichever way it goes.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

/// Where the parameters of a request go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// POST with a form.
    Form,
    /// POST with the parameters in the URL (ARMS).
    Url,
    /// GET.
    Get,
}

/// A request to the query API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryRequest {
    /// Path below the base address: `/api/v1/query_range`.
    pub path: &'static str,
    /// Parameters.
    pub params: Vec<(&'static str, String)>,
    /// Where the parameters go.
    pub style: Style,
}

/// The beginning of an answer; the body follows as it arrives.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Value of `Retry-After` in seconds.
    pub retry_after: Option<Duration>,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// The body, decompressed.
    pub body: BoxStream<'static, Result<Bytes, TransportError>>,
}

/// Why a request has no whole answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct TransportError {
    /// What happened, without credentials.
    pub why: String,
    /// Whether the same request may succeed a moment later.
    pub may_pass: bool,
}

/// A way to a query API: directly, or through the Kubernetes API.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Where it leads, for messages; no credentials.
    fn target(&self) -> String;
    /// How it gets there, for the report: `direct`, `service-proxy shop/prometheus:9090`, ...
    fn via(&self) -> String;
    /// Sends one request.
    ///
    /// # Errors
    /// There is no answer.
    async fn send(&self, request: &QueryRequest) -> Result<Answer, TransportError>;
}
