//! The configuration file: one YAML file for everything that a run can be told.
//!
//! Unknown keys are refused with the nearest known one. Secrets are never in the file: it names environment variables or
//! files that hold them.

mod certificates;
mod deliver;
mod hosts;
mod import;
mod keys;
mod legacy;
mod logs;
mod loki;
mod profile;
mod registries;
mod template;
mod tree;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use healthcore::checks::CHECKS;
use healthcore::class::{Class, ClassRule};
use healthcore::settings::{CheckSettings, Scope, Settings};
use healthcore::time::{Timestamp, Window};
use healthcore::unit::Seconds;
use healthcore_report::{Lang, Zone};
use healthcore_sources::logs::LogSettings;
use healthcore_sources::loki::LokiSettings;
use healthcore_sources::prometheus::{Auth, Compression, Dialect, Prometheus, PrometheusSettings, Secret};
use healthcore_sources::registry::RegistrySettings;

use crate::history::Retention;

pub use certificates::CertificatesConfig;
pub use deliver::{RouteConfig, SinkConfig};
pub use hosts::HostsConfig;
pub use import::Import;
pub use template::{schema, template};
use tree::Node;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {why}")]
pub struct ConfigError {
    /// The file.
    pub file: String,
    /// Path of the key, what was expected, what was given, what to do.
    pub why: String,
}

/// A configuration file, read and checked.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Clusters, in order.
    pub clusters: Vec<ClusterConfig>,
    /// Clusters that are read at once.
    pub clusters_at_once: Option<NonZeroUsize>,
    /// How far to look back.
    pub lookback: Option<Seconds>,
    /// Time between two samples.
    pub step: Option<Seconds>,
    /// Language of reports.
    pub lang: Option<Lang>,
    /// Zone of the times in reports that people read.
    pub zone: Option<Zone>,
    /// Files of the user's own templates of reports, by name.
    pub templates: BTreeMap<String, PathBuf>,
    /// Where runs are remembered.
    pub history: Option<HistoryConfig>,
    /// How certificates are looked at.
    pub certificates: CertificatesConfig,
    /// Names in DNS.
    pub hosts: HostsConfig,
    /// Registries that may be asked for the platforms of images.
    pub registries: Vec<RegistrySettings>,
    /// Where reports go after a run, in order.
    pub deliver: Vec<RouteConfig>,
    /// What of logs is read, when the file says that they are.
    pub logs: Option<LogSettings>,
    /// Choices for checks.
    pub settings: Settings,
    /// Query templates of the user by metric, for a metrics server that the file does not name; those that it names
    /// have them already.
    pub queries: BTreeMap<String, String>,
    /// Files that it names: of certificates, secrets, clusters and the systems that are replaced.
    pub files: Vec<PathBuf>,
    /// Every single value that the file gives, by its path, such as `checks.memory-usage.warning` or
    /// `clusters[0].prometheus.url`. A value of a file that it takes over has the path of what it sets.
    pub given: BTreeMap<String, Given>,
}

/// Where runs are remembered, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryConfig {
    /// A folder, or the address of an object store.
    pub location: String,
    /// How long runs are kept.
    pub retention: Retention,
    /// Whether a run that could not be remembered or compared counts as one that could not run.
    pub required: bool,
}

/// A value of a file as it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Its text; of a secret the name of what holds it.
    pub text: String,
    /// Where it stands: `FILE:LINE`.
    pub origin: String,
}

/// A cluster of the configuration file.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Name in the report.
    pub name: String,
    /// Its metrics server.
    pub prometheus: Option<PrometheusSettings>,
    /// The way to the metrics server through the Kubernetes API, when not direct.
    pub prometheus_via: Option<String>,
    /// Its Kubernetes API.
    pub kubernetes: Option<KubernetesConfig>,
    /// The Loki that keeps its logs; cluster and bounds are set where it is used.
    pub loki: Option<LokiSettings>,
    /// Namespaces to look into; empty for all.
    pub namespaces: Vec<String>,
}

/// How the Kubernetes API of a cluster is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KubernetesConfig {
    /// Kubeconfig file; discovered as kubectl does when none.
    pub kubeconfig: Option<PathBuf>,
    /// Context; the current one when none.
    pub context: Option<String>,
}

/// Keys of the file, by the path of their map.
pub(crate) const TOP: &[&str] = &[
    "clusters",
    "clusters-at-once",
    "profiles",
    "lookback",
    "step",
    "lang",
    "time-zone",
    "templates",
    "history",
    "certificates",
    "hosts",
    "registries",
    "deliver",
    "logs",
    "only",
    "skip",
    "checks",
    "watch-share",
    "classes",
    "thresholds",
    "queries",
];
pub(crate) const HISTORY: &[&str] = &["location", "keep", "keep-runs", "required"];
pub(crate) const CLUSTER: &[&str] =
    &["name", "extends", "kubernetes", "prometheus", "loki", "namespaces", "checks", "classes"];
pub(crate) const NAMESPACE: &[&str] = &["name", "extends", "class", "checks", "classes"];
pub(crate) const RULE: &[&str] = &["class", "namespace", "kind", "name", "image"];
/// Of a rule that stands in a namespace.
const RULE_WITHIN: &[&str] = &["class", "kind", "name", "image"];
pub(crate) const KUBERNETES: &[&str] = &["kubeconfig", "context"];
pub(crate) const PROMETHEUS: &[&str] = &[
    "url",
    "via",
    "dialect",
    "username-env",
    "username-file",
    "password-env",
    "password-file",
    "token-env",
    "token-file",
    "headers",
    "ca-file",
    "insecure-skip-verify",
    "matchers",
    "timeout",
    "retries",
    "concurrency",
    "compression",
];
pub(crate) const HEADER: &[&str] = &["name", "value-env", "value-file"];

impl Config {
    /// Reads a file. `environment` gives the value of an environment variable.
    ///
    /// # Errors
    /// It cannot be read, is no YAML, or says something that cannot be used.
    pub fn read(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let error = |why: String| ConfigError { file: file.clone(), why };
        let text = std::fs::read_to_string(path).map_err(|e| error(format!("cannot be read: {e}")))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut config = Self::parse(&text, folder, environment).map_err(error)?;
        for (path, (text, line)) in written(&text).map_err(error)? {
            let key = path.rsplit('.').next().unwrap_or_default();
            let is_file = matches!(key, "thresholds" | "queries" | "kubeconfig") || key.ends_with("-file");
            if is_file || path.starts_with("templates.") {
                config.files.push(folder.join(&text));
            }
            if let Some(file) = text.strip_prefix("template=").filter(|_| path.starts_with("deliver[")) {
                config.files.push(folder.join(file));
            }
            config.given.insert(path, Given { text, origin: format!("{file}:{line}") });
        }
        Ok(config)
    }

    fn parse(
        text: &str,
        folder: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let document = tree::parse(text)?;
        profiles(&Node::root(&document))?;
        let expanded = profile::expand(&document)?;
        let root = Node::root(&expanded.root);
        let mut config = Self::default();
        let secrets = Secrets { folder, environment };
        for (key, node) in root.map(TOP)? {
            if key == "templates" {
                for (name, file) in node.entries()? {
                    config.templates.insert(name.to_owned(), folder.join(file.text()?));
                }
            }
        }
        for (key, node) in root.map(TOP)? {
            match key {
                "clusters-at-once" => config.clusters_at_once = NonZeroUsize::new(from_1_to_64(&node)?),
                "lookback" => config.lookback = Some(node.read()?),
                "step" => config.step = Some(node.read()?),
                "logs" => {
                    config.logs = Some(logs::logs(&node)?);
                    // To say how logs are read is to ask for it.
                    let own = config.settings.checks.entry("error-logs".to_owned()).or_default();
                    own.enabled.get_or_insert(true);
                }
                "certificates" => config.certificates = certificates::certificates(&node)?,
                "hosts" => {
                    config.hosts = hosts::hosts(&node, folder)?;
                    config.files.extend(config.hosts.files.iter().map(|file| folder.join(file)));
                }
                "registries" => config.registries = registries::registries(&node, &secrets)?,
                "lang" => config.lang = Some(node.parse()?),
                "time-zone" => config.zone = Some(node.parse()?),
                "history" => config.history = Some(history(&node, folder)?),
                "deliver" => config.deliver = deliver::routes(&node, &secrets, &config.templates)?,
                "only" => config.settings.only.extend(node.texts()?),
                "watch-share" => config.settings.watch_share = Some(node.text()?),
                "skip" => config.settings.skip.extend(node.texts()?),
                "checks" => {
                    for (id, settings) in checks(&node)? {
                        merge(config.settings.checks.entry(id).or_default(), settings);
                    }
                }
                "thresholds" => {
                    let path = folder.join(node.text()?);
                    for (id, settings) in legacy::thresholds(&path, &mut config.given)? {
                        // What the file itself says wins over the file that it takes over.
                        let own = config.settings.checks.entry(id).or_default();
                        for (name, value) in settings.params {
                            own.params.entry(name).or_insert(value);
                        }
                    }
                }
                "classes" => config.settings.classes = class_rules(&node, RULE)?,
                "queries" if node.is_map() => {
                    return Err(node.wrong("expected the name of a file of PromQL templates, got a map"));
                }
                "queries" => config.queries = legacy::queries(&folder.join(node.text()?))?,
                _ => {}
            }
        }
        for (key, node) in root.map(TOP)? {
            if key == "clusters" {
                for item in node.list()? {
                    let (cluster, own) = cluster(&item, &secrets, &config.queries)?;
                    config.clusters.push(cluster);
                    config.settings.scopes.extend(own.scopes);
                    config.settings.classes.extend(own.classes);
                }
            }
        }
        once_each(&config.clusters)?;
        config.settings.resolve(CHECKS).map_err(|e| e.to_string())?;
        let lookback = config.lookback.unwrap_or(crate::DEFAULT_LOOKBACK);
        config.settings.fit(CHECKS, lookback).map_err(|e| e.to_string())?;
        let step = config.step.unwrap_or_else(|| crate::spec::step_for(lookback));
        Window::ending(Timestamp(0), lookback, step).map_err(|e| e.to_string())?;
        Ok(config)
    }
}

/// Every single value of a document by the path that it has once clusters have taken over their profiles: text, line.
fn written(text: &str) -> Result<BTreeMap<String, (String, u64)>, String> {
    let raw = tree::places(text);
    let expanded = profile::expand(&tree::parse(text)?)?;
    let taken = expanded.written.into_iter().filter_map(|(path, from)| Some((path, raw.get(&from)?.clone())));
    let taken: BTreeMap<_, _> = taken.collect();
    let rest = raw.into_iter().filter(|(path, _)| !path.starts_with("clusters["));
    Ok(taken.into_iter().chain(rest).collect())
}

/// Refuses what is wrong in a profile by itself, so that the message names the profile.
fn profiles(root: &Node<'_>) -> Result<(), String> {
    let Some((_, profiles)) = root.entries()?.into_iter().find(|(key, _)| *key == "profiles") else {
        return Ok(());
    };
    for (_, profile) in profiles.entries()? {
        for (key, value) in profile.map(profile::PROFILE)? {
            match key {
                "checks" => drop(checks(&value)?),
                "classes" => drop(class_rules(&value, RULE)?),
                "namespaces" => drop(namespaces(&value, "")?),
                "kubernetes" => drop(value.map(KUBERNETES)?),
                "prometheus" => drop(value.map(PROMETHEUS)?),
                "loki" => drop(value.map(loki::LOKI)?),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Refuses the same cluster under two names, and two clusters of one name.
fn once_each(clusters: &[ClusterConfig]) -> Result<(), String> {
    for (at, cluster) in clusters.iter().enumerate() {
        for (before, other) in clusters[..at].iter().enumerate() {
            if cluster.name == other.name {
                return Err(format!("clusters: the name `{}` is given twice", cluster.name));
            }
            let same_namespaces = cluster.namespaces == other.namespaces;
            let same = match (&cluster.kubernetes, &other.kubernetes) {
                (Some(own), Some(others)) => own == others,
                (None, None) => {
                    // Tenants of one server differ in what is sent to it.
                    let server = |c: &ClusterConfig| {
                        let p = c.prometheus.as_ref()?;
                        Some((p.url.clone(), p.matchers.clone(), p.headers.clone(), p.auth.clone()))
                    };
                    server(cluster) == server(other)
                }
                _ => false,
            };
            if same && same_namespaces {
                return Err(format!(
                    "clusters[{at}]: `{}` is the same cluster as `{}`, clusters[{before}]: same server, same namespaces; leave one of them out",
                    cluster.name, other.name
                ));
            }
        }
    }
    Ok(())
}

/// Rules that give workloads their class.
fn class_rules(node: &Node<'_>, keys: &[&str]) -> Result<Vec<ClassRule>, String> {
    let mut rules = Vec::new();
    for item in node.list()? {
        let mut class = None;
        let mut rule = ClassRule::new(Class::Service, item.path());
        for (key, value) in item.map(keys)? {
            match key {
                "class" => class = Some(class_of(&value)?),
                "namespace" => {
                    let glob = namespace_pattern(&value.text()?);
                    rule.namespace = Some(glob.map_err(|why| format!("{}: {why}", value.path()))?);
                }
                "kind" => rule.kind = Some(value.text()?),
                "name" => rule.name = Some(value.text()?),
                _ => rule.image = Some(value.text()?),
            }
        }
        rule.class = class.ok_or_else(|| format!("{}.class: expected one of {}", item.path(), classes()))?;
        if [&rule.namespace, &rule.kind, &rule.name, &rule.image].iter().all(|glob| glob.is_none()) {
            return Err(format!(
                "{}: says of no workload that it is of class `{}`; give {}",
                item.path(),
                rule.class.name(),
                keys.iter().filter(|k| **k != "class").copied().collect::<Vec<_>>().join(", ")
            ));
        }
        rules.push(rule);
    }
    Ok(rules)
}

fn class_of(node: &Node<'_>) -> Result<Class, String> {
    let name = node.text()?;
    Class::from_name(&name)
        .ok_or_else(|| format!("{}: expected one of {}, got `{name}`", node.path(), classes()))
}

fn classes() -> String {
    Class::ALL.iter().map(|c| format!("`{}`", c.name())).collect::<Vec<_>>().join(", ")
}

/// Namespaces to look into, and what holds in them.
struct Namespaces {
    selected: Vec<String>,
    own: Own,
}

/// Settings of one cluster.
#[derive(Default)]
struct Own {
    scopes: Vec<Scope>,
    classes: Vec<ClassRule>,
}

fn namespaces(node: &Node<'_>, cluster: &str) -> Result<Namespaces, String> {
    let mut out = Namespaces { selected: Vec::new(), own: Own::default() };
    for item in node.items()? {
        if !item.is_map() {
            out.selected.push(pattern(&item)?);
            continue;
        }
        let (mut name, mut class, mut rules) = (None, None, Vec::new());
        let mut scope =
            Scope { cluster: cluster.to_owned(), place: item.path().to_owned(), ..Scope::default() };
        for (key, value) in item.map(NAMESPACE)? {
            match key {
                "name" => name = Some(pattern(&value)?),
                "class" => class = Some((class_of(&value)?, value.path().to_owned())),
                "classes" => rules = class_rules(&value, RULE_WITHIN)?,
                "checks" => scope.checks = checks(&value)?,
                _ => {}
            }
        }
        let name = name.ok_or_else(|| format!("{}.name: expected a name or a glob", item.path()))?;
        rules.extend(class.map(|(class, place)| ClassRule::new(class, &place)));
        out.own.classes.extend(rules.into_iter().map(|rule| ClassRule {
            cluster: Some(cluster.to_owned()),
            namespace: Some(name.clone()),
            ..rule
        }));
        scope.namespace = Some(name.clone());
        out.own.scopes.extend((!scope.checks.is_empty()).then_some(scope));
        out.selected.push(name);
    }
    Ok(out)
}

fn pattern(node: &Node<'_>) -> Result<String, String> {
    namespace_pattern(&node.text()?).map_err(|why| format!("{}: {why}", node.path()))
}

fn merge(into: &mut CheckSettings, from: CheckSettings) {
    into.enabled = from.enabled.or(into.enabled);
    into.params.extend(from.params);
    into.classes.extend(from.classes);
}

fn checks(node: &Node<'_>) -> Result<BTreeMap<String, CheckSettings>, String> {
    let ids: Vec<&str> = CHECKS.iter().map(|c| c.info().id).collect();
    let mut out = BTreeMap::new();
    for (id, check) in node.map(&ids)? {
        let infos = CHECKS.iter().find(|c| c.info().id == id).map(|c| c.param_infos()).unwrap_or_default();
        let mut known: Vec<&str> = infos.iter().map(|i| i.name.as_str()).collect();
        let params = known.clone();
        known.extend(["enabled", "classes"]);
        let mut settings = CheckSettings::default();
        for (key, value) in check.map(&known)? {
            match key {
                "enabled" => settings.enabled = Some(value.read()?),
                "classes" => {
                    let classes: Vec<&str> = Class::ALL.iter().map(|c| c.name()).collect();
                    for (class, values) in value.map(&classes)? {
                        let values: Result<BTreeMap<String, String>, String> = values
                            .map(&params)?
                            .into_iter()
                            .map(|(k, v)| Ok((k.to_owned(), v.text()?)))
                            .collect();
                        settings.classes.insert(class.to_owned(), values?);
                    }
                }
                name => {
                    settings.params.insert(name.to_owned(), value.text()?);
                }
            }
        }
        out.insert(id.to_owned(), settings);
    }
    Ok(out)
}

/// Whether an address names a user: `http://USER:PASSWORD@HOST`.
#[must_use]
pub fn holds_credentials(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().is_some_and(|host| host.contains('@'))
}

/// A namespace to look into, by its name or a glob.
///
/// # Errors
/// No namespace can have this name. An empty one would stand for all.
pub fn namespace_pattern(text: &str) -> Result<String, String> {
    let of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-*?".contains(c);
    if !text.is_empty() && text.chars().all(of_name) {
        Ok(text.to_owned())
    } else {
        Err(format!("expected the name of a namespace or a glob such as `pay-*`, got `{text}`"))
    }
}

/// The time for one request.
///
/// # Errors
/// It is not above zero, or longer than a day, which no server keeps a request open for.
pub fn request_timeout(value: Seconds) -> Result<Duration, String> {
    if value.get() > 0.0 && value <= Seconds::from_days(1.0) {
        Ok(Duration::from_secs_f64(value.get()))
    } else {
        Err(format!("expected a time-out above zero and at most `1d`, got `{value}`"))
    }
}

/// A text that cannot be a user name, a password, a token or the value of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret holds a line break or another control character; expected a single line")]
pub struct NotACredential;

/// A credential without the blanks around it, such as the line break that most editors leave at the end of a file.
///
/// # Errors
/// It holds control characters. The error does not repeat the text.
pub fn credential(text: &str) -> Result<String, NotACredential> {
    let text = text.trim();
    if text.chars().any(char::is_control) { Err(NotACredential) } else { Ok(text.to_owned()) }
}

/// Where secrets come from.
struct Secrets<'a> {
    folder: &'a Path,
    environment: &'a dyn Fn(&str) -> Option<String>,
}

impl Secrets<'_> {
    fn in_env(&self, node: &Node<'_>) -> Result<String, String> {
        let name = node.text()?;
        let value = (self.environment)(&name)
            .filter(|v| !v.is_empty())
            .ok_or_else(|| format!("{}: the environment variable `{name}` is not set", node.path()))?;
        credential(&value).map_err(|e| format!("{}: the environment variable `{name}`: {e}", node.path()))
    }
    fn in_file(&self, node: &Node<'_>) -> Result<String, String> {
        let path = self.folder.join(node.text()?);
        let text = std::fs::read_to_string(&path)
            .map_err(|e| format!("{}: {} cannot be read: {e}", node.path(), path.display()))?;
        credential(&text).map_err(|e| format!("{}: {}: {e}", node.path(), path.display()))
    }
}

/// A folder is relative to the file, as all paths in it.
fn history(node: &Node<'_>, folder: &Path) -> Result<HistoryConfig, String> {
    let mut out = HistoryConfig { location: String::new(), retention: Retention::default(), required: false };
    for (key, value) in node.map(HISTORY)? {
        match key {
            "location" => {
                let text = value.text()?;
                if holds_credentials(&text) {
                    return Err(format!(
                        "{}: the address holds credentials, and the file is for none; give them in the environment",
                        value.path()
                    ));
                }
                out.location = match text.contains("://") || text.is_empty() {
                    true => text,
                    false => folder.join(text).display().to_string(),
                };
            }
            "keep" => out.retention.age = value.read()?,
            "keep-runs" => {
                let runs: u32 = value.read()?;
                if runs == 0 {
                    return Err(format!("{}: expected a number from 1, got `0`", value.path()));
                }
                out.retention.runs = runs as usize;
            }
            _ => out.required = value.read()?,
        }
    }
    if out.location.is_empty() {
        return Err(format!("{}.location: expected a folder or the address of an object store", node.path()));
    }
    if out.retention.age <= Seconds(0.0) {
        return Err(format!("{}.keep: expected a duration above zero such as `400d`", node.path()));
    }
    Ok(out)
}

fn cluster(
    node: &Node<'_>,
    secrets: &Secrets<'_>,
    queries: &BTreeMap<String, String>,
) -> Result<(ClusterConfig, Own), String> {
    let entries = node.map(CLUSTER)?;
    let name = entries.iter().find(|(key, _)| *key == "name").map(|(_, value)| value.text()).transpose()?;
    let name = name
        .filter(|name| !name.is_empty())
        .ok_or_else(|| format!("{}.name: expected the name of the cluster in the report", node.path()))?;
    let mut out = ClusterConfig {
        name: name.clone(),
        prometheus: None,
        prometheus_via: None,
        kubernetes: None,
        loki: None,
        namespaces: Vec::new(),
    };
    let mut own = Own::default();
    let mut whole = Scope { cluster: name.clone(), place: node.path().to_owned(), ..Scope::default() };
    for (key, value) in entries {
        match key {
            "namespaces" => {
                let Namespaces { selected, own: within } = namespaces(&value, &name)?;
                // All of them, whatever else is named.
                out.namespaces = if selected.iter().any(|n| n == "*") { Vec::new() } else { selected };
                own.scopes.extend(within.scopes);
                own.classes.extend(within.classes);
            }
            "checks" => whole.checks = checks(&value)?,
            "classes" => {
                let rules = class_rules(&value, RULE)?.into_iter();
                own.classes.extend(rules.map(|rule| ClassRule { cluster: Some(name.clone()), ..rule }));
            }
            "kubernetes" => {
                let mut kubernetes = KubernetesConfig::default();
                for (key, value) in value.map(KUBERNETES)? {
                    match key {
                        "kubeconfig" => kubernetes.kubeconfig = Some(secrets.folder.join(value.text()?)),
                        _ => kubernetes.context = Some(value.text()?),
                    }
                }
                out.kubernetes = Some(kubernetes);
            }
            "prometheus" => {
                let (settings, via) = prometheus(&value, secrets, queries)?;
                out.prometheus = Some(settings);
                out.prometheus_via = via;
            }
            "loki" => out.loki = Some(loki::loki(&value, secrets)?),
            _ => {}
        }
    }
    if out.prometheus.is_none() && out.kubernetes.is_none() {
        return Err(format!(
            "{}: names no source; give `prometheus`, `kubernetes` (`{{}}` for the usual discovery), or both",
            node.path()
        ));
    }
    if out.prometheus_via.is_some() && out.kubernetes.is_none() {
        return Err(format!("{}.prometheus.via: needs `kubernetes` beside it", node.path()));
    }
    own.scopes.extend((!whole.checks.is_empty()).then_some(whole));
    Ok((out, own))
}

fn from_1_to_64(node: &Node<'_>) -> Result<usize, String> {
    let given: u32 = node.read()?;
    if (1..=64).contains(&given) {
        Ok(given as usize)
    } else {
        Err(format!("{}: expected a number from 1 to 64, got `{given}`", node.path()))
    }
}

fn prometheus(
    node: &Node<'_>,
    secrets: &Secrets<'_>,
    queries: &BTreeMap<String, String>,
) -> Result<(PrometheusSettings, Option<String>), String> {
    let (mut out, via) = server(node, PROMETHEUS, secrets)?;
    out.queries.clone_from(queries);
    if out.url.is_empty() && via.is_none() {
        return Err(format!(
            "{}.url: expected the address of the server, such as `http://prometheus.monitoring:9090`",
            node.path()
        ));
    }
    Prometheus::check(&out).map_err(|why| format!("{}: {why}", node.path()))?;
    Ok((out, via))
}

/// What is shown to a server: a token, or a user name with a password.
fn auth(
    node: &Node<'_>,
    token: Option<String>,
    username: Option<String>,
    password: Option<String>,
) -> Result<Auth, String> {
    match (token, username, password) {
        (None, None, None) => Ok(Auth::None),
        (Some(token), None, None) => Ok(Auth::Bearer(Secret::new(token))),
        (None, Some(username), Some(password)) => {
            Ok(Auth::Basic { username, password: Secret::new(password) })
        }
        _ => Err(format!("{}: expected a user name with a password, or a token, not both", node.path())),
    }
}

/// How a server of queries is reached, and by which way; of the keys those that only another kind of server has are passed
/// over.
fn server(
    node: &Node<'_>,
    keys: &'static [&'static str],
    secrets: &Secrets<'_>,
) -> Result<(PrometheusSettings, Option<String>), String> {
    let mut out = PrometheusSettings::new("");
    let (mut via, mut username, mut password, mut token) = (None, None, None, None);
    for (key, value) in node.map(keys)? {
        match key {
            "url" => {
                out.url = value.text()?;
                if holds_credentials(&out.url) {
                    return Err(format!(
                        "{}: the address holds credentials, and the file is for none; name what holds them by `username-env` and `password-env`",
                        value.path()
                    ));
                }
            }
            "via" => via = Some(value.text()?),
            "dialect" => {
                out.dialect = value.word(&[("prometheus", Dialect::Prometheus), ("arms", Dialect::Arms)])?;
            }
            "username-env" => username = Some(secrets.in_env(&value)?),
            "username-file" => username = Some(secrets.in_file(&value)?),
            "password-env" => password = Some(secrets.in_env(&value)?),
            "password-file" => password = Some(secrets.in_file(&value)?),
            "token-env" => token = Some(secrets.in_env(&value)?),
            "token-file" => token = Some(secrets.in_file(&value)?),
            "headers" => {
                for item in value.list()? {
                    let (mut name, mut secret) = (String::new(), None);
                    for (key, value) in item.map(HEADER)? {
                        match key {
                            "name" => name = value.text()?,
                            "value-env" => secret = Some(secrets.in_env(&value)?),
                            _ => secret = Some(secrets.in_file(&value)?),
                        }
                    }
                    let secret = secret
                        .ok_or_else(|| format!("{}: expected `value-env` or `value-file`", item.path()))?;
                    out.headers.push((name, Secret::new(secret)));
                }
            }
            "ca-file" => out.ca_file = Some(secrets.folder.join(value.text()?)),
            "insecure-skip-verify" => out.insecure_skip_verify = value.read()?,
            "matchers" => out.matchers = value.texts()?,
            "timeout" => {
                out.timeout =
                    request_timeout(value.read()?).map_err(|why| format!("{}: {why}", value.path()))?;
            }
            "retries" => out.retries = value.read()?,
            "concurrency" => {
                out.concurrency = from_1_to_64(&value)?;
            }
            "compression" => {
                out.compression = value.word(&[
                    ("auto", Compression::Auto),
                    ("on", Compression::On),
                    ("off", Compression::Off),
                ])?;
            }
            _ => {}
        }
    }
    out.auth = auth(node, token, username, password)?;
    Ok((out, via))
}

#[cfg(test)]
mod tests {
    use healthcore::model::{Workload, WorkloadId};
    use healthcore::settings::Site;

    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        let environment = |name: &str| match name {
            "PW" => Some("hunter2".to_owned()),
            "TWO_LINES" => Some("hunter2\nhunter3".to_owned()),
            "PU" => Some("reader".to_owned()),
            _ => None,
        };
        Config::parse(text, Path::new("/nowhere"), &environment)
    }

    /// In YAML 1.1 `y`, `no` and `on` are booleans. A name is what is written, and a switch takes the words of both.
    #[test]
    fn names_that_look_like_something_else_are_names() {
        let config = parse(
            "profiles:\n  y: {namespaces: [off]}\n  no: {checks: {memory-leak: {enabled: no}}}\n  on: {classes: [{class: jvm, name: yes}]}\nclasses:\n- {class: runner, namespace: y, name: no}\nclusters:\n- name: on\n  extends: [y, no, on]\n  kubernetes: {context: off}\n  namespaces: [no, 123, {name: 123, class: batch}, {name: yes, extends: no}]\ncertificates: {ask: off}\n",
        );
        let why = config.unwrap_err();
        assert!(why.contains("clusters[0].namespaces[2]: `123` is given twice"), "{why}");
        let config = parse(
            "profiles:\n  y: {namespaces: [off, 123]}\n  no: {checks: {memory-leak: {enabled: no}}}\n  on: {classes: [{class: jvm, name: yes}]}\nclasses:\n- {class: runner, namespace: y, name: no}\nclusters:\n- name: on\n  extends: [y, no, on]\n  kubernetes: {context: off}\n  namespaces: [no, {name: 123, class: batch}, {name: yes, extends: no}]\ncertificates: {ask: off}\n",
        )
        .unwrap();
        let cluster = &config.clusters[0];
        assert_eq!(
            (cluster.name.as_str(), &*cluster.namespaces),
            ("on", &["off", "123", "no", "yes"].map(str::to_owned)[..])
        );
        assert_eq!(cluster.kubernetes.as_ref().unwrap().context.as_deref(), Some("off"));
        let rules = format!("{:?}", config.settings.classes);
        assert!(
            rules.contains("Some(\"y\")")
                && rules.contains("Some(\"no\")")
                && rules.contains("Some(\"yes\")"),
            "{rules}"
        );
        let leak = config.settings.scopes.iter().find_map(|scope| scope.checks.get("memory-leak")).unwrap();
        assert_eq!(leak.enabled, Some(false));
        assert!(!config.certificates.ask);
        let why = parse("profiles: {a: {}}\nclusters: [{name: b, extends: [no]}]\n").unwrap_err();
        assert!(why.contains("`no`") && !why.contains("false"), "{why}");
        let why = parse("lookback: 1d\n---\nstep: 1m\n").unwrap_err();
        assert!(
            why.contains(
                "is no YAML: line 3 column 1: a second document begins (`---`), and one is expected"
            ),
            "{why}"
        );
        // What is no name at all is refused, and not tripped over.
        let why = parse("clusters: [{name: a, namespaces: [[b], {name: [b]}]}]\n").unwrap_err();
        assert!(why.contains("clusters[0].namespaces"), "{why}");
    }

    #[test]
    fn a_whole_file() {
        let config = parse(
            "lookback: 3d\nstep: 10m\nskip: [warning-events]\nclusters:\n- name: prod\n  namespaces: [shop, 'pay-*']\n  kubernetes: {context: prod}\n  prometheus:\n    url: https://p.example\n    dialect: arms\n    username-env: PU\n    password-env: PW\n    timeout: 10s\nchecks:\n  memory-usage:\n    warning: 60%\n    classes:\n      batch: {critical: 0.99}\n  memory-leak: {enabled: false}\n",
        )
        .unwrap();
        assert_eq!((config.lookback, config.step), (Some(Seconds(259_200.0)), Some(Seconds(600.0))));
        let cluster = &config.clusters[0];
        assert_eq!((cluster.name.as_str(), cluster.namespaces.len()), ("prod", 2));
        assert_eq!(cluster.prometheus.as_ref().unwrap().timeout, Duration::from_secs(10));
        assert_eq!(config.settings.checks["memory-usage"].classes["batch"]["critical"], "0.99");
        assert_eq!(config.settings.checks["memory-leak"].enabled, Some(false));
        assert!(!format!("{config:?}").contains("hunter2"), "a secret is never shown");
    }

    #[test]
    fn mistakes_are_named_with_their_path() {
        for (text, expected) in [
            (
                "clusterz: []",
                "clusterz: unknown key, did you mean `clusters`?; known keys: clusters, clusters-at-once, profiles, lookback, step, lang",
            ),
            (
                "clusters: [{name: a, prometheus: {urll: x}}]",
                "clusters[0].prometheus.urll: unknown key, did you mean `url`?",
            ),
            ("clusters: [{name: a}]", "clusters[0]: names no source"),
            (
                "clusters: [{name: a, kubernetes: {}}, {name: a, kubernetes: {}}]",
                "clusters: the name `a` is given twice",
            ),
            ("checks: {memory-leek: {}}", "checks.memory-leek: unknown key, did you mean `memory-leak`?"),
            (
                "checks: {memory-leak: {min-slope: 512MB/h/}}",
                "checks.memory-leak.min-slope: expected a rate such as `10MB/h`, got `512MB/h/`",
            ),
            (
                "checks: {memory-usage: {warning: 90%}}",
                "checks.memory-usage: warning must not be above critical: warning `90%`, critical `85%`",
            ),
            (
                "checks: {memory-usage: {enabled: maybe}}",
                "checks.memory-usage.enabled: expected `true` or `false`, got `maybe`",
            ),
            ("lookback: 7", "lookback: expected a duration such as `30m`, got `7`"),
            (
                "clusters: [{name: a, prometheus: {url: x, token-env: TWO_LINES}}]",
                "clusters[0].prometheus.token-env: the environment variable `TWO_LINES`: the secret holds a line break",
            ),
            (
                "clusters: [{name: a, prometheus: {url: x, timeout: 0s}}]",
                "clusters[0].prometheus.timeout: expected a time-out above zero and at most `1d`, got `0s`",
            ),
            (
                "clusters: [{name: a, prometheus: {url: x, timeout: 300000000000000d}}]",
                "clusters[0].prometheus.timeout: expected a time-out above zero and at most `1d`",
            ),
            ("clusters-at-once: 0", "clusters-at-once: expected a number from 1 to 64, got `0`"),
            (
                "history: {location: h, keep: 0s}",
                "history.keep: expected a duration above zero such as `400d`",
            ),
            ("history: {location: h, keep-runs: 0}", "history.keep-runs: expected a number from 1, got `0`"),
            ("history: {keep: 3d}", "history.location: expected a folder or the address of an object store"),
            ("history: {location: 's3://key:word@b/p'}", "history.location: the address holds credentials"),
            ("lang: zh", "lang: expected a language, one of `en`, `zh-TW`, got `zh`"),
            (
                "time-zone: Taipei",
                "time-zone: expected a time zone of the IANA database such as `Asia/Taipei`, got `Taipei`, did you mean `Asia/Taipei`?",
            ),
            ("lookback: [1]", "lookback: expected a single value, got a list"),
            ("clusters: {}", "clusters: expected a list"),
            (
                "clusters: [{name: a, prometheus: {url: x, password-env: NONE}}]",
                "clusters[0].prometheus.password-env: the environment variable `NONE` is not set",
            ),
            (
                "clusters: [{name: a, prometheus: {url: x, dialect: mimir}}]",
                "clusters[0].prometheus.dialect: expected `prometheus` or `arms`, got `mimir`",
            ),
            (
                "clusters: [{name: a, prometheus: {url: x, token-file: t}}]",
                "clusters[0].prometheus.token-file: /nowhere/t cannot be read",
            ),
            ("a: b: c", "is no YAML: "),
            ("- a", "expected a map of keys, got a list"),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.starts_with(expected), "{text}\n  {why}");
        }
        assert!(parse("").is_ok(), "an empty file says nothing, which is fine");
    }

    /// The example of the documentation: four projects in four clusters.
    #[test]
    fn a_company_in_a_short_file() {
        let page = include_str!("../../../../docs/fleets.md");
        let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let config = parse(example).unwrap();
        let names: Vec<&str> = config.clusters.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["dev", "stg", "rel", "prod"]);
        for cluster in &config.clusters {
            assert_eq!(cluster.namespaces, ["pigo-*", "forex-*", "waas-*", "jc-*"]);
            assert_eq!(cluster.kubernetes.as_ref().unwrap().context.as_deref(), Some(cluster.name.as_str()));
            let server = cluster.prometheus.as_ref().unwrap();
            assert_eq!((server.timeout, &server.auth), (Duration::from_secs(60), &basic()));
            assert!(server.url.contains(&cluster.name));
        }
        let resolved = config.settings.resolve(CHECKS).unwrap();
        let value = |cluster, namespace, id: &str, param: &str| {
            let check = resolved.checks().iter().find(|c| c.check.info().id == id).unwrap();
            let params = resolved.params(check, Site { cluster, namespace, class: None });
            params.and_then(|p| check.check.show(p, param)).unwrap_or_else(|| "off".to_owned())
        };
        assert_eq!(value("prod", "pigo-web", "memory-usage", "warning"), "60%");
        assert_eq!(value("prod", "jc-web", "memory-usage", "warning"), "65%");
        assert_eq!(value("dev", "jc-web", "memory-usage", "warning"), "70%");
        assert_eq!(value("dev", "pigo-web", "memory-overprovisioned", "min-history"), "off");
        assert_ne!(value("prod", "pigo-web", "memory-overprovisioned", "min-history"), "off");
        let of = |cluster: &str, path: [&str; 3]| {
            let workload = workload(path);
            resolved.classifier().classify(cluster, &workload, None).class.name()
        };
        assert_eq!(of("prod", ["jc-ci", "Deployment", "build"]), "runner");
        assert_eq!(of("prod", ["waas-x", "Deployment", "ledger-core"]), "jvm");
        assert_eq!(of("dev", ["waas-x", "Deployment", "web"]), "service");
    }

    fn basic() -> Auth {
        Auth::Basic { username: "reader".to_owned(), password: Secret::new("hunter2") }
    }

    fn workload([namespace, kind, name]: [&str; 3]) -> Workload {
        Workload::new(WorkloadId::new(namespace, kind, name))
    }

    #[test]
    fn what_is_taken_over_and_what_wins() {
        let text = "profiles:\n  base: {checks: {memory-usage: {warning: 60%, critical: 80%}}, prometheus: {url: http://p, matchers: [a=\"b\"]}, namespaces: [shop, {name: pay, class: batch}]}\n  prod: {extends: base, checks: {memory-usage: {warning: 50%}}}\nclusters:\n- name: a\n  extends: [prod]\n  prometheus: {timeout: 9s}\n  namespaces: [x, {name: shop, class: jvm}]\n- {name: b, prometheus: {url: http://b}, namespaces: ['*', {name: shop, checks: {memory-leak: {enabled: false}}}]}\n";
        let config = parse(text).unwrap();
        let (a, b) = (&config.clusters[0], &config.clusters[1]);
        assert_eq!((a.namespaces.join(" "), b.namespaces.len()), ("shop pay x".to_owned(), 0));
        let server = a.prometheus.as_ref().unwrap();
        assert_eq!(
            (server.url.as_str(), server.timeout, server.matchers.len()),
            ("http://p", Duration::from_secs(9), 1)
        );
        let usage = &config.settings.scopes[0].checks["memory-usage"].params;
        assert_eq!((usage["warning"].as_str(), usage["critical"].as_str()), ("50%", "80%"));
        let rules: Vec<_> =
            config.settings.classes.iter().map(|r| (r.place.as_str(), r.class.name())).collect();
        assert_eq!(
            rules,
            [("clusters[0].namespaces[0].class", "jvm"), ("clusters[0].namespaces[1].class", "batch")]
        );
        let origins: Vec<_> = written(text)
            .unwrap()
            .into_iter()
            .map(|(path, (text, line))| format!("{path}={text}:{line}"))
            .collect();
        for expected in [
            "clusters[0].checks.memory-usage.warning=50%:3",
            "clusters[0].checks.memory-usage.critical=80%:2",
            "clusters[0].prometheus.timeout=9s:7",
            "clusters[0].prometheus.matchers[0]=a=\"b\":2",
            "clusters[0].namespaces[0].name=shop:8",
            "clusters[0].namespaces[0].class=jvm:8",
            "clusters[0].namespaces[2]=x:8",
            "clusters[1].namespaces[0]=*:9",
        ] {
            assert!(origins.iter().any(|o| o == expected), "{expected}\n{}", origins.join("\n"));
        }
    }

    #[test]
    fn mistakes_of_a_fleet_are_named_with_their_path() {
        let two = |rest: &str| format!("clusters: [{{name: a, kubernetes: {{}}{rest}}}]");
        for (text, expected) in [
            (
                two(", extends: pigo"),
                "clusters[0].extends: there is no profile `pigo`; give it under `profiles`",
            ),
            (
                format!("profiles: {{pigo: {{extends: pigo}}}}\n{}", two(", extends: pigo")),
                "profiles.pigo.extends: the profile `pigo` extends itself",
            ),
            (
                format!("profiles: {{pigo: {{checks: {{}}}}}}\n{}", two(", extends: [piga]")),
                "clusters[0].extends: there is no profile `piga`, did you mean `pigo`?; there are pigo",
            ),
            (
                "profiles: {pigo: {checks: {memory-usage: {warnin: 1}}}}".into(),
                "profiles.pigo.checks.memory-usage.warnin: unknown key, did you mean `warning`?",
            ),
            (
                format!(
                    "profiles: {{p: {{prometheus: {{url: x}}}}}}\n{}",
                    two(", namespaces: [{name: x, extends: p}]")
                ),
                "clusters[0].namespaces[0].extends: the profile `p` gives `prometheus`, which is of a whole cluster; a namespace takes over checks and classes",
            ),
            (
                two(", namespaces: [x, {name: x}]"),
                "clusters[0].namespaces[1]: `x` is given twice, first by namespaces[0]",
            ),
            (
                two(", namespaces: [{class: jvm}]"),
                "clusters[0].namespaces[0].name: expected a name or a glob",
            ),
            (
                two(", namespaces: [{name: x, checks: {memory-usage: {warning: 90%}}}]"),
                "clusters[0].namespaces[0].checks.memory-usage: warning must not be above critical: warning `90%`, critical `85%`",
            ),
            (
                two(", namespaces: [{name: x, class: javaa}]"),
                "clusters[0].namespaces[0].class: expected one of `service`, `runner`, `batch`, `jvm`, `database`, `system`, got `javaa`",
            ),
            (
                "classes: [{class: jvm}]".into(),
                "classes[0]: says of no workload that it is of class `jvm`; give namespace, kind, name, image",
            ),
            (
                "classes: [{class: jvm, name: a}, {class: batch, name: a}]".into(),
                "classes[1]: gives class `batch` to what classes[0] gives class `jvm`; leave one of them out",
            ),
            (
                "clusters: [{name: a, kubernetes: {context: p}}, {name: b, kubernetes: {context: p}}]".into(),
                "clusters[1]: `b` is the same cluster as `a`, clusters[0]: same server, same namespaces",
            ),
            (
                "clusters: [{name: a, prometheus: {url: http://p}}, {name: b, prometheus: {url: http://p}}]"
                    .into(),
                "clusters[1]: `b` is the same cluster as `a`, clusters[0]: same server, same namespaces",
            ),
        ] {
            let why = parse(&text).map(|_| ()).unwrap_err();
            assert!(why.starts_with(expected), "{text}\n  {why}");
        }
        let header = |name, variable| {
            format!(
                "{{name: {name}, prometheus: {{url: http://p, headers: [{{name: X-Scope-OrgID, value-env: {variable}}}]}}}}"
            )
        };
        for fine in [
            "clusters: [{name: a, kubernetes: {}, namespaces: [x]}, {name: b, kubernetes: {}, namespaces: [y]}]".to_owned(),
            format!("clusters: [{}, {}]", header("a", "PU"), header("b", "PW")),
        ] {
            assert_eq!(parse(&fine).err(), None);
        }
    }

    #[test]
    fn the_template_is_a_valid_configuration_and_all_of_it() {
        let text = template();
        assert!(parse(&text).is_ok(), "{:?}", parse(&text).err());
        let bare: Vec<&str> = text.lines().map(|l| l.strip_prefix("#~").unwrap_or(l)).collect();
        assert!(
            parse(&bare.join("\n")).is_ok(),
            "with the blank behind the mark: {:?}",
            parse(&bare.join("\n")).err()
        );
        // Every value that is commented out is the default and valid too.
        let all: String = text
            .lines()
            .map(|l| l.strip_prefix("#~ ").map_or_else(|| l.to_owned(), str::to_owned))
            .collect::<Vec<_>>()
            .join("\n");
        let config = parse(&all).unwrap_or_else(|e| panic!("{e}\n{all}"));
        let params: usize = CHECKS.iter().map(|c| c.param_infos().len()).sum();
        assert_eq!(config.settings.checks.values().map(|c| c.params.len()).sum::<usize>(), params);
    }
}
