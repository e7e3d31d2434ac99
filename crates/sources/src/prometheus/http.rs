//! The direct way: HTTP with reqwest.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, Client, ClientBuilder, Url};

use super::mask::shown;
use super::settings::{Auth, Compression, PrometheusSettings};
use super::transport::{Answer, QueryRequest, Style, Transport, TransportError};
use crate::SourceError;

/// Time to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests straight to a server.
pub(crate) struct HttpTransport {
    client: Client,
    base: Url,
    auth: Auth,
}

impl HttpTransport {
    pub(crate) fn new(settings: &PrometheusSettings) -> Result<Self, SourceError> {
        crate::tls::install_provider();
        let (base, auth) = base_url(settings)?;
        let local = match base.host_str() {
            Some(host) => {
                host == "localhost"
                    || host
                        .trim_matches(['[', ']'])
                        .parse()
                        .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
            }
            None => false,
        };
        let gzip = match settings.compression {
            Compression::Auto => !local,
            Compression::On => true,
            Compression::Off => false,
        };
        let mut builder = Client::builder()
            .user_agent(concat!("healthcheck/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT.min(settings.timeout))
            .redirect(reqwest::redirect::Policy::none())
            .gzip(gzip)
            .default_headers(headers(settings)?)
            .tls_danger_accept_invalid_certs(settings.insecure_skip_verify);
        if local {
            builder = builder.no_proxy();
        }
        if let Some(path) = &settings.ca_file {
            builder =
                with_authorities(builder, path, "`--prometheus-ca`, or `ca-file` in the configuration")?;
        }
        let client = builder.build().map_err(|e| SourceError::Setting {
            what: "prometheus".into(),
            why: format!("the HTTP client cannot be made: {}", chain(&e)),
        })?;
        Ok(Self { client, base, auth })
    }
}

/// A client that also trusts the authorities of a file (PEM), which `key` names.
///
/// # Errors
/// It cannot be read, or holds no certificate.
pub(crate) fn with_authorities(
    builder: ClientBuilder,
    path: &Path,
    key: &str,
) -> Result<ClientBuilder, SourceError> {
    let refuse = |why: String| SourceError::File { path: path.display().to_string(), why };
    let pem = std::fs::read(path)
        .map_err(|e| refuse(format!("cannot be read: {e}; name the authority's file with {key}")))?;
    let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if certificates.is_empty() {
        return Err(refuse("holds no certificate; expected PEM, `-----BEGIN CERTIFICATE-----`".into()));
    }
    Ok(builder.tls_certs_merge(certificates))
}

/// The base address without credentials, and the credentials: those in the address count when no others are set.
fn base_url(settings: &PrometheusSettings) -> Result<(Url, Auth), SourceError> {
    let refuse = |why: String| SourceError::Setting { what: "prometheus url".into(), why };
    let shown = shown(&settings.url);
    if shown.is_empty() {
        return Err(refuse(
            "expected an address such as `http://prometheus.example:9090`, got an empty text".into(),
        ));
    }
    let mut url = Url::parse(&settings.url).map_err(|e| {
        if shown.contains("://") {
            return refuse(format!(
                "expected an address such as `http://prometheus.example:9090`, got `{shown}` ({e})"
            ));
        }
        refuse(format!(
            "expected an address with scheme such as `http://{}`, got `{shown}`",
            shown.trim_start_matches("//")
        ))
    })?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        // `localhost:9090` reads as a scheme and a path.
        let hint =
            if shown.contains("://") { String::new() } else { format!("; did you mean `http://{shown}`?") };
        return Err(refuse(format!(
            "expected an address such as `https://prometheus.example:9090`, got `{shown}`{hint}"
        )));
    }
    if url.query().is_some() || url.fragment().is_some() {
        // What stands there may be a token.
        let address = shown.split(['?', '#']).next().unwrap_or_default();
        return Err(refuse(format!(
            "expected an address without `?` and `#`, got `{address}` with more behind it"
        )));
    }
    let mut auth = settings.auth.clone();
    if !url.username().is_empty() || url.password().is_some() {
        if auth == Auth::None {
            let password = super::settings::Secret::new(url.password().unwrap_or_default());
            auth = Auth::Basic { username: url.username().to_owned(), password };
        }
        // Both fail only for addresses without host, which are refused above.
        let _ = url.set_username("");
        let _ = url.set_password(None);
    }
    let path = url.path().trim_end_matches('/').to_owned();
    let path = path.strip_suffix("/api/v1").unwrap_or(&path).to_owned();
    url.set_path(&path);
    Ok((url, auth))
}

/// The headers that the settings ask for, credentials among them.
pub(crate) fn all_headers(settings: &PrometheusSettings) -> Result<HeaderMap, SourceError> {
    let mut all = headers(settings)?;
    let credentials = match &settings.auth {
        Auth::None => return Ok(all),
        Auth::Basic { username, password } => {
            let pair = format!("{username}:{}", password.reveal());
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        }
        Auth::Bearer(token) => format!("Bearer {}", token.reveal()),
    };
    let mut value = HeaderValue::try_from(credentials).map_err(|_| SourceError::Setting {
        what: "prometheus credentials".into(),
        why: "they hold characters that a header cannot".into(),
    })?;
    value.set_sensitive(true);
    all.insert(AUTHORIZATION, value);
    Ok(all)
}

fn headers(settings: &PrometheusSettings) -> Result<HeaderMap, SourceError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let refuse =
            |why: &str| SourceError::Setting { what: format!("prometheus header `{name}`"), why: why.into() };
        let key =
            HeaderName::try_from(name.as_str()).map_err(|_| refuse("its name is no HTTP header name"))?;
        let mut value = HeaderValue::try_from(value.reveal())
            .map_err(|_| refuse("its value holds characters that a header cannot"))?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

/// An error of reqwest with its causes, without the URL.
pub(crate) fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&words);
        }
        source = cause.source();
    }
    if text.is_empty() { "the request failed".into() } else { text }
}

fn transport_error(error: &reqwest::Error) -> TransportError {
    let words = chain(error);
    let tls = words.to_ascii_lowercase().contains("certificate");
    let why = if tls {
        format!(
            "the TLS certificate is not trusted ({words}); name the authority's file with `--prometheus-ca FILE`"
        )
    } else if words.contains("InvalidContentType") {
        "the server does not speak TLS; give its address with `http://`".to_owned()
    } else if words.contains("Connection refused") {
        format!("{words}; check the address and the port, and whether the server runs")
    } else {
        words
    };
    TransportError { why, may_pass: !tls && !error.is_builder() }
}

#[async_trait]
impl Transport for HttpTransport {
    fn target(&self) -> String {
        shown(self.base.as_str().trim_end_matches('/'))
    }

    fn via(&self) -> String {
        "direct".into()
    }

    async fn send(&self, request: &QueryRequest) -> Result<Answer, TransportError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path().trim_end_matches('/'), request.path));
        let body: String =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(&request.params).finish();
        let builder = match request.style {
            Style::Form => self
                .client
                .post(url)
                .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(body),
            Style::Url => {
                url.set_query(Some(&body));
                self.client.post(url)
            }
            Style::Get => {
                url.set_query(Some(&body));
                self.client.get(url)
            }
        };
        let builder = match &self.auth {
            Auth::None => builder,
            Auth::Basic { username, password } => builder.basic_auth(username, Some(password.reveal())),
            Auth::Bearer(token) => builder.bearer_auth(token.reveal()),
        };
        let response = builder.send().await.map_err(|e| transport_error(&e.without_url()))?;
        let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
        Ok(Answer {
            status: response.status().as_u16(),
            retry_after: header(RETRY_AFTER).and_then(|v| v.parse().ok()).map(Duration::from_secs),
            location: header(LOCATION).map(shown),
            body: response.bytes_stream().map_err(|e| transport_error(&e.without_url())).boxed(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(url: &str) -> Result<String, String> {
        base_url(&PrometheusSettings::new(url)).map(|(u, _)| u.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn addresses() {
        assert_eq!(base("http://p:9090").unwrap(), "http://p:9090/");
        assert_eq!(base("https://gw/prom/").unwrap(), "https://gw/prom");
        assert_eq!(base("https://gw/prom/api/v1/").unwrap(), "https://gw/prom");
        assert_eq!(base("http://bob:secret@p:9090/").unwrap(), "http://p:9090/");
        for bad in ["prometheus:9090", "p.example", "ftp://p"] {
            let why = base(bad).unwrap_err();
            assert!(
                why.starts_with("prometheus url: expected an address")
                    && why.contains(&format!("got `{bad}`")),
                "{why}"
            );
        }
        let why = base("bob:secret@p:9090").unwrap_err();
        assert!(!why.contains("secret"), "{why}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut settings = PrometheusSettings::new("http://p");
        settings.auth = Auth::Bearer(super::super::settings::Secret::new("hunter2"));
        settings.headers.push(("X-Key".into(), super::super::settings::Secret::new("hunter2")));
        assert!(!format!("{settings:?}").contains("hunter2"));
        settings.headers.push(("X-Bad".into(), super::super::settings::Secret::new("hunter2\n")));
        let why = HttpTransport::new(&settings).err().unwrap().to_string();
        assert_eq!(why, "prometheus header `X-Bad`: its value holds characters that a header cannot");
    }
}
