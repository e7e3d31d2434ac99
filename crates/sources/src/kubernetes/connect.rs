//! From settings to a client, with errors that say what to do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use hyper_util::client::proxy::matcher::Matcher;
use kube::client::{AuthError, ClientBuilder};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use super::send::{Retry, chain};
use crate::SourceError;
use crate::logs::LogSettings;

/// How a cluster is reached.
#[derive(Debug, Clone)]
pub struct KubernetesSettings {
    /// Name of the cluster, which begins the scope of gaps.
    pub cluster: String,
    /// The kubeconfig; else `KUBECONFIG`, `~/.kube/config`, or what a pod in the cluster is given.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; else its current one.
    pub context: Option<String>,
    /// Where in a configuration file `kubeconfig` and `context` are given, such as `clusters[1].kubernetes`: messages name
    /// the key there. None where arguments give them.
    pub place: Option<String>,
    /// The user to act as, as `--as` of kubectl: `system:serviceaccount:NAMESPACE:NAME` for an account of the cluster. Else the
    /// one that the kubeconfig's user acts as (`as`), if any.
    pub impersonate: Option<String>,
    /// Time limit of one request.
    pub timeout: Duration,
    /// Objects in one page of a list; 0 for all at once.
    pub page_size: u32,
    /// Requests under way at once.
    pub concurrency: usize,
    /// How often a request that failed is sent again.
    pub retry: Retry,
    /// What of logs is read, and what that may cost.
    pub logs: LogSettings,
}

impl Default for KubernetesSettings {
    fn default() -> Self {
        Self {
            cluster: String::new(),
            kubeconfig: None,
            context: None,
            place: None,
            impersonate: None,
            timeout: Duration::from_secs(30),
            page_size: 500,
            concurrency: 4,
            retry: Retry::default(),
            logs: LogSettings::default(),
        }
    }
}

impl KubernetesSettings {
    /// How messages call a setting: the argument, or the key of the configuration file.
    fn named(&self, key: &str) -> String {
        match &self.place {
            None => format!("--{key}"),
            Some(place) => format!("{place}.{key}"),
        }
    }
}

/// The client, and the URL of the server for messages.
pub(super) async fn client(settings: &KubernetesSettings) -> Result<(Client, String), SourceError> {
    crate::tls::install_provider();
    let mut config = config(settings).await?;
    if let Some(user) = &settings.impersonate {
        let kept = std::mem::take(&mut config.auth_info);
        config.auth_info = AuthInfo {
            impersonate: Some(user.clone()),
            impersonate_uid: None,
            impersonate_groups: None,
            impersonate_user_extra: None,
            ..kept
        };
    }
    if let Some(user) = config.auth_info.impersonate.as_ref().filter(|u| HeaderValue::from_str(u).is_err()) {
        return Err(SourceError::Setting {
            what: "impersonation".to_owned(),
            why: format!(
                "expected the name of a user in printable ASCII characters, got `{}`",
                user.escape_debug()
            ),
        });
    }
    let url = config.cluster_url.to_string();
    let url = url.trim_end_matches('/').to_owned();
    // On the same machine compression costs more time than it saves.
    config.disable_compression |= is_local(&config.cluster_url);
    // Retries are counted and bounded here, not below.
    config.default_retry = false;
    config.connect_timeout = Some(settings.timeout.min(Duration::from_secs(10)));
    config.headers.push((
        HeaderName::from_static("user-agent"),
        HeaderValue::from_static(concat!("healthcheck/", env!("CARGO_PKG_VERSION"))),
    ));
    let command = config.auth_info.exec.as_ref().and_then(|e| e.command.clone());
    // An exec credential plugin runs here, and blocks.
    let built =
        tokio::task::spawn_blocking(move || ClientBuilder::try_from(config).map(ClientBuilder::build));
    let built = tokio::time::timeout(Duration::from_secs(120), built).await;
    let setting = |why: String| SourceError::Setting { what: "kubeconfig".to_owned(), why };
    match built {
        Ok(Ok(Ok(client))) => Ok((client, url)),
        Ok(Ok(Err(kube::Error::Auth(AuthError::AuthExecStart(e))))) => Err(setting(format!(
            "cannot run the credential plugin `{}`: {}; install it, or put it into PATH",
            command.unwrap_or_default(),
            plain(&e)
        ))),
        Ok(Ok(Err(kube::Error::Auth(e)))) => {
            Err(SourceError::Unauthorized { what: "the kubeconfig's user".to_owned(), why: auth_problem(&e) })
        }
        Ok(Ok(Err(e))) => Err(setting(chain(&e))),
        Ok(Err(_)) => Err(setting("preparing the client failed".to_owned())),
        Err(_) => Err(setting(format!(
            "the credential plugin `{}` did not end within 2 minutes; it may wait for input",
            command.unwrap_or_default()
        ))),
    }
}

fn is_local(url: &http::Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

async fn config(settings: &KubernetesSettings) -> Result<Config, SourceError> {
    let (kubeconfig, origin) = match &settings.kubeconfig {
        Some(path) => (read(path, settings)?, path.display().to_string()),
        None => match discover(settings)? {
            Some(found) => found,
            None => return in_cluster(settings),
        },
    };
    let known: Vec<&str> = kubeconfig.contexts.iter().map(|c| c.name.as_str()).collect();
    if known.is_empty() {
        let other = settings.named("kubeconfig");
        let why = format!("has no contexts; expected a kubeconfig, give another with {other}");
        return Err(SourceError::File { path: origin, why });
    }
    let choose = |why: String| SourceError::Setting {
        what: settings.named("context"),
        why: format!("{why}; known contexts: {}", known.join(", ")),
    };
    match (&settings.context, &kubeconfig.current_context) {
        (Some(context), _) if !known.contains(&context.as_str()) => {
            return Err(choose(format!("there is no context `{context}` in {origin}")));
        }
        (None, None) => {
            return Err(choose(format!("{origin} names no current context, so one must be given")));
        }
        (None, Some(current)) if current.is_empty() => {
            return Err(choose(format!("{origin} names no current context, so one must be given")));
        }
        (None, Some(current)) if !known.contains(&current.as_str()) => {
            return Err(choose(format!("the current context `{current}` of {origin} does not exist")));
        }
        _ => {}
    }
    let context = settings.context.as_ref().or(kubeconfig.current_context.as_ref());
    let own_proxy = kubeconfig
        .contexts
        .iter()
        .find(|c| Some(&c.name) == context)
        .and_then(|c| c.context.as_ref())
        .and_then(|c| kubeconfig.clusters.iter().find(|n| n.name == c.cluster))
        .and_then(|n| n.cluster.as_ref())
        .and_then(|c| c.proxy_url.as_ref())
        .is_some_and(|proxy| !proxy.is_empty());
    let options = KubeConfigOptions { context: settings.context.clone(), ..Default::default() };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|e| unusable(&origin, &e, settings))?;
    if !own_proxy {
        // HTTPS_PROXY and NO_PROXY are about the server; kube compares NO_PROXY with the proxy itself.
        config.proxy_url = Matcher::from_env().intercept(&config.cluster_url).map(|i| i.uri().clone());
    }
    Ok(config)
}

fn in_cluster(settings: &KubernetesSettings) -> Result<Config, SourceError> {
    if let Some(context) = &settings.context {
        return Err(SourceError::Setting {
            what: settings.named("context"),
            why: format!(
                "there is no kubeconfig to find `{context}` in; give one with {}",
                settings.named("kubeconfig")
            ),
        });
    }
    Config::incluster().map_err(|e| SourceError::Setting {
        what: "kubeconfig".to_owned(),
        why: format!(
            "found none: KUBECONFIG is not set, ~/.kube/config does not exist, and this is no pod with a service account ({}); give one with {}",
            chain(&e),
            settings.named("kubeconfig")
        ),
    })
}

fn read(path: &Path, settings: &KubernetesSettings) -> Result<Kubeconfig, SourceError> {
    Kubeconfig::read_from(path).map_err(|e| unusable(&path.display().to_string(), &e, settings))
}

/// The kubeconfig that kubectl would read, and how messages call it; none when there is no such file.
fn discover(settings: &KubernetesSettings) -> Result<Option<(Kubeconfig, String)>, SourceError> {
    let listed = std::env::var("KUBECONFIG").unwrap_or_default();
    if !listed.is_empty() {
        let origin = format!("{listed} (KUBECONFIG)");
        return match Kubeconfig::from_env() {
            Ok(Some(found)) => Ok(Some((found, origin))),
            Ok(None) => Ok(None),
            Err(e) => Err(unusable(&origin, &e, settings)),
        };
    }
    let Some(home) = std::env::home_dir() else { return Ok(None) };
    let path = home.join(".kube").join("config");
    match path.exists() {
        true => Ok(Some((read(&path, settings)?, path.display().to_string()))),
        false => Ok(None),
    }
}

/// Why a kubeconfig cannot be used. Never quotes the file, which holds secrets.
fn unusable(origin: &str, error: &KubeconfigError, settings: &KubernetesSettings) -> SourceError {
    let file = |path: String, why: String| SourceError::File { path, why };
    match error {
        KubeconfigError::ReadConfig(e, path) => file(
            path.display().to_string(),
            format!(
                "cannot read the kubeconfig: {}; give another with {}",
                plain(e),
                settings.named("kubeconfig")
            ),
        ),
        KubeconfigError::Parse(e) => {
            let place = match e.location() {
                Some(at) => format!(" at line {}, column {}", at.line(), at.column()),
                None => String::new(),
            };
            file(origin.to_owned(), format!("expected a kubeconfig in YAML, cannot read it{place}"))
        }
        KubeconfigError::LoadCertificateAuthority(e) => {
            file(origin.to_owned(), part("certificate-authority", e))
        }
        KubeconfigError::LoadClientCertificate(e) => file(origin.to_owned(), part("client-certificate", e)),
        KubeconfigError::LoadClientKey(e) => file(origin.to_owned(), part("client-key", e)),
        KubeconfigError::LoadClusterOfContext(name) => {
            file(origin.to_owned(), format!("the context names the cluster `{name}`, which does not exist"))
        }
        KubeconfigError::MissingClusterUrl => {
            file(origin.to_owned(), "the cluster of the context has no `server`".to_owned())
        }
        other => file(origin.to_owned(), other.to_string()),
    }
}

fn part(what: &str, error: &kube::config::LoadDataError) -> String {
    use kube::config::LoadDataError;
    match error {
        LoadDataError::ReadFile(e, path) => {
            format!("cannot read its {what} {}: {}", path.display(), plain(e))
        }
        LoadDataError::DecodeBase64(_) => format!("its {what}-data is not base64"),
        _ => format!("it has no {what}"),
    }
}

/// An operating system error in words that need no number.
fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// Why credentials could not be made. Never quotes what a plugin wrote to its output, which is a token.
pub(super) fn auth_problem(error: &AuthError) -> String {
    match error {
        AuthError::AuthExecRun { out, .. } => {
            let said = String::from_utf8_lossy(&out.stderr);
            let said = said.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no message").trim();
            let said: String = said.chars().take(300).collect();
            // Its arguments and environment may hold secrets, so the command is not shown.
            format!("the credential plugin failed ({}): {said}", out.status)
        }
        AuthError::AuthExecParse(_) => "the answer of the credential plugin is no ExecCredential".to_owned(),
        AuthError::AuthExecStart(e) => format!("cannot run the credential plugin: {}", plain(e)),
        AuthError::ReadTokenFile(e, path) => {
            format!("cannot read the token file {}: {}", path.display(), plain(e))
        }
        other => other.to_string(),
    }
}

/// A fault of the connection with what to do about it.
pub(super) fn explain_unreachable(said: &str) -> String {
    let lower = said.to_lowercase();
    let hint = if lower.contains("unknownissuer")
        || lower.contains("unknown issuer")
        || lower.contains("badsignature")
    {
        "its certificate is not signed by the authority that the kubeconfig trusts; check `certificate-authority-data` of the cluster"
    } else if lower.contains("notvalidforname") || lower.contains("not valid for name") {
        "its certificate is for another name; check `server`, or set `tls-server-name`"
    } else if lower.contains("expired") {
        "its certificate has expired"
    } else if lower.contains("certificate required") || lower.contains("certificaterequired") {
        "it asks for a client certificate, and the kubeconfig's user has none"
    } else if lower.contains("dns error") || lower.contains("failed to lookup") {
        "the name of the server cannot be resolved; check `server` of the cluster, or the VPN"
    } else if lower.contains("refused") {
        "nothing listens there; check `server` of the cluster, or whether the cluster runs"
    } else {
        "check `server` of the cluster, the network and the VPN"
    };
    format!("{said}; {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked_as(user: &str) -> Result<Vec<String>, SourceError> {
        let server = wiremock::MockServer::start().await;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kubeconfig");
        let text = format!(
            "clusters: [{{name: c, cluster: {{server: '{}'}}}}]\nusers: [{{name: u, user: {user}}}]\n\
             contexts: [{{name: x, context: {{cluster: c, user: u}}}}]\ncurrent-context: x\n",
            server.uri()
        );
        std::fs::write(&path, text).expect("it can be written");
        let settings = KubernetesSettings { kubeconfig: Some(path), ..KubernetesSettings::default() };
        let (client, _) = client(&settings).await?;
        let request = http::Request::get("/version").body(Vec::new()).expect("a request");
        let _ = client.request_text(request).await;
        let seen = server.received_requests().await.expect("they are kept");
        let told =
            |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
        let mut all: Vec<String> = seen[0].headers.iter().map(told).collect();
        all.retain(|header| header.starts_with("impersonate"));
        all.sort();
        Ok(all)
    }

    #[tokio::test]
    async fn a_user_may_act_as_another() {
        assert!(asked_as("{}").await.unwrap().is_empty());
        let user = r#"{as: "system:serviceaccount:ops:doctor", as-uid: "7", as-groups: [a, b], as-user-extra: {"Example.org/Scopes": [view]}}"#;
        assert_eq!(
            asked_as(user).await.unwrap(),
            [
                "impersonate-extra-example.org%2fscopes: view",
                "impersonate-group: a",
                "impersonate-group: b",
                "impersonate-uid: 7",
                "impersonate-user: system:serviceaccount:ops:doctor",
            ],
            "each once"
        );
        let why = asked_as(r#"{as: "a\nb"}"#).await.unwrap_err().to_string();
        assert!(why.contains(r"got `a\nb`"), "{why}");
    }
}
