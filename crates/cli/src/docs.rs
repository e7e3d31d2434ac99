//! What is told of checks: the list, an explanation, and a page of documentation, all from the checks themselves.

use healthcore::check::AnyCheck;
use healthcore::checks::CHECKS;
use healthcore::settings::{Settings, nearest};
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
        page.push_str(&format!("| `{}` | `{default}` | {} |\n", p.name, p.doc.replace('|', "\\|")));
    }
    page.push_str(&format!("\nSet one with `--set {}.PARAMETER=VALUE`.\n", info.id));
    page
}

/// Every value that is in effect, with its origin as a comment: a valid configuration file without its clusters.
pub(crate) fn effective(
    config: &Config,
    settings: &Settings,
    choice: &Choice,
    file: &str,
) -> anyhow::Result<String> {
    let origin = |given: bool| if given { file } else { "default" };
    let lookback = config.lookback.map_or_else(|| "7d".to_owned(), |l| l.to_string());
    let mut text = format!("lookback: {lookback}  # {}\n", origin(config.lookback.is_some()));
    if let Some(step) = config.step {
        text.push_str(&format!("step: {step}  # {file}\n"));
    }
    for cluster in &config.clusters {
        text.push_str(&format!("# cluster {}: {file}\n", cluster.name));
    }
    text.push_str("checks:\n");
    let resolved = settings.resolve(CHECKS)?;
    for check in CHECKS {
        let id = check.info().id;
        let running = resolved.checks().iter().find(|c| c.check.info().id == id);
        text.push_str(&format!("  {id}:\n"));
        let Some(running) = running else {
            text.push_str("    enabled: false\n");
            continue;
        };
        for p in check.param_infos() {
            let value = check.show(running.params(None), &p.name).unwrap_or_default();
            let key = format!("{id}.{}=", p.name);
            let origin = if choice.set.iter().any(|s| s.starts_with(&key)) {
                "--set"
            } else {
                origin(config.settings.checks.get(id).is_some_and(|c| c.params.contains_key(&p.name)))
            };
            text.push_str(&format!("    {}: {value}  # {origin}\n", p.name));
        }
    }
    Ok(text)
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
