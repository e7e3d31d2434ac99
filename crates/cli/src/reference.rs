//! `docs/CONFIG.md`: every key of the configuration file, from its schema.

use std::fmt::Write as _;

use healthcore::checks::CHECKS;
use healthcore::unit::{Bytes, Seconds};
use lambda_free_runner::config::schema;
use serde_json::Value;

const HEAD: &str = "\
# The configuration file

One YAML file says everything that a run can be told. `healthcheck config init` writes it with comments and defaults,
`healthcheck config show --config FILE` tells every value that is in effect and where it comes from, `healthcheck config schema` prints
the JSON schema that this page is made from, and `healthcheck config import` makes a file from those of an older system. Unknown keys are
refused. Secrets are never in it: a key that ends in `-env` names an environment variable, one that ends in `-file` a file. Files are
relative to the configuration file.

A duration is written as `30s`, `5m`, `12h` or `7d`, an amount of memory as `512Mi` or `16MiB`, a share as `85%`. Where a default is empty,
nothing holds without the key, or what its meaning says.
";

/// The page.
fn page() -> String {
    let schema = schema();
    let mut text = HEAD.to_owned();
    section(&mut text, "At the top", &schema);
    let cluster = &schema["properties"]["clusters"]["items"];
    section(&mut text, "clusters[]", cluster);
    for key in ["kubernetes", "prometheus", "loki"] {
        section(&mut text, &format!("clusters[].{key}"), &cluster["properties"][key]);
    }
    section(
        &mut text,
        "clusters[].prometheus.headers[]",
        &cluster["properties"]["prometheus"]["properties"]["headers"]["items"],
    );
    section(
        &mut text,
        "clusters[].namespaces[]",
        map_in(&cluster["properties"]["namespaces"]).expect("a map of a namespace"),
    );
    section(&mut text, "classes[]", &schema["properties"]["classes"]["items"]);
    text.push_str("\n## profiles.NAME\n\nAs `clusters[]`, without `name`.\n");
    for (key, value) in properties(&schema) {
        if !matches!(key, "clusters" | "classes" | "profiles" | "checks") {
            maps(&mut text, key, value);
        }
    }
    text.push_str("\n## checks\n\nBy id of a check: its parameters, `enabled: false`, and `classes: {batch: {...}}` with parameters for workloads of a class.\n\n| check | parameters with their defaults |\n| --- | --- |\n");
    for check in CHECKS {
        let id = check.info().id;
        let usual = check.configure(&[]).expect("the defaults fit together");
        let one = |name: &str| format!("`{name}: {}`", check.show(&usual, name).unwrap_or_default());
        let params: Vec<String> = check.param_infos().iter().map(|p| one(&p.name)).collect();
        let _ = writeln!(
            text,
            "| [{id}](checks/{id}.md) | {} |",
            if params.is_empty() { "none".to_owned() } else { params.join(", ") }
        );
    }
    text
}

/// A section for the map that a value is, or is a list of, and for those in it.
fn maps(text: &mut String, path: &str, value: &Value) {
    let Some(map) = map_in(value) else { return };
    let path = format!("{path}{}", if value.get("properties").is_some() { "" } else { "[]" });
    section(text, &path, map);
    for (key, value) in properties(map) {
        maps(text, &format!("{path}.{key}"), value);
    }
}

/// A map that a value is, or may be, or is a list of.
fn map_in(value: &Value) -> Option<&Value> {
    if value.get("properties").is_some() {
        return Some(value);
    }
    let one_of = value["oneOf"].as_array().into_iter().flatten();
    value.get("items").into_iter().chain(one_of).find_map(map_in)
}

fn properties(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    schema["properties"].as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

fn section(text: &mut String, title: &str, schema: &Value) {
    let title = if title.contains(' ') { title.to_owned() } else { format!("`{title}`") };
    let _ = writeln!(text, "\n## {title}\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |");
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (key, value) in properties(schema) {
        let must = if required.contains(&key) { " Required." } else { "" };
        let meaning = value["description"].as_str().unwrap_or_default().replace('|', "\\|");
        let usual = match &value["default"] {
            Value::Null => String::new(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let _ = writeln!(text, "| `{key}` | {} | {usual} | {meaning}{must} |", kind(key, value));
    }
}

/// What may stand there, in a word.
fn kind(key: &str, value: &Value) -> String {
    if let Some(words) = value["enum"].as_array() {
        return words
            .iter()
            .filter_map(Value::as_str)
            .map(|w| format!("`{w}`"))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if value.get("$ref").is_some()
        || value.get("properties").is_some()
        || value["additionalProperties"].is_object()
    {
        return "map".to_owned();
    }
    if value.get("items").is_some() || value.get("oneOf").is_some() {
        return "list".to_owned();
    }
    match &value["type"] {
        Value::String(word) if word == "boolean" => "`true`, `false`".to_owned(),
        Value::String(word) if word == "integer" => "number".to_owned(),
        _ => single(key, &value["default"]).to_owned(),
    }
}

/// What a single value is: by the end of its key, else as the value that holds without it is written.
fn single(key: &str, usual: &Value) -> &'static str {
    let usual = match usual {
        Value::Number(_) => return "number",
        Value::String(text) => text.as_str(),
        _ => "",
    };
    if key.ends_with("-env") {
        "variable"
    } else if key.ends_with("-file") || matches!(key, "kubeconfig" | "queries" | "thresholds") {
        "file"
    } else if key == "step" || usual.parse::<Seconds>().is_ok() {
        "duration"
    } else if usual.parse::<Bytes>().is_ok() {
        "amount of memory"
    } else {
        "text"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_DOCS=1 cargo test -p healthcore-cli` writes the page.
    #[test]
    fn the_page_in_the_repository_is_that_of_the_schema() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/CONFIG.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(found == page(), "docs/CONFIG.md differs from the schema; run with UPDATE_DOCS=1");
    }

    #[test]
    fn every_key_says_what_it_means() {
        let page = page();
        let silent: Vec<&str> =
            page.lines().filter(|line| line.ends_with("|  |") || line.ends_with("|  Required. |")).collect();
        assert!(silent.is_empty(), "give them words in config/keys.rs: {silent:#?}");
        assert!(page.contains("| `dialect` | `prometheus`, `arms` | "), "{page}");
    }
}
