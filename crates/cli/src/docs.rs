//! What is told of checks: the list, an explanation, and a page of documentation, all from the checks themselves.

use healthcore::check::AnyCheck;
use healthcore::checks::CHECKS;
use healthcore::class::Class;
use healthcore::settings::{Settings, nearest};
use healthcore::unit::Seconds;
use lambda_free_runner::DEFAULT_CLUSTERS_AT_ONCE;
use lambda_free_runner::config::Config;

use crate::args::Choice;

/// All checks, a line each.
pub(crate) fn list() -> String {
    let width = CHECKS.iter().map(|c| c.info().id.len()).max().unwrap_or(0);
    let line = |c: &&dyn AnyCheck| format!("{:width$}  {}\n", c.info().id, c.info().title);
    CHECKS.iter().map(line).collect()
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

/// Every value that is in effect, with its origin as a comment: default, `FILE:LINE`, an environment variable, or an
/// argument. It is a valid configuration file; its clusters are comments. `environment` says whether a variable is set.
pub(crate) fn effective(
    config: &Config,
    settings: &Settings,
    choice: &Choice,
    environment: &dyn Fn(&str) -> bool,
) -> anyhow::Result<String> {
    let given = |path: &str| config.given.get(path).map(|g| g.origin.as_str());
    let origin = |path: &str| given(path).unwrap_or("default");
    let lookback = config.lookback.map_or_else(|| "7d".to_owned(), |l| l.to_string());
    let mut text = format!("lookback: {lookback}  # {}\n", origin("lookback"));
    if let Some(step) = config.step {
        text.push_str(&format!("step: {step}  # {}\n", origin("step")));
    }
    let at_once = config.clusters_at_once.unwrap_or(DEFAULT_CLUSTERS_AT_ONCE);
    text.push_str(&format!("clusters-at-once: {at_once}  # {}\n", origin("clusters-at-once")));
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

    text.push_str("checks:\n");
    let resolved = settings.resolve(CHECKS)?;
    for check in CHECKS {
        let id = check.info().id;
        let running = resolved.checks().iter().find(|c| c.check.info().id == id);
        let enabled = format!("checks.{id}.enabled");
        let switched = match running {
            // What the file says of it does not count when it is not among those that run alone.
            None if settings.checks.get(id).is_none_or(|c| c.enabled != Some(false)) => {
                if settings.skip.contains(id) {
                    skip(id)
                } else {
                    settings.only.iter().next().map_or("default", |first| only(first))
                }
            }
            _ => origin(&enabled),
        };
        text.push_str(&format!("  {id}:\n    enabled: {}  # {switched}\n", running.is_some()));
        let Some(running) = running else { continue };
        let set = |param: &str| {
            let is = |s: &String| {
                let path = s.split_once('=').and_then(|(path, _)| path.split_once('.'));
                path.is_some_and(|(c, p)| (c.trim(), p.trim()) == (id, param))
            };
            choice.set.iter().any(is)
        };
        for p in check.param_infos() {
            let value = check.show(running.params(None), &p.name).unwrap_or_default();
            let origin = if set(&p.name) { "--set" } else { origin(&format!("checks.{id}.{}", p.name)) };
            text.push_str(&format!("    {}: {value}  # {origin}\n", p.name));
        }
        let classes = settings.checks.get(id).map(|c| &c.classes).filter(|c| !c.is_empty());
        let Some(classes) = classes else { continue };
        text.push_str("    classes:\n");
        for (name, params) in classes {
            let class = Class::ALL.iter().copied().find(|c| c.name() == name);
            text.push_str(&format!("      {name}:\n"));
            for param in params.keys() {
                let value = check.show(running.params(class), param).unwrap_or_default();
                let origin = origin(&format!("checks.{id}.classes.{name}.{param}"));
                text.push_str(&format!("        {param}: {value}  # {origin}\n"));
            }
        }
    }
    Ok(text)
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
fn without_secrets(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let server = rest[..end].rsplit('@').next().unwrap_or_default();
    let more = if rest[end..].trim_matches('/').is_empty() { "" } else { "/[redacted]" };
    format!("{scheme}://{server}{more}")
}

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
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

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
