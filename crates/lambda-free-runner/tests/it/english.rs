//! English that is left in a report of another language.
//!
//! Every word of prose is looked at; allowed are words of the recording itself, which other systems wrote, and names that
//! are the same in every language. Ids, commands and code are no prose.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use healthcore_report::Format;
use regex::Regex;
use serde_json::Value;

/// Names of things of Kubernetes, as its users write them in Chinese too.
const KUBERNETES: &[&str] = &[
    "Always",
    "Certificate",
    "Completed",
    "Gateway",
    "Ingress",
    "Job",
    "Kubernetes",
    "Pod",
    "Running",
    "Secret",
    "Service",
    "Unschedulable",
    "Warning",
    "adapter",
    "chart",
    "cordon",
    "digest",
    "drain",
    "finalizer",
    "init",
    "kubelet",
    "list",
    "liveness",
    "metrics",
    "operator",
    "readiness",
    "taint",
];
/// Names of other systems, and terms of the trade that have no other name.
const TERMS: &[&str] = &["Go", "Istio", "Prometheus", "healthcheck", "inode", "set", "workers", "working"];
/// Values of ours that are ids: classes of workloads, and ways to a server.
const IDS: &[&str] = &["batch", "database", "direct", "jvm", "runner", "service", "system"];

static WORD: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"[A-Za-z0-9_./:@=%&#\\{}$+-]*[A-Za-z][A-Za-z0-9_./:@=%&#\\{}$+-]*"));
/// What is no prose: code, commands, tags, entities, styles and scripts.
static CODE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?s)```.*?```|`[^`\n]*`|<(?:style|script)\b.*?</(?:style|script)>|<code\b.*?</code>|<pre\b.*?</pre>|<[^<>]+>|&[a-z]+;|(?-s:\b(?:kubectl|docker) .*)",
    )
});

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap()
}

/// The words that a recording holds.
pub(crate) fn words_of(recording: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(recording.join("snapshot.ndjson")).unwrap();
    let mut words = BTreeSet::new();
    for line in text.lines() {
        strings(&serde_json::from_str(line).unwrap(), &mut |text| {
            words.extend(text.split(|c: char| !c.is_ascii_alphabetic()).map(str::to_owned));
        });
    }
    words
}

/// Fails for English in the prose of a report.
#[track_caller]
pub(crate) fn none_in(text: &str, format: Format, known: &BTreeSet<String>, what: &str) {
    let found: BTreeSet<String> = left(&prose(text, format), known).collect();
    assert!(
        found.is_empty(),
        "{what}: English is left: {found:?}; say it in lang/, or allow it here by its kind"
    );
}

fn left<'t>(prose: &'t str, known: &'t BTreeSet<String>) -> impl Iterator<Item = String> + 't {
    let plain = CODE.replace_all(prose, " ");
    let words: Vec<String> =
        WORD.find_iter(&plain).map(|m| m.as_str().trim_end_matches(['.', ':', '\\']).to_owned()).collect();
    // A word of lower case with a capital in front at most: what else there is, is an id, a unit or an abbreviation.
    let is_word = |w: &String| {
        w.len() > 1 && w[1..].bytes().all(|b| b.is_ascii_lowercase()) && w.as_bytes()[0].is_ascii_alphabetic()
    };
    let allowed = |w: &String| [KUBERNETES, TERMS, IDS].iter().any(|list| list.contains(&w.as_str()));
    words.into_iter().filter(move |w| is_word(w) && !allowed(w) && !known.contains(w))
}

/// What people read of a format.
fn prose(text: &str, format: Format) -> String {
    let mut out = String::new();
    let mut add = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    match format {
        Format::Json | Format::Slack | Format::Sarif => {
            said(&serde_json::from_str(text).unwrap(), "", &mut add)
        }
        Format::Csv => {
            for row in csv::Reader::from_reader(text.as_bytes()).records().map(Result::unwrap) {
                [9, 11].iter().filter_map(|column| row.get(*column)).for_each(&mut add);
            }
        }
        // The same values as JSON, and gauges, which have no language.
        Format::Yaml | Format::OpenMetrics => {}
        _ => add(text),
    }
    out
}

/// Texts of JSON that are sentences.
fn said(value: &Value, key: &str, add: &mut impl FnMut(&str)) {
    match value {
        Value::Object(fields) => {
            if key == "reasons" {
                fields.keys().for_each(|reason| add(reason));
            }
            fields.iter().for_each(|(key, value)| said(value, key, add));
        }
        Value::Array(items) => items.iter().for_each(|item| said(item, key, add)),
        Value::String(text) if matches!(key, "summary" | "text" | "detail") => add(text),
        _ => {}
    }
}

fn strings(value: &Value, take: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => take(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, take)),
        Value::Object(fields) => fields.values().for_each(|value| strings(value, take)),
        _ => {}
    }
}

#[test]
fn english_is_found() {
    let known = BTreeSet::from(["quoted".to_owned()]);
    let of = |text: &str| left(text, &known).collect::<Vec<_>>();
    assert_eq!(
        of("記憶體 limit 過低（web/api-0，memory-usage），Pod 的 `code is code`：quoted 512 MiB p95"),
        ["limit"]
    );
    assert_eq!(of("kubectl get pods --all\nnot 允許。"), ["not"]);
    assert_eq!(of("<p class=\"of page\">Threshold：</p><code>a name</code>"), ["Threshold"]);
    let json = r#"{"reasons":{"No samples":1},"summary":"記憶體 grows","name":"no prose"}"#;
    assert_eq!(of(&prose(json, Format::Json)), ["No", "samples", "grows"]);
}
