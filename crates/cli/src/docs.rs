//! What is told of checks: the list, an explanation, and a page of documentation, all from the checks themselves.

use std::collections::BTreeSet;

use healthcore::check::AnyCheck;
use healthcore::checks::CHECKS;
use healthcore::class::Class;
#[cfg(test)]
use healthcore::class::INFERENCES;
use healthcore::settings::{Resolved, Settings, Site, nearest};
use healthcore::unit::Seconds;
use healthcore::view::WATCH_SHARE;
use lambda_free_runner::DEFAULT_CLUSTERS_AT_ONCE;
use lambda_free_runner::config::{CertificatesConfig, Config};

use crate::args::Choice;
use crate::delivery;
use crate::sources::chosen;

/// All checks, a line each.
pub(crate) fn list() -> String {
    let width = CHECKS.iter().map(|c| c.info().id.len()).max().unwrap_or(0);
    let line = |c: &&dyn AnyCheck| {
        let when = if c.on_request() { " (only when asked for)" } else { "" };
        format!("{:width$}  {}{when}\n", c.info().id, c.info().title)
    };
    CHECKS.iter().map(line).collect()
}

/// How many checks there are.
pub(crate) fn number() -> String {
    let asked = CHECKS.iter().filter(|c| c.on_request()).count();
    format!("{} checks, {asked} of them only when asked for", CHECKS.len())
}

/// The check of an id.
pub(crate) fn find(id: &str) -> anyhow::Result<&'static dyn AnyCheck> {
    CHECKS.iter().copied().find(|c| c.info().id == id).ok_or_else(|| {
        let hint = nearest(id, CHECKS.iter().map(|c| c.info().id))
            .map_or_else(String::new, |n| format!(", did you mean `{n}`?"));
        anyhow::anyhow!("unknown check `{id}`{hint}; `healthcheck list` names them all")
    })
}

/// A page of documentation, in Markdown.
pub(crate) fn page(check: &dyn AnyCheck) -> String {
    let info = check.info();
    let mut page = format!("# {}\n\n{} (since {})\n", info.id, info.title, info.since);
    for (heading, text) in [
        ("What it checks", info.checks),
        ("Why it matters", info.why),
        ("How it decides", info.decides),
        ("What to do", info.remedy),
        ("False alarms", info.false_alarms),
    ] {
        page.push_str(&format!("\n## {heading}\n\n{text}\n"));
    }
    let params = check.param_infos();
    page.push_str("\n## Parameters\n\n");
    if params.is_empty() {
        page.push_str("None.\n");
        return page;
    }
    let defaults = check.configure(&[]).ok();
    page.push_str("| parameter | default | meaning |\n| --- | --- | --- |\n");
    for p in params {
        let default = defaults.as_ref().and_then(|d| check.show(d, &p.name)).unwrap_or_default();
        let bounds = p.bounds.map_or_else(String::new, |(low, high)| format!(" From `{low}` to `{high}`."));
        page.push_str(&format!("| `{}` | `{default}` | {}{bounds} |\n", p.name, p.doc.replace('|', "\\|")));
    }
    page.push_str(&format!("\nSet one with `--set {}.PARAMETER=VALUE`.\n", info.id));
    page
}

/// Environment variables that name a server, or hold what it takes to be let in.
const ENVIRONMENT: [&str; 9] = [
    "PROMETHEUS_URL",
    "PROMETHEUS_USERNAME",
    "PROMETHEUS_USERNAME_FILE",
    "PROMETHEUS_PASSWORD",
    "PROMETHEUS_PASSWORD_FILE",
    "PROMETHEUS_TOKEN",
    "PROMETHEUS_TOKEN_FILE",
    "KUBECONFIG",
    "KUBERNETES_SERVICE_HOST",
];

/// Where values are to be in effect: everywhere, in one cluster, or in one of its namespaces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) cluster: Option<&'a str>,
    pub(crate) namespace: Option<&'a str>,
}

/// Every value that is in effect, with its origin as a comment: default, `FILE:LINE`, an environment variable, or an
/// argument. It is a valid configuration file; its clusters are comments. `environment` says whether a variable is set.
pub(crate) fn effective(
    config: &Config,
    settings: &Settings,
    choice: &Choice,
    place: Place<'_>,
    environment: &dyn Fn(&str) -> bool,
) -> anyhow::Result<String> {
    chosen(place.cluster, config)?;
    let resolved = settings.resolve(CHECKS)?;
    let site = |class| Site {
        cluster: place.cluster.unwrap_or_default(),
        namespace: place.namespace.unwrap_or_default(),
        class,
    };
    let given = |path: &str| config.given.get(path).map(|g| g.origin.as_str());
    let origin = |path: &str| given(path).unwrap_or("default");
    // Where choices for checks are looked for, the closest first.
    let layers = layers(config, &resolved, site(None));
    let of_check = |key: &str| {
        layers.iter().find_map(|layer| given(&format!("{layer}checks.{key}"))).unwrap_or("default")
    };
    let lookback = config.lookback.map_or_else(|| "7d".to_owned(), |l| l.to_string());
    let mut text = format!("lookback: {lookback}  # {}\n", origin("lookback"));
    if let Some(step) = config.step {
        text.push_str(&format!("step: {step}  # {}\n", origin("step")));
    }
    let lang = config.lang.unwrap_or_default().tag();
    text.push_str(&format!("lang: {lang}  # {}\n", origin("lang")));
    let zone = config.given.get("time-zone").map_or("UTC", |given| given.text.as_str());
    text.push_str(&format!("time-zone: {zone}  # {}\n", origin("time-zone")));
    if !config.templates.is_empty() {
        text.push_str("templates:\n");
        for name in config.templates.keys() {
            let path = format!("templates.{name}");
            let file = config.given.get(&path).map_or("", |given| given.text.as_str());
            text.push_str(&format!("  {name}: {}  # {}\n", serde_json::json!(file), origin(&path)));
        }
    }
    let at_once = config.clusters_at_once.unwrap_or(DEFAULT_CLUSTERS_AT_ONCE);
    text.push_str(&format!("clusters-at-once: {at_once}  # {}\n", origin("clusters-at-once")));
    let watch_share = config.settings.watch_share.clone().unwrap_or_else(|| WATCH_SHARE.to_string());
    text.push_str(&format!("watch-share: {watch_share}  # {}\n", origin("watch-share")));
    if let Some(history) = &config.history {
        text.push_str(&format!(
            "history:\n  location: {}  # {}\n  keep: {}  # {}\n  keep-runs: {}  # {}\n  required: {}  # {}\n",
            serde_json::json!(without_secrets(&history.location)),
            origin("history.location"),
            history.retention.age,
            origin("history.keep"),
            history.retention.runs,
            origin("history.keep-runs"),
            history.required,
            origin("history.required"),
        ));
    }
    text.push_str(&certificates(config, &origin));
    text.push_str(&hosts(config, &origin));
    text.push_str(&registries(config));
    text.push_str(&logs(config, &origin));
    text.push_str(&delivery::shown(config));
    text.push_str(&servers(config, environment));

    // A list of ids, or a single one.
    let item = |list: &str, id: &str| {
        let of_list = |path: &str| path == list || path.starts_with(&format!("{list}["));
        let found = config.given.iter().find(|(path, g)| of_list(path) && g.text == id);
        found.map_or("default", |(_, g)| g.origin.as_str())
    };
    let only = |id: &str| if choice.only.is_empty() { item("only", id) } else { "--only" };
    let skip = |id: &str| if choice.skip.iter().any(|s| s == id) { "--skip" } else { item("skip", id) };
    for (key, ids, origin) in
        [("only", &settings.only, &only as &dyn Fn(&str) -> _), ("skip", &settings.skip, &skip)]
    {
        text.push_str(&format!("{key}:{}\n", if ids.is_empty() { " []  # default" } else { "" }));
        for id in ids {
            text.push_str(&format!("  - {id}  # {}\n", origin(id)));
        }
    }

    text.push_str(&format!("checks:{}\n", told(place)));
    for check in CHECKS {
        let id = check.info().id;
        let running = resolved.checks().iter().find(|c| c.check.info().id == id);
        let values = |class| resolved.params(running?, site(class));
        let switched = match running {
            // What the file says of it does not count when it is not among those that run alone.
            None if settings.checks.get(id).is_none_or(|c| c.enabled != Some(false)) => {
                if settings.skip.contains(id) {
                    skip(id)
                } else {
                    settings.only.iter().next().map_or("default", |first| only(first))
                }
            }
            _ => of_check(&format!("{id}.enabled")),
        };
        let base = values(None);
        text.push_str(&format!("  {id}:\n    enabled: {}  # {switched}\n", base.is_some()));
        let Some(base) = base else { continue };
        let set = |param: &str| {
            let is = |s: &String| {
                let path = s.split_once('=').and_then(|(path, _)| path.split_once('.'));
                path.is_some_and(|(c, p)| (c.trim(), p.trim()) == (id, param))
            };
            choice.set.iter().any(is)
        };
        for p in check.param_infos() {
            let value = check.show(base, &p.name).unwrap_or_default();
            let origin = if set(&p.name) { "--set" } else { of_check(&format!("{id}.{}", p.name)) };
            text.push_str(&format!("    {}: {value}  # {origin}\n", p.name));
        }
        let given_classes = layers.iter().flat_map(|layer| {
            let prefix = format!("{layer}checks.{id}.classes.");
            config.given.keys().filter_map(move |path| path.strip_prefix(&prefix)?.split_once('.'))
        });
        let given_classes: BTreeSet<(&str, &str)> = given_classes.collect();
        let mut last = "";
        for (name, param) in given_classes {
            if last.is_empty() {
                text.push_str("    classes:\n");
            }
            if name != last {
                text.push_str(&format!("      {name}:\n"));
                last = name;
            }
            let value = values(Class::from_name(name)).and_then(|v| check.show(v, param)).unwrap_or_default();
            let origin = of_check(&format!("{id}.classes.{name}.{param}"));
            text.push_str(&format!("        {param}: {value}  # {origin}\n"));
        }
    }
    Ok(text)
}

/// Prefixes of the paths under which choices for checks stand that hold at a site, the closest first.
fn layers(config: &Config, resolved: &Resolved, site: Site<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let namespace = resolved.scope(site.cluster, site.namespace).filter(|scope| scope.namespace.is_some());
    out.extend(namespace.map(|scope| format!("{}.", scope.place)));
    out.extend(
        config.clusters.iter().position(|c| c.name == site.cluster).map(|at| format!("clusters[{at}].")),
    );
    out.push(String::new());
    out
}

/// Where the checks are in effect as shown.
fn told(place: Place<'_>) -> String {
    match (place.cluster, place.namespace) {
        (Some(cluster), Some(namespace)) => format!("  # in namespace {namespace} of cluster {cluster}"),
        (Some(cluster), None) => format!("  # in cluster {cluster}"),
        _ => String::new(),
    }
}

/// What of logs is read, where the file says something of it.
fn logs<'c>(config: &'c Config, origin: &dyn Fn(&str) -> &'c str) -> String {
    let Some(own) = &config.logs else { return String::new() };
    let time = Seconds(own.time.as_secs_f64());
    let values = [
        ("lookback", own.lookback.to_string()),
        ("pods", own.pods.to_string()),
        ("bytes-of-container", own.container.to_string()),
        ("bytes", own.total.to_string()),
        ("time", time.to_string()),
    ];
    let line =
        |(key, value): (&str, String)| format!("  {key}: {value}  # {}\n", origin(&format!("logs.{key}")));
    format!("logs:\n{}", values.map(line).concat())
}

/// How certificates are looked at, where the file says something of it.
fn certificates<'c>(config: &'c Config, origin: &dyn Fn(&str) -> &'c str) -> String {
    let own = &config.certificates;
    if *own == CertificatesConfig::default() {
        return String::new();
    }
    let mut text = format!("certificates:\n  ask: {}  # {}\n", own.ask, origin("certificates.ask"));
    for (at, server) in own.servers.iter().enumerate() {
        let place = origin(&format!("certificates.servers[{at}]"));
        let begin = if at == 0 { "  servers:\n" } else { "" };
        text.push_str(&format!("{begin}    - {}:{}  # {place}\n", server.host, server.port));
    }
    for (at, (namespace, reason)) in own.skip.iter().enumerate() {
        let place = origin(&format!("certificates.skip[{at}].namespace"));
        let begin = if at == 0 { "  skip:\n" } else { "" };
        let (namespace, reason) = (serde_json::json!(namespace), serde_json::json!(reason));
        text.push_str(&format!("{begin}    - {{namespace: {namespace}, reason: {reason}}}  # {place}\n"));
    }
    text
}

/// Registries that may be asked, with the names of what holds their credentials.
fn registries(config: &Config) -> String {
    let mut text = String::new();
    for (at, registry) in config.registries.iter().enumerate() {
        let prefix = format!("registries[{at}].");
        let origin = |key: &str| config.given.get(&format!("{prefix}{key}")).map_or("default", |g| &g.origin);
        text.push_str(if at == 0 { "registries:\n" } else { "" });
        text.push_str(&format!("  - host: {}  # {}\n", registry.host, origin("host")));
        for (path, given) in config.given.iter().filter(|(path, _)| path.starts_with(&prefix)) {
            let key = &path[prefix.len()..];
            if key.ends_with("-env") || key.ends_with("-file") {
                text.push_str(&format!("    {key}: {}  # {}\n", serde_json::json!(given.text), given.origin));
            }
        }
        text.push_str(&format!("    plain-http: {}  # {}\n", registry.plain_http, origin("plain-http")));
        let timeout = Seconds(registry.timeout.as_secs_f64());
        text.push_str(&format!("    timeout: {timeout}  # {}\n", origin("timeout")));
        if let Some(most) = registry.most {
            text.push_str(&format!("    most: {most}  # {}\n", origin("most")));
        }
    }
    text
}

/// Which files list names in DNS, where the file says so.
fn hosts<'c>(config: &'c Config, origin: &dyn Fn(&str) -> &'c str) -> String {
    let own = &config.hosts;
    if own.files.is_empty() {
        return String::new();
    }
    let mut text = "hosts:\n".to_owned();
    for (key, values) in [("files", &own.files), ("skip", &own.skip)] {
        for (at, value) in values.iter().enumerate() {
            let begin = if at == 0 { format!("  {key}:\n") } else { String::new() };
            let place = match origin(&format!("hosts.{key}[{at}]")) {
                "default" => origin(&format!("hosts.{key}")),
                place => place,
            };
            text.push_str(&format!("{begin}    - {}  # {place}\n", serde_json::json!(value)));
        }
    }
    text
}

/// Where the servers come from: those of the file, or else those that the environment names, whose values are not shown.
fn servers(config: &Config, environment: &dyn Fn(&str) -> bool) -> String {
    let mut text = String::new();
    if config.clusters.is_empty() {
        for name in ENVIRONMENT.into_iter().filter(|name| environment(name)) {
            text.push_str(&format!("# {name} is set  # environment variable {name}\n"));
        }
    }
    for (at, cluster) in config.clusters.iter().enumerate() {
        let prefix = format!("clusters[{at}].");
        for (path, given) in config.given.iter().filter(|(path, _)| path.starts_with(&prefix)) {
            let origin = if path.ends_with("-env") {
                format!("environment variable {}, named at {}", given.text, given.origin)
            } else {
                given.origin.clone()
            };
            text.push_str(&format!("# {path}: {}  # {origin}\n", without_secrets(&given.text)));
        }
        let Some(settings) = &cluster.prometheus else { continue };
        for (key, value) in [
            ("dialect", "prometheus".to_owned()),
            ("insecure-skip-verify", settings.insecure_skip_verify.to_string()),
            ("timeout", Seconds(settings.timeout.as_secs_f64()).to_string()),
            ("retries", settings.retries.to_string()),
            ("concurrency", settings.concurrency.to_string()),
            ("compression", "auto".to_owned()),
        ] {
            let path = format!("{prefix}prometheus.{key}");
            if !config.given.contains_key(&path) {
                text.push_str(&format!("# {path}: {value}  # default\n"));
            }
        }
    }
    text
}

/// A text without the secrets that an address may hold: of an address only the server is shown, for a user, a path (as
/// that of ARMS) and a query may be secret.
pub(crate) fn without_secrets(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let server = rest[..end].rsplit('@').next().unwrap_or_default();
    let more = if rest[end..].trim_matches('/').is_empty() { "" } else { "/[redacted]" };
    format!("{scheme}://{server}{more}")
}

/// The page on classes.
#[cfg(test)]
fn classes() -> String {
    let mut page = "# Classes of workloads\n\nGenerated from the code. A check may have other bounds for a class (`checks.CHECK.classes.CLASS` of the configuration file); every\nfinding says of which class its workload is, and where that comes from.\n\n| class | is |\n| --- | --- |\n".to_owned();
    for class in Class::ALL {
        page.push_str(&format!("| `{}` | {} |\n", class.name(), class.meaning()));
    }
    page.push_str(CLASS_ORDER);
    page.push_str("\n| compared | globs | class |\n| --- | --- | --- |\n");
    for line in INFERENCES {
        let globs: Vec<String> = line.globs.iter().map(|g| format!("`{g}`")).collect();
        page.push_str(&format!(
            "| {} | {} | `{}` |\n",
            line.origin.name(),
            globs.join(" "),
            line.class.name()
        ));
    }
    page
}

#[cfg(test)]
const CLASS_ORDER: &str = "
## Which class a workload has

The first of these that says anything:

1. `config`: the rules of the configuration file, `classes` at the top, of a cluster, or `class` and `classes` of a namespace. A
   rule names globs of `namespace`, `kind`, `name` and `image` (of the first container, as the pod has it), all of which must match. Of several, the
   closest holds: one of a single cluster or namespace before one of all clusters, then the one with more globs, then the one whose globs have
   more characters that are no wildcards, then the later. Two with the same globs and different classes are refused.
2. `annotation`: the annotation or label `healthcheck/class` of the workload. A value that names no class is told under what was not checked, with
   the workloads that have it and the classes there are; the class is then inferred.
3. The table below, from the top: kind of the owner, namespace, image, name. Of an image its name counts, without registry,
   folder and digest; where the glob has a colon, with the tag. The image is that of the first container, other than init
   containers and those that a mesh puts there.
4. `default`: `service`.
";

/// The table of contents of the documentation.
#[cfg(test)]
fn contents() -> String {
    let mut page = "# Checks\n\nGenerated from the code; `healthcheck explain CHECK` prints the same pages.\n\n| check | what it names |\n| --- | --- |\n".to_owned();
    for check in CHECKS {
        let info = check.info();
        page.push_str(&format!("| [{0}]({0}.md) | {1} |\n", info.id, info.title));
    }
    page
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_page_on_classes_is_that_of_the_code() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/classes.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, classes()).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(found == classes(), "docs/classes.md differs from the code; run with UPDATE_DOCS=1");
    }

    /// `UPDATE_DOCS=1 cargo test -p healthcore-cli` writes the pages.
    #[test]
    fn pages_in_the_repository_are_those_of_the_code() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/checks");
        let mut pages = vec![("README.md".to_owned(), contents())];
        pages.extend(CHECKS.iter().map(|c| (format!("{}.md", c.info().id), page(*c))));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            for (name, text) in &pages {
                std::fs::write(folder.join(name), text).unwrap();
            }
        }
        for (name, text) in &pages {
            let found = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
            assert!(found == *text, "docs/checks/{name} differs from the code; run with UPDATE_DOCS=1");
        }
        let known: BTreeSet<_> = pages.into_iter().map(|(name, _)| name).collect();
        for file in std::fs::read_dir(folder).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(known.contains(&name), "docs/checks/{name} belongs to no check");
        }
    }
}
