use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::mask::shown;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps the text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
    /// The text, for the one who sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// How to show who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// User name and password; an AccessKey id and secret for ARMS.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: Secret,
    },
    /// A bearer token.
    Bearer(Secret),
}

/// Which rules the server follows beside those of Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Prometheus, Thanos, Mimir, VictoriaMetrics: parameters in a form.
    #[default]
    Prometheus,
    /// Alibaba Cloud ARMS: POST with the parameters in the URL, whole seconds only.
    Arms,
}

/// Whether answers are asked for in compressed form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Unless the server is on this machine: there gzip costs it more time than it saves.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// A server of the Prometheus query API, and how to talk to it.
#[derive(Clone, PartialEq, Eq)]
pub struct PrometheusSettings {
    /// Base address, with the path prefix if there is one, without `/api/v1`.
    pub url: String,
    /// Rules of the server.
    pub dialect: Dialect,
    /// Credentials.
    pub auth: Auth,
    /// Further headers, for instance `X-Scope-OrgID`; values are never shown.
    pub headers: Vec<(String, Secret)>,
    /// A file with certificates (PEM) of authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether any certificate is accepted.
    pub insecure_skip_verify: bool,
    /// Label matchers put into every selector, for instance `cluster="prod"`.
    pub matchers: Vec<String>,
    /// Time for one query.
    pub timeout: Duration,
    /// How often a query is sent again after a fault that may pass.
    pub retries: u32,
    /// Queries that are under way at once.
    pub concurrency: usize,
    /// Compression of answers.
    pub compression: Compression,
    /// Templates that replace those of the catalogue, by name of the metric.
    pub queries: BTreeMap<String, String>,
}

impl PrometheusSettings {
    /// The defaults for an address: 30 s a query, 2 retries, 4 queries at once.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            dialect: Dialect::default(),
            auth: Auth::default(),
            headers: Vec::new(),
            ca_file: None,
            insecure_skip_verify: false,
            matchers: Vec::new(),
            timeout: Duration::from_secs(30),
            retries: 2,
            concurrency: 4,
            compression: Compression::default(),
            queries: BTreeMap::new(),
        }
    }

    /// Whether a request carries credentials, by [`auth`](Self::auth) or by a header `Authorization`.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        self.auth != Auth::None
            || self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
    }
}

impl fmt::Debug for PrometheusSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrometheusSettings")
            .field("url", &shown(&self.url))
            .field("dialect", &self.dialect)
            .field("auth", &self.auth)
            .field("headers", &self.headers)
            .field("ca_file", &self.ca_file)
            .field("insecure_skip_verify", &self.insecure_skip_verify)
            .field("matchers", &self.matchers)
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .field("concurrency", &self.concurrency)
            .field("compression", &self.compression)
            .field("queries", &self.queries)
            .finish()
    }
}
