//! Requests to the places where reports go: bounded in time, size and repetitions, and silent about secrets.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use healthcore_sources::prometheus::Secret;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Method, StatusCode, Url};

use super::DeliverError;
use crate::redact;

/// Times that a request is sent at most.
const ATTEMPTS: u32 = 4;
/// Longest pause that another side may ask for.
pub(super) const MOST_WAIT: Duration = Duration::from_secs(60);
/// Longest answer that is read, in bytes.
const LARGEST: usize = 64 << 10;
/// Longest part of an answer that an error repeats.
const LONGEST_SAID: usize = 200;

/// Waits; tests count instead.
pub(crate) type Wait = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// How requests are made, whatever they bring.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Time for one request.
    pub timeout: Duration,
    /// A file with certificates (PEM) of authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Further headers, credentials among them.
    pub headers: Vec<(String, Secret)>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30), ca_file: None, headers: Vec::new() }
    }
}

/// Whether a request that may have been taken is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// The other side knows it by its key, or the second one replaces the first.
    Safe,
    /// It would stand there twice.
    Doubles,
}

pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) repeat: Repeat,
}

impl Call {
    pub(crate) fn post(url: Url, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Self { method: Method::POST, url, headers, body: body.into(), repeat: Repeat::Doubles }
    }

    pub(crate) fn json(url: Url, body: &serde_json::Value) -> Self {
        Self::post(url, "application/json; charset=utf-8", body.to_string())
    }

    /// Adds a header whose value is not shown.
    pub(crate) fn secret(mut self, name: HeaderName, value: &str) -> Result<Self, DeliverError> {
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| DeliverError::Setting(format!("the header `{name}` holds what a header cannot")))?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(self)
    }

    pub(crate) fn repeatable(self) -> Self {
        Self { repeat: Repeat::Safe, ..self }
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
    pub(super) retry_after: Option<Duration>,
}

pub(crate) struct Http {
    client: Client,
    pub(crate) wait: Wait,
    /// What no message may hold.
    secrets: Vec<Secret>,
}

impl Http {
    pub(crate) fn new(
        settings: &HttpSettings,
        url: &Url,
        secrets: Vec<Secret>,
    ) -> Result<Self, DeliverError> {
        healthcore_sources::tls::install_provider();
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let wrong = |why| DeliverError::Setting(format!("the header `{name}` {why}"));
            let key = HeaderName::try_from(name.as_str()).map_err(|_| wrong("has no name of a header"))?;
            let mut value =
                HeaderValue::try_from(value.reveal()).map_err(|_| wrong("holds what a header cannot"))?;
            value.set_sensitive(true);
            headers.append(key, value);
        }
        let mut builder = Client::builder()
            .user_agent(concat!("healthcheck/", env!("CARGO_PKG_VERSION")))
            .timeout(settings.timeout)
            .connect_timeout(settings.timeout.min(Duration::from_secs(10)))
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(headers);
        if is_local(url) {
            builder = builder.no_proxy();
        }
        if let Some(path) = &settings.ca_file {
            let wrong = |why: String| DeliverError::File { path: path.display().to_string(), why };
            let pem = std::fs::read(path)
                .map_err(|e| DeliverError::Setting(format!("{}: cannot be read: {e}", path.display())))?;
            let found = Certificate::from_pem_bundle(&pem).unwrap_or_default();
            if found.is_empty() {
                return Err(wrong("holds no certificate; expected PEM".into()));
            }
            builder = builder.tls_certs_merge(found);
        }
        let client = builder
            .build()
            .map_err(|e| DeliverError::Setting(format!("the HTTP client cannot be made: {}", chain(&e))))?;
        let mut all = secrets;
        all.extend(settings.headers.iter().map(|(_, value)| value.clone()));
        let wait: Wait = Arc::new(|time| Box::pin(tokio::time::sleep(time)));
        Ok(Self { client, wait, secrets: all })
    }

    /// Sends a request, again after faults that pass: no connection, and 429 with the pause that it asks for. After no
    /// answer or 5xx it may have been taken, also by a server behind a proxy that lost its answer; it is sent again only
    /// when that does no harm.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, DeliverError> {
        let mut pause = Duration::from_secs(1);
        for attempt in 1..=ATTEMPTS {
            let last = attempt == ATTEMPTS;
            match self.once(call).await {
                Ok(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS => {
                    let asked = answer.retry_after.unwrap_or(pause);
                    if asked > MOST_WAIT {
                        return Err(DeliverError::Busy(asked.as_secs()));
                    }
                    if last {
                        return Err(DeliverError::StillBusy(ATTEMPTS));
                    }
                    (self.wait)(asked).await;
                    continue;
                }
                Ok(answer) if answer.status.is_server_error() => {
                    if call.repeat == Repeat::Doubles {
                        return Err(self.unclear(&answer));
                    }
                    if last {
                        return Ok(answer);
                    }
                }
                Ok(answer) => return Ok(answer),
                Err(e) => {
                    let why = self.masked(&told(&e));
                    if e.is_builder() {
                        return Err(DeliverError::Setting(why));
                    }
                    if !e.is_connect() && call.repeat == Repeat::Doubles {
                        return Err(DeliverError::Unclear(why));
                    }
                    if last || why.to_ascii_lowercase().contains("certificate") {
                        return Err(DeliverError::Unreachable(why));
                    }
                }
            }
            (self.wait)(pause).await;
            pause *= 2;
        }
        Err(DeliverError::Unreachable("no answer".into()))
    }

    async fn once(&self, call: &Call) -> Result<Answer, reqwest::Error> {
        let request = self.client.request(call.method.clone(), call.url.clone());
        let mut answer = request.headers(call.headers.clone()).body(call.body.clone()).send().await?;
        let retry_after =
            answer.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.trim().parse().ok());
        let mut body = Vec::new();
        while body.len() < LARGEST
            && let Some(chunk) = answer.chunk().await?
        {
            body.extend_from_slice(&chunk);
        }
        body.truncate(LARGEST);
        Ok(Answer {
            status: answer.status(),
            body: String::from_utf8_lossy(&body).into_owned(),
            retry_after: retry_after.map(Duration::from_secs),
        })
    }

    /// What the other side said, for an error: short, in one line, without secrets.
    pub(crate) fn said(&self, body: &str) -> String {
        let line: Vec<&str> = body.split_whitespace().collect();
        let line = self.masked(&line.join(" "));
        let short: String = line.chars().filter(|c| !c.is_control()).take(LONGEST_SAID).collect();
        if short.is_empty() { "no words".to_owned() } else { format!("`{short}`") }
    }

    /// An answer to what may have been taken all the same.
    fn unclear(&self, answer: &Answer) -> DeliverError {
        DeliverError::Unclear(format!("answered {}: {}", answer.status.as_u16(), self.said(&answer.body)))
    }

    /// An answer that is no success, as an error.
    pub(crate) fn refused(&self, answer: &Answer) -> DeliverError {
        let hint = match answer.status.as_u16() {
            300..=399 => "; give the address that it leads to",
            401 | 403 => "; check the credentials",
            404 => "; check the address",
            413 => "; the report is too large for it",
            _ => "",
        };
        DeliverError::Refused(format!(
            "answered {}: {}{hint}",
            answer.status.as_u16(),
            self.said(&answer.body)
        ))
    }

    fn masked(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in self.secrets.iter().map(Secret::reveal).filter(|s| s.len() > 3) {
            out = out.replace(secret, "[redacted]");
        }
        redact::text(&out).into_owned()
    }
}

/// An error with its causes, without the address.
fn told(error: &reqwest::Error) -> String {
    if error.is_timeout() { "no answer in time".to_owned() } else { chain(error) }
}

fn chain(error: &reqwest::Error) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let words = cause.to_string();
        if causes.last() != Some(&words) {
            causes.push(words);
        }
        source = cause.source();
    }
    if causes.is_empty() { "the request failed".to_owned() } else { causes.join(": ") }
}

/// Whether an address is of this machine, to which no proxy leads.
pub(crate) fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// An address of the kind `https://HOST/...`; plain HTTP only where `plain` allows it, and to this machine. `text` may be
/// a secret, so no error repeats it.
pub(crate) fn address(text: &str, plain: bool) -> Result<Url, String> {
    let url = Url::parse(text.trim()).map_err(|e| {
        format!("expected an address such as `https://host/path`; what is given is none ({e})")
    })?;
    match url.scheme() {
        _ if url.host_str().is_none() => Err("expected an address with a host".to_owned()),
        "https" => Ok(url),
        "http" if plain || is_local(&url) => Ok(url),
        "http" => Err("expected an address with `https://`, for it holds a secret; got `http://`".to_owned()),
        other => Err(format!("expected an address with `https://`, got `{other}://`")),
    }
}
