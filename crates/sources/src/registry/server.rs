//! One registry: requests, credentials, bounds, and what a refusal means.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use healthcore::finding::Value;
use healthcore::image::{DOCKER_HUB, ImageReference};
use healthcore::phrase::phrase;
use healthcore::snapshot::GapCause;
use healthcore::unit::{Bytes, Seconds};
use http_auth::ChallengeParser;
use reqwest::header::{ACCEPT, WWW_AUTHENTICATE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::limit::Limit;
use super::manifest::{self, Manifest};
use super::run::Known;
use super::{ImagePlatforms, ReadImages, RegistrySettings, RegistryTrouble};
use crate::SourceError;
use crate::prometheus::{Auth, Secret, chain, with_authorities};

/// Largest manifest that is read: what registries take at most. Unit: bytes.
const LARGEST_MANIFEST: usize = 4 << 20;
/// Largest configuration of an image that is read. Unit: bytes.
const LARGEST_CONFIG: usize = 4 << 20;
/// Largest token that is read. Unit: bytes.
const LARGEST_TOKEN: usize = 256 << 10;
/// Of an answer that is a refusal. Unit: bytes.
const LARGEST_REFUSAL: usize = 16 << 10;
/// Letters of a refusal that are told.
const LONGEST_TOLD: usize = 200;
/// Longest time to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Addresses that an answer may send on to: blobs mostly lie elsewhere.
const MOST_REDIRECTS: usize = 5;
/// Pause before a request that failed is sent again; half of it is random.
const PAUSE: Duration = Duration::from_millis(300);

/// How an answer tells the digest of a manifest.
const DIGEST: &str = "docker-content-digest";

/// The address behind the name `docker.io`.
const DOCKER_HUB_API: &str = "registry-1.docker.io";

pub(super) struct Registry {
    base: String,
    /// Or why there is none.
    client: Result<Client, RegistryTrouble>,
    settings: RegistrySettings,
    read: Arc<ReadImages>,
    /// What the registry wants to see, by repository, once it has said so.
    shown: Mutex<BTreeMap<String, Shown>>,
}

/// What shows who asks.
#[derive(Clone)]
enum Shown {
    Basic { username: String, password: Secret },
    Bearer(Secret),
}

impl Shown {
    fn put(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Basic { username, password } => request.basic_auth(username, Some(password.reveal())),
            Self::Bearer(token) => request.bearer_auth(token.reveal()),
        }
    }
}

/// What is asked for.
struct Question<'a> {
    method: Method,
    url: &'a str,
    accept: &'a str,
}

type Told<T> = Result<T, RegistryTrouble>;

/// One image is in trouble.
fn single(cause: GapCause, said: impl Into<Value>) -> RegistryTrouble {
    RegistryTrouble { cause, said: said.into(), lasting: false }
}

/// The registry is in trouble.
fn lasting(cause: GapCause, said: impl Into<Value>) -> RegistryTrouble {
    RegistryTrouble { cause, said: said.into(), lasting: true }
}

impl Registry {
    /// # Errors
    /// A setting cannot be used.
    pub(super) fn new(settings: &RegistrySettings, read: Arc<ReadImages>) -> Result<Self, SourceError> {
        let host = if settings.host == DOCKER_HUB { DOCKER_HUB_API } else { &settings.host };
        let base = format!("{}://{host}", if settings.plain_http { "http" } else { "https" });
        let refuse =
            |why: String| SourceError::Setting { what: format!("registry `{}`", settings.host), why };
        let url = Url::parse(&base).map_err(|_| refuse("expected `HOST` or `HOST:PORT`".to_owned()))?;
        let local = url.host_str().is_some_and(|host| {
            let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
            host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
        });
        let mut builder = Client::builder()
            .user_agent(concat!("healthcheck/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT.min(settings.timeout))
            .timeout(settings.timeout)
            // Neither a redirect nor a token leads to where everybody can read.
            .https_only(!settings.plain_http)
            .redirect(reqwest::redirect::Policy::limited(MOST_REDIRECTS));
        if local {
            builder = builder.no_proxy();
        }
        let client = match &settings.ca_file {
            Some(path) => with_authorities(builder, path, "`ca-file` of the registry in the configuration"),
            None => Ok(builder),
        };
        let client = match client {
            Ok(builder) => Ok(builder
                .build()
                .map_err(|e| refuse(format!("the HTTP client cannot be made: {}", chain(&e))))?),
            Err(why) => Err(lasting(GapCause::Failed, why.said())),
        };
        Ok(Self { base, client, settings: settings.clone(), read, shown: Mutex::default() })
    }

    /// Most manifests that are read of it in a run.
    pub(super) const fn most(&self) -> Option<usize> {
        self.settings.most
    }

    /// The platforms of an image of this registry; unknown where its manifest is left for others to read.
    ///
    /// # Errors
    /// Why they are not known.
    pub(super) async fn platforms(&self, image: &ImageReference<'_>, known: &Known) -> Told<ImagePlatforms> {
        let repository = image.repository();
        let reference = image.digest.or(image.tag).unwrap_or("latest");
        if !is_repository(&repository) || !(is_tag(reference) || manifest::is_digest(reference)) {
            return Err(single(GapCause::InvalidObject, phrase("registry-no-reference")));
        }
        let platforms = match self.without_reading(&repository, reference, known).await? {
            Some(platforms) => platforms,
            None => match self.spared(known) {
                Some(why) => return Ok(ImagePlatforms::unknown(why)),
                None => self.read(&repository, reference, known).await?,
            },
        };
        Ok(ImagePlatforms { platforms, trouble: None })
    }

    /// The platforms of an image that was read before. Where manifests are counted, a tag is asked for its digest first, which
    /// Docker Hub does not count; so is the first image of a run, to hear how many may still be read.
    async fn without_reading(
        &self,
        repository: &str,
        reference: &str,
        known: &Known,
    ) -> Told<Option<Vec<String>>> {
        let name = format!("{}/{repository}", self.settings.host);
        if let Some(platforms) = self.read.of(&name, reference) {
            return Ok(Some(platforms));
        }
        let limit = known.limit();
        let is_counted = self.settings.most.is_some() || limit.is_some();
        let is_first = limit.is_none() && !known.has_read();
        if !is_counted || !(is_first || self.read.has(&name)) {
            return Ok(None);
        }
        let path = format!("/v2/{repository}/manifests/{reference}");
        let answer = self.answer(Method::HEAD, &path, manifest::ACCEPT, repository, known).await?;
        if matches!(answer.status(), StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED) {
            return Ok(None);
        }
        let digest = digest(&answer);
        self.body(answer, LARGEST_MANIFEST).await?;
        Ok(digest.and_then(|digest| self.read.of(&name, &digest)))
    }

    /// Why a manifest is not read, though the registry would answer: nodes pull by the same limit, and what is used up of it
    /// keeps their pods from starting.
    fn spared(&self, known: &Known) -> Option<RegistryTrouble> {
        if let Some(limit) = known.limit().filter(|limit| limit.is_half_used()) {
            let half = match self.settings.auth {
                Auth::None => phrase("registry-half"),
                _ => phrase("registry-half-of-account"),
            };
            let said = half
                .with("left", limit.left)
                .with("all", limit.all)
                .with("time", Seconds(f64::from(limit.window)));
            return Some(lasting(GapCause::Thinned, said));
        }
        let most = self.settings.most;
        let said = || phrase("registry-most").with("most", most.unwrap_or_default());
        (!known.counts_read(most)).then(|| lasting(GapCause::Thinned, said()))
    }

    /// Reads the manifest of an image, and its configuration where it is a single one.
    async fn read(&self, repository: &str, reference: &str, known: &Known) -> Told<Vec<String>> {
        let broken = |e: serde_json::Error| {
            single(GapCause::Failed, phrase("refused-broken").with("why", e.to_string()))
        };
        let path = format!("/v2/{repository}/manifests/{reference}");
        let answer = self.answer(Method::GET, &path, manifest::ACCEPT, repository, known).await?;
        let digest =
            if manifest::is_digest(reference) { Some(reference.to_owned()) } else { digest(&answer) };
        let body = self.body(answer, LARGEST_MANIFEST).await?;
        let platforms = match manifest::read(&body).map_err(broken)? {
            Manifest::Platforms(platforms) => platforms,
            Manifest::Other => Vec::new(),
            Manifest::Image(config) => {
                let path = format!("/v2/{repository}/blobs/{config}");
                let answer = self.answer(Method::GET, &path, "*/*", repository, known).await?;
                let body = self.body(answer, LARGEST_CONFIG).await?;
                manifest::platform_of_config(&body).map_err(broken)?
            }
        };
        if let Some(digest) = digest {
            self.read.keep(&format!("{}/{repository}", self.settings.host), &digest, &platforms);
        }
        Ok(platforms)
    }

    /// The answer about a path, and what it tells of the reads that are left.
    async fn answer(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        repository: &str,
        known: &Known,
    ) -> Told<Response> {
        let url = format!("{}{path}", self.base);
        let answer = self.admitted(&Question { method, url: &url, accept }, repository, known).await?;
        if let Some(limit) = Limit::of(answer.headers()) {
            known.hear(limit);
        }
        Ok(answer)
    }

    /// An answer; credentials are shown as the registry wants them.
    async fn admitted(&self, question: &Question<'_>, repository: &str, known: &Known) -> Told<Response> {
        let shown = match &self.settings.auth {
            Auth::Bearer(token) => Some(Shown::Bearer(token.clone())),
            _ => self.shown.lock().await.get(repository).cloned(),
        };
        let answer = self.send(question, shown.as_ref()).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        if matches!(self.settings.auth, Auth::Bearer(_)) {
            return Err(self.unauthorized());
        }
        let challenges = challenges(&answer);
        let mut accepted = Some(known.accepted.lock().await);
        known.goes_on()?;
        if accepted.as_deref() == Some(&true) {
            accepted = None;
        }
        let answer = self.introduce(question, repository, &challenges).await;
        match (&answer, accepted) {
            (Ok(_), Some(mut accepted)) => *accepted = true,
            (Err(trouble), _) => known.stop(trouble),
            (Ok(_), None) => {}
        }
        answer
    }

    /// Sends a request with what its challenges want to see.
    async fn introduce(
        &self,
        question: &Question<'_>,
        repository: &str,
        challenges: &[String],
    ) -> Told<Response> {
        let shown = self.authorize(challenges, repository).await?;
        let answer = self.send(question, Some(&shown)).await?;
        match (answer.status(), &shown) {
            (StatusCode::UNAUTHORIZED, Shown::Basic { .. }) => Err(self.unauthorized()),
            // A registry tells nobody whether there is what he may not see.
            (StatusCode::UNAUTHORIZED, Shown::Bearer(_)) => Err(self.denied()),
            _ => {
                self.shown.lock().await.insert(repository.to_owned(), shown);
                Ok(answer)
            }
        }
    }

    /// Sends a request; once more where a fault may pass.
    async fn send(&self, question: &Question<'_>, shown: Option<&Shown>) -> Told<Response> {
        let client = self.client.as_ref().map_err(Clone::clone)?;
        let once = || {
            let request =
                client.request(question.method.clone(), question.url).header(ACCEPT, question.accept);
            match shown {
                Some(shown) => shown.put(request),
                None => request,
            }
            .send()
        };
        let passes = |answer: &Result<Response, reqwest::Error>| match answer {
            Ok(answer) => answer.status().is_server_error(),
            Err(e) => e.is_connect() && !is_about_trust(e),
        };
        let mut answer = once().await;
        if passes(&answer) {
            tokio::time::sleep(PAUSE.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
            answer = once().await;
        }
        answer.map_err(|e| self.unreachable(e))
    }

    fn unreachable(&self, error: reqwest::Error) -> RegistryTrouble {
        if error.is_timeout() {
            let time = format!("{:?}", self.settings.timeout);
            return lasting(GapCause::Timeout, phrase("refused-timeout").with("time", time));
        }
        let trust = is_about_trust(&error);
        let why = chain(&error.without_url());
        let why = match trust {
            true => format!("{why}; name the authority's file with `ca-file` of the registry"),
            false if why.contains("InvalidContentType") => {
                format!("{why}; without TLS it needs `plain-http: true`")
            }
            false => why,
        };
        lasting(GapCause::Unreachable, why)
    }

    /// What the registry wants to see, by its challenges (RFC 7235), or by what is given for it where they say.
    async fn authorize(&self, challenges: &[String], repository: &str) -> Told<Shown> {
        let all: Vec<_> =
            challenges.iter().flat_map(|text| ChallengeParser::new(text)).filter_map(Result::ok).collect();
        let by = |scheme: &str| all.iter().find(|c| c.scheme.eq_ignore_ascii_case(scheme));
        let credentials = match &self.settings.auth {
            Auth::Basic { username, password } => {
                Some(Shown::Basic { username: username.clone(), password: password.clone() })
            }
            _ => None,
        };
        if let Some(challenge) = by("bearer") {
            let value = |name: &str| {
                let of_name = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                of_name.map(|(_, value)| value.to_unescaped())
            };
            let scope = value("scope").unwrap_or_else(|| format!("repository:{repository}:pull"));
            let realm = value("realm").unwrap_or_default();
            return self.token(&realm, value("service").as_deref(), &scope, credentials.as_ref()).await;
        }
        match (by("basic"), credentials) {
            (Some(_), Some(credentials)) => Ok(credentials),
            (Some(_), None) => Err(lasting(GapCause::Unauthorized, phrase("registry-wants-credentials"))),
            (None, _) => {
                let said: String = challenges.join(", ").chars().take(LONGEST_TOLD).collect();
                Err(lasting(GapCause::Failed, phrase("registry-challenge").with("said", said)))
            }
        }
    }

    /// A token for a repository, from where the registry says.
    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: &str,
        credentials: Option<&Shown>,
    ) -> Told<Shown> {
        let told = |said: &str| {
            let said: String = said.chars().take(LONGEST_TOLD).collect();
            lasting(GapCause::Failed, phrase("registry-challenge").with("said", said))
        };
        let mut url = Url::parse(realm).map_err(|_| told(realm))?;
        if !self.settings.plain_http && url.scheme() != "https" {
            let realm = url.origin().ascii_serialization();
            return Err(lasting(GapCause::Failed, phrase("registry-open-realm").with("realm", realm)));
        }
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", service);
        }
        url.query_pairs_mut().append_pair("scope", scope);
        let question = Question { method: Method::GET, url: url.as_str(), accept: "application/json" };
        let answer = self.send(&question, credentials).await?;
        if matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(self.unauthorized());
        }
        let body = self.body(answer, LARGEST_TOKEN).await?;
        let token: Token = serde_json::from_slice(&body).map_err(|_| told("a token that is no JSON"))?;
        let token = [token.token, token.access_token].into_iter().flatten().find(|t| !t.is_empty());
        token.map(|token| Shown::Bearer(Secret::new(token))).ok_or_else(|| told("no token"))
    }

    #[cfg(test)]
    pub(super) async fn token_of(&self, realm: &str) -> Told<()> {
        self.token(realm, None, "repository:a:pull", None).await.map(drop)
    }

    fn unauthorized(&self) -> RegistryTrouble {
        match self.settings.auth {
            Auth::None => single(GapCause::Unauthorized, phrase("registry-wants-credentials")),
            _ => lasting(GapCause::Unauthorized, phrase("registry-refuses-credentials")),
        }
    }

    fn denied(&self) -> RegistryTrouble {
        match self.settings.auth {
            Auth::None => self.unauthorized(),
            _ => single(GapCause::AccessDenied, phrase("registry-denies")),
        }
    }

    /// The body of an answer that is none of a refusal.
    async fn body(&self, answer: Response, most: usize) -> Told<Vec<u8>> {
        let status = answer.status();
        match status {
            StatusCode::OK => read(answer, most).await?.ok_or_else(|| {
                single(GapCause::Failed, phrase("registry-too-large").with("most", Bytes(most as f64)))
            }),
            StatusCode::TOO_MANY_REQUESTS => Err(lasting(GapCause::Failed, phrase("registry-limits"))),
            StatusCode::FORBIDDEN => Err(self.denied()),
            StatusCode::NOT_FOUND => Err(single(GapCause::Failed, phrase("refused-not-found"))),
            status => {
                let said = read(answer, LARGEST_REFUSAL).await.ok().flatten().unwrap_or_default();
                let said = phrase("refused-status")
                    .with("code", u64::from(status.as_u16()))
                    .with("said", words(&said, status));
                let cause = GapCause::Failed;
                Err(RegistryTrouble { cause, said: said.into(), lasting: status.is_server_error() })
            }
        }
    }
}

/// How an answer says that credentials are wanted.
fn challenges(answer: &Response) -> Vec<String> {
    let all = answer.headers().get_all(WWW_AUTHENTICATE);
    all.iter().filter_map(|value| value.to_str().ok().map(str::to_owned)).collect()
}

/// The digest of the manifest that an answer is about, where it is told.
fn digest(answer: &Response) -> Option<String> {
    let told = answer.headers().get(DIGEST)?.to_str().ok()?;
    manifest::is_digest(told).then(|| told.to_owned())
}

/// A body; none when it is larger than `most`.
async fn read(answer: Response, most: usize) -> Told<Option<Vec<u8>>> {
    let mut body = Vec::new();
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let broken = |e: reqwest::Error| {
            let why = chain(&e.without_url());
            single(GapCause::Partial, phrase("refused-broken").with("why", why))
        };
        let chunk = chunk.map_err(broken)?;
        if body.len() + chunk.len() > most {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// What a registry says with a refusal (`errors` of the specification), else what the status means.
fn words(said: &[u8], status: StatusCode) -> String {
    let errors: Errors = serde_json::from_slice(said).unwrap_or_default();
    let first = errors.errors.into_iter().next().unwrap_or_default();
    let said = [first.code, first.message].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
    let said = match said.is_empty() {
        true => status.canonical_reason().unwrap_or("?").to_owned(),
        false => said.join(": "),
    };
    said.chars().filter(|c| !c.is_control()).take(LONGEST_TOLD).collect()
}

/// Whether an error is about the certificate of the server.
fn is_about_trust(error: &reqwest::Error) -> bool {
    chain(error).to_ascii_lowercase().contains("certificate")
}

/// Whether a text is the path of a repository, and nothing else that could stand in a URL.
fn is_repository(text: &str) -> bool {
    let of_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    let is_part = |part: &str| {
        part.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric()) && part.bytes().all(of_name)
    };
    text.len() <= 255 && text.split('/').all(is_part)
}

fn is_tag(text: &str) -> bool {
    let of_tag = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=128).contains(&text.len()) && !text.starts_with(['.', '-']) && text.bytes().all(of_tag)
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
}

#[derive(Default, Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<OneError>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OneError {
    code: String,
    message: String,
}
